#!/usr/bin/env bash
# Usage: ./toolkit-host.sh [--or-container] packer-toolkit COMMAND [ARGUMENT]...
# Runs packer-toolkit on this machine instead of in the container, because updates from the template need the user's git
# and its credentials, and the doctor must inspect the machine. It uses the installed packer-toolkit; if none is
# installed, uv runs the one of the template release that the answers file records.
#
#   --or-container  if neither is available, use the packer-toolkit in the container
#
# With TOOLKIT_SOURCE=FOLDER, uv uses the toolkit in that folder if it exists.
set -o errexit -o nounset -o pipefail

CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")"

# Prints one line and exits with $1, or continues in the container. The exit codes are those of packer-toolkit: 3 local
# setup incomplete, 4 remote service failed.
fail() {
  if [[ ${or_container} == true ]]; then
    printf 'toolkit-host.sh: %s; continuing in the container, which cannot check everything on this machine\n' "$2" >&2
    exec ./toolkit.sh "${command[@]}"
  fi
  printf 'toolkit-host.sh: %s\n' "$2" >&2
  exit "$1"
}

# Prints the files that are answers files of this template. Other templates do not record these questions.
list_answers_files() {
  awk '
    /^(image_name|parent_image|aws_management_account|toolkit_image):/ && !seen[FILENAME, $1]++ { questions[FILENAME]++ }
    /^(_commit|_src_path):/ { recorded[FILENAME] = 1 }
    questions[FILENAME] >= 3 && recorded[FILENAME] && !listed[FILENAME]++ { print FILENAME }' "$@" 2>/dev/null || true
}

