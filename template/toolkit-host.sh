#!/usr/bin/env bash
# Usage: ./toolkit-host.sh [--or-container] packer-toolkit COMMAND [ARGUMENT]...
# Runs packer-toolkit on this machine instead of in the container, because updates from the template need the person's own
# git and its credentials, and the doctor has to see the machine. It is the one that is installed, or else, through uv,
# that of the release of the template which made this repository.
#
#   --or-container  without either of them the one in the container does too
#
# With TOOLKIT_SOURCE=FOLDER uv takes the toolkit from that folder, where there is one.
set -o errexit -o nounset -o pipefail

CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")"

# Ends with one line, or goes on in the container. The codes are packer-toolkit's own: 3 something is missing here, 4 a
# service refused.
fail() {
  if [[ ${or_container} == true ]]; then
    printf 'toolkit-host.sh: %s; until then the container is asked, which sees less of this machine\n' "$2" >&2
    exec ./toolkit.sh "${command[@]}"
  fi
  printf 'toolkit-host.sh: %s\n' "$2" >&2
  exit "$1"
}

# Prints which files are answers files of this template: other templates do not record these questions.
list_answers_files() {
  awk '
    /^(image_name|parent_image|aws_management_account|toolkit_image):/ && !seen[FILENAME, $1]++ { questions[FILENAME]++ }
    /^(_commit|_src_path):/ { recorded[FILENAME] = 1 }
    questions[FILENAME] >= 3 && recorded[FILENAME] && !listed[FILENAME]++ { print FILENAME }' "$@" 2>/dev/null || true
}

# Sets `answers` to the answers file of this template, whatever its name, and `recorded` to its text. A file in this folder
# takes precedence over those further down, and one that git tracks over a copy; one in a folder with Packer files describes
# that folder. An update that was killed may have moved the file aside: then it is taken from the last commit.
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

# Sets `value` to what the answers file has for $1; a long value continues in the next lines.
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
  [[ -n ${value} ]] || fail 3 "${answers#./} has no $1, so that it is not known which template made this repository"
}

# Sets `path` to $1 as it is written in a URL.
encode() {
  path=${1//%/%25}
  path=${path// /%20}
  path=${path//\#/%23}
  path=${path//\?/%3F}
}

# Makes a URL of a folder's path.
use_folder() {
  case ${template} in
  /*) ;;
  [~]/*) template=${HOME}/${template#??} ;;
  *) template=${PWD}/${template} ;;
  esac
  encode "${template}"
  template=file://${path}
}

# Makes a URL of SSH's short form, such as git@github.com:acme/t.git, which uv does not know, and lets git take the short
# form for it, because a relative path there starts in the home of the account, and in a URL at the root.
use_ssh() {
  local host=${template%%:*} number=${GIT_CONFIG_COUNT:-0} pattern='^([^@/]*@)?\[([^]]+)\]:(.*)$'
  path=${template#*:}
  if [[ ${template} =~ ${pattern} ]]; then # [host:port]:path, or an address of IPv6
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
  fail 3 "this runs on your machine and needs uv; install it: https://docs.astral.sh/uv/getting-started/installation/"
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
  # Git's own rule: a colon before the first slash is SSH's, and what precedes it is a host or an alias of ~/.ssh/config.
  if [[ ${template%%/*} == *:* ]]; then use_ssh; else use_folder; fi
  ;;
esac
# The address may hold a login, which no message shows.
login=
if [[ -z ${shown} ]]; then
  [[ ! ${template} =~ ^[^:/]+://([^/]*@) ]] || login=${BASH_REMATCH[1]}
  shown=${template/"${login}"/}
  shown=${shown%%\?*}
  shown=${shown%%;*=*}
fi
find_answer _commit
# A commit after the release is recorded as v1.2.3-4-g0123abc.
[[ ! ${value} =~ -[0-9]+-g([0-9a-f]{7,})$ ]] || value=${BASH_REMATCH[1]}
toolkit="packer-toolkit${TOOLKIT_EXTRAS:-} @ git+${template}@${value}#subdirectory=toolkit"
[[ ! -t 2 ]] || printf 'toolkit-host.sh: taking the toolkit of the template %s\n' "${value}" >&2
# uv tells a failure in many lines; the last one with a cause is the one that helps.
said=$(uvx --from "${toolkit}" packer-toolkit --version 2>&1 >/dev/null) || {
  said=$(awk '
    /^ *(fatal|error|cause):/ { line = $0 }
    NF { last = $0 }
    END { if (line == "") line = last; sub(/^ *(cause: )?/, "", line); print line }' <<<"${said}")
  said=${said//"${template}"/${shown}}
  said=${said//"${login}"/}
  fail 4 "uv cannot get the toolkit (${said:-no reason given}); check the network, and your access with: git ls-remote '${shown}'"
}
exec uvx --quiet --from "${toolkit}" "$@"
