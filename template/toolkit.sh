#!/usr/bin/env bash
# Usage: ./toolkit.sh [OPTION]... COMMAND [ARGUMENT]...
# Runs a command in the packer-toolkit container, with this repository at /workspace. The tasks of Taskfile.yml use it.
# Inside the container, the command runs directly.
#
#   --role       check first that the personal role is set; --role-hint only warns if it is not
#   --engine     give the command access to the container engine of this machine
#   --ssh-agent  give the command access to the SSH agent of this machine
#   --login      log in to the registry of the image; takes no command
#   --stop NAME  stop the container NAME, and kill it after two minutes; takes no command
#
# Settings are read from the environment, then from toolkit.env. Settings that are not listed there:
#   CONTAINER_ENGINE=podman             the engine; default: docker if it is installed, otherwise podman
#   TOOLKIT_DOCKER_ARGS=--network=host  additional arguments of `docker run`, separated by spaces
#   TOOLKIT_ECR=true                    treat the registry as ECR, whatever its name is
#   TOOLKIT_REMOTE_ENGINE=true          allow an engine on another machine that has this folder at the same path
#
# For Linux and macOS. The bash of macOS is 3.2: do not use mapfile or associative arrays.
set -o errexit -o nounset -o pipefail

# Prints one line and exits with $1, an exit code of packer-toolkit: 3 local setup incomplete, 4 remote service failed.
fail() {
  printf 'toolkit.sh: %s\n' "$2" >&2
  exit "$1"
}

# Sets `reason` to the line of a program's output that explains its failure, or to the last line.
find_reason() {
  local line
  reason="no reason given"
  while IFS= read -r line; do
    [[ ${line} != *[![:space:]]* ]] || reason=${line%$'\r'}
    case ${line} in
    *[Cc]annot* | *denied* | *refused* | *[Ee]rror* | *[Uu]nable* | *[Cc]ould\ not*) return ;;
    *) ;;
    esac
  done <<<"$1"
}

# Exports the settings of toolkit.env that are not set in the environment.
read_settings() {
  local line name
  [[ -f toolkit.env ]] || fail 3 "toolkit.env is missing; restore it with: git checkout toolkit.env"
  while IFS= read -r line || [[ -n ${line} ]]; do
    name=${line%%=*}
    if [[ ${line} == *=* && ${name} =~ ^[A-Z][A-Z0-9_]*$ ]]; then
      passed+=("${name}")
      line=${line#*=}
      [[ -n ${!name+set} ]] || export "${name}=${line%$'\r'}"
    fi
  done <toolkit.env
  : "${AWS_REGION:?is missing in toolkit.env}" "${PERSONAL_ROLE_VARIABLE:?is missing in toolkit.env}"
  : "${TOOLKIT_IMAGE:?is missing in toolkit.env}"
  [[ ${PERSONAL_ROLE_VARIABLE} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || # bash would execute other values, such as x[$(…)]
    fail 3 "PERSONAL_ROLE_VARIABLE must be the name of a variable; correct it in toolkit.env"
}

# Checks that the user has set a role, or none. With the argument `hint`, only warns.
check_role() {
  local role=${!PERSONAL_ROLE_VARIABLE-unset}
  if [[ ${role} == none ]]; then
    export "${PERSONAL_ROLE_VARIABLE}="
  elif [[ (${role} == unset || ${role} == AddYourRoleHere) && ${GITHUB_ACTIONS:-} != true ]]; then
    printf '%s\n' \
      "toolkit.sh: no role is set; add these lines to Taskfile.local.yml, with the name or ARN of your role, or none:" \
      "version: '3'" "" "env:" "  ${PERSONAL_ROLE_VARIABLE}: \"AddYourRoleHere\"" >&2
    [[ $1 == hint ]] || exit 3
  fi
}

# shellcheck disable=SC2034 # the sourced files use the variables
main() {
  local role="" with_engine=false ssh_agent=false instead="" part
  local passed=() arguments=() further=() mounted="" mounts="" command engine kind info reason
  while [[ ${1:-} == --* ]]; do
    case $1 in
    --role | --role-hint) role=${1##*-} ;;
    --engine) with_engine=true ;;
    --ssh-agent) ssh_agent=true ;;
    --login | --stop) instead=${1#--} ;;
    *) instead="" && set -- && break ;;
    esac
    shift
  done
  case ${instead}:$# in
  login:0 | stop:1 | :[1-9]*) ;;
  *)
    sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
  esac
  [[ ${OSTYPE} != msys* && ${OSTYPE} != cygwin* ]] ||
    fail 3 "Git Bash and Cygwin rewrite the paths of mounts; run this in WSL: wsl ./toolkit.sh"
  CDPATH="" cd -P "$(dirname "${BASH_SOURCE[0]}")"
  [[ -n ${instead} || -z ${PACKER_TOOLKIT_VERSION:-} ]] || exec "$@"
  for part in toolkit-engine.sh toolkit-container.sh; do
    [[ -f ${part} ]] || fail 3 "${part} is missing; restore it with: git checkout ${part}"
    # shellcheck source=/dev/null # each file is checked separately
    source "./${part}"
  done

  read_settings
  [[ -z ${role} ]] || check_role "${role}"
  use_logins_of_job
  find_engine
  if [[ -n ${instead} ]]; then
    "${instead}_with_engine" "$@"
    return
  fi
  require_local_engine
  get_image
  command=${2:-}
  add_arguments
  read -r -a further <<<"${TOOLKIT_DOCKER_ARGS:-}"
  exec "${engine}" "${arguments[@]}" ${further[@]+"${further[@]}"} "${TOOLKIT_IMAGE}" "$@"
}

main "$@"
