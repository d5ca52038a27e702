#!/usr/bin/env bash
# Usage: ./toolkit.sh [OPTION]... COMMAND [ARGUMENT]...
# Runs a command in the packer-toolkit container, with this repository at /workspace, as the tasks of Taskfile.yml do.
# In the container itself the command runs as it is.
#
#   --role       first check that the personal role is set; --role-hint only warns when it is not
#   --engine     give the command access to this machine's Docker or Podman
#   --ssh-agent  give it access to this machine's SSH agent
#   --login      log in to the registry of the image, without a command
#   --stop NAME  stop the container of that name, and kill it after two minutes, without a command
#
# Settings are read from the environment, then from toolkit.env. Besides those that are listed there:
#   CONTAINER_ENGINE=podman             instead of the first of docker and podman that is installed
#   TOOLKIT_DOCKER_ARGS=--network=host  further arguments of `docker run`, separated by spaces
#   TOOLKIT_ECR=true                    the registry is ECR, whatever its name is
#   TOOLKIT_REMOTE_ENGINE=true          the engine is on another machine, which has this folder at the same path
#
# Written for Linux and macOS, whose bash is 3.2: no mapfile, no associative arrays.
set -o errexit -o nounset -o pipefail

# Prints one line and exits with one of packer-toolkit's codes: 3 something is missing here, 4 a service refused.
fail() {
  printf 'toolkit.sh: %s\n' "$2" >&2
  exit "$1"
}

# Sets `reason` to the line of a program's output that has the cause of its failure, or else to the last line.
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

# Exports the settings of toolkit.env that the environment does not have.
read_settings() {
  local line name
  [[ -f toolkit.env ]] || fail 3 "toolkit.env is missing; bring it back with: git checkout toolkit.env"
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
  [[ ${PERSONAL_ROLE_VARIABLE} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || # bash would execute other text, such as x[$(…)]
    fail 3 "PERSONAL_ROLE_VARIABLE is not the name of a variable; correct it in toolkit.env"
}

# Checks that the user has named a role, or has written that none is assumed. With `hint` it only warns.
check_role() {
  local role=${!PERSONAL_ROLE_VARIABLE-unset}
  if [[ ${role} == none ]]; then
    export "${PERSONAL_ROLE_VARIABLE}="
  elif [[ (${role} == unset || ${role} == AddYourRoleHere) && ${GITHUB_ACTIONS:-} != true ]]; then
    printf '%s\n' \
      "toolkit.sh: no role is set; write these lines into Taskfile.local.yml, with your role's name, its ARN, or none:" \
      "version: '3'" "" "env:" "  ${PERSONAL_ROLE_VARIABLE}: \"AddYourRoleHere\"" >&2
    [[ $1 == hint ]] || exit 3
  fi
}

# shellcheck disable=SC2034 # the parts use the variables
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
    # shellcheck source=/dev/null # each is checked as a file of its own
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