# Sets `answers` to the answers file of this template, whatever its name, and `recorded` to its content. A file in this
# folder takes precedence over those in subfolders, and a tracked file over an untracked copy. Subfolders with Packer
# files are ignored, because their answers files describe those folders. If an interrupted update has moved the file, it
# is read from the last commit.
find_answers_file() {
  local argument file files=(/dev/null) found hcl nearest=() previous='' tracked=() wanted=''
  for argument in "${command[@]}"; do
    case ${previous}:${argument} in
    --answers-file:* | -a:*) wanted=./${argument} ;;
    *:--answers-file=*) wanted=./${argument#*=} ;;
    *) ;;
    esac
    previous=${argument}
  done
  if [[ -n ${wanted} ]]; then
    files+=("${wanted}")
  else
    shopt -s dotglob nullglob
    for file in ./{,*/,*/*/}{*.yml,*.yaml,*answers}; do
      hcl=("${file%/*}"/*.pkr.hcl)
      if [[ -f ${file} && -r ${file} && (${file} != ./*/* || ${#hcl[@]} == 0) ]]; then files+=("${file}"); fi
    done
    shopt -u dotglob nullglob
  fi
  found=$(list_answers_files "${files[@]}")
  while read -r file; do
    if [[ -n ${file} ]] && { [[ ${#nearest[@]} == 0 ]] ||
      [[ (${nearest[0]} == ./*/* || ${file} != ./*/*) && ! ${file} -ef ${nearest[0]} ]]; }; then
      nearest+=("${file}")
      if git --literal-pathspecs ls-files --error-unmatch -- "${file}" >/dev/null 2>&1; then tracked+=("${file}"); fi
    fi
  done <<<"${found}"
  if [[ ${#tracked[@]} != 0 ]]; then nearest=(${tracked[@]+"${tracked[@]}"}); fi
  if [[ ${#nearest[@]} -gt 1 ]]; then
    fail 3 "this folder has several answers files of this template: ${nearest[0]#./} and ${nearest[1]#./}; choose one, such as --answers-file ${nearest[0]#./}"
  elif [[ ${#nearest[@]} == 1 ]]; then
    answers=${nearest[0]}
    recorded=$(<"${answers}")
    return
  fi
  for answers in .copier-answers.yml .copier-answers.packer-ami.yml; do
    recorded=$(git show "HEAD:./${answers}" 2>/dev/null) || continue
    found=$(list_answers_files /dev/stdin <<<"${recorded}")
    if [[ -z ${wanted} && -n ${found} ]]; then return; fi
  done
  fail 3 "this folder has no answers file of this template, such as .copier-answers.yml; restore it with git"
}

# Sets `value` to the answer to $1 in the answers file. A long value continues on the next lines.
find_answer() {
  value=$(awk -v key="$1:" '
    found && /^ / { sub(/^ +/, " "); value = value $0; next }
    found { exit }
    index($0, key) == 1 { found = 1; value = substr($0, length(key) + 2) }
    END { print value }' <<<"${recorded}")
  case ${value} in
  \'*\')
    value=${value:1:${#value}-2}
    value=${value//\'\'/\'}
    ;;
  \"*\") value=$(printf '%b' "${value:1:${#value}-2}") ;;
  *) ;;
  esac
  [[ -n ${value} ]] || fail 3 "${answers#./} has no $1, so the template of this repository is unknown; restore the file with git"
}

# Sets `path` to $1, encoded for a URL.
encode() {
  path=${1//%/%25}
  path=${path// /%20}
  path=${path//\#/%23}
  path=${path//\?/%3F}
}

# Converts the path of a folder to a URL.
use_folder() {
  case ${template} in
  /*) ;;
  [~]/*) template=${HOME}/${template#??} ;;
  *) template=${PWD}/${template} ;;
  esac
  encode "${template}"
  template=file://${path}
}

# Converts SSH's short form, such as git@github.com:acme/t.git, to a URL, because uv does not support it. Configures git
# to use the short form for that URL, because a path in the short form is relative to the home directory.
use_ssh() {
  local host=${template%%:*} number=${GIT_CONFIG_COUNT:-0} pattern='^([^@/]*@)?\[([^]]+)\]:(.*)$'
  path=${template#*:}
  if [[ ${template} =~ ${pattern} ]]; then # [host:port]:path, or an IPv6 address
    path=${BASH_REMATCH[3]}
    host=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
    [[ ${BASH_REMATCH[2]} != *:*:* ]] || host=${BASH_REMATCH[1]}[${BASH_REMATCH[2]}]
  fi
  encode "${path#/}"
  shown=${template}
  export GIT_CONFIG_COUNT=$((number + 1)) "GIT_CONFIG_KEY_${number}=url.${template}.insteadOf"
  template=ssh://${host}/${path}
  export "GIT_CONFIG_VALUE_${number}=${template}"
}

or_container=false
if [[ ${1:-} == --or-container ]]; then
  or_container=true
  shift
fi
if [[ $# == 0 ]]; then
  sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]##*/}" >&2
  exit 2
fi
command=("$@")
if command -v packer-toolkit >/dev/null; then
  exec "$@"
fi
command -v uvx >/dev/null ||
  fail 3 "this command runs on your machine and requires uv; install it: https://docs.astral.sh/uv/getting-started/installation/"
if [[ -d ${TOOLKIT_SOURCE:-} ]]; then
  exec uvx --quiet --from "packer-toolkit${TOOLKIT_EXTRAS:-} @ file://${TOOLKIT_SOURCE// /%20}" "$@"
fi
find_answers_file
find_answer _src_path
template=${value}
shown=
case ${template} in
gh:*) template=https://github.com/${template#gh:} ;;
gl:*) template=https://gitlab.com/${template#gl:} ;;
git+*) template=${template#git+} ;;
*://*) ;;
*)
  # As in git: with a colon before the first slash, it is an SSH address, with a host or an alias of ~/.ssh/config.
  if [[ ${template%%/*} == *:* ]]; then use_ssh; else use_folder; fi
  ;;
esac
# The address may contain credentials, which must not appear in messages.
login=
if [[ -z ${shown} ]]; then
  [[ ! ${template} =~ ^[^:/]+://([^/]*@) ]] || login=${BASH_REMATCH[1]}
  shown=${template/"${login}"/}
  shown=${shown%%\?*}
  shown=${shown%%;*=*}
fi
find_answer _commit
# A commit after a release is recorded as v1.2.3-4-g0123abc.
[[ ! ${value} =~ -[0-9]+-g([0-9a-f]{7,})$ ]] || value=${BASH_REMATCH[1]}
toolkit="packer-toolkit${TOOLKIT_EXTRAS:-} @ git+${template}@${value}#subdirectory=toolkit"
[[ ! -t 2 ]] || printf 'toolkit-host.sh: using the toolkit of template release %s\n' "${value}" >&2
# uv reports an error in many lines. The last one with a cause is the most useful.
output=$(uvx --from "${toolkit}" packer-toolkit --version 2>&1 >/dev/null) || {
  output=$(awk '
    /^ *(fatal|error|cause):/ { line = $0 }
    NF { last = $0 }
    END { if (line == "") line = last; sub(/^ *(cause: )?/, "", line); print line }' <<<"${output}")
  output=${output//"${template}"/${shown}}
  output=${output//"${login}"/}
  fail 4 "uv cannot get the toolkit (${output:-no reason given}); check the network, and your access with: git ls-remote '${shown}'"
}
exec uvx --quiet --from "${toolkit}" "$@"
