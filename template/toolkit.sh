#!/usr/bin/env bash
# Usage: ./toolkit.sh [OPTION]... COMMAND [ARGUMENT]...
# Runs a command in the packer-toolkit container, with this repository at /workspace, as the tasks of Taskfile.yml do.
# In the container itself the command runs as it is.
#
#   --role       first make sure that the personal role is named; --role-hint only says when it is not
#   --engine     let the command use this machine's Docker or Podman
#   --ssh-agent  let it use this machine's SSH agent
#   --login      log in to the registry of the image instead
#
# Settings come from the environment, then from toolkit.env. Besides those that are listed there:
#   CONTAINER_ENGINE=podman             instead of the first of docker and podman that is installed
#   TOOLKIT_DOCKER_ARGS=--network=host  further arguments of `docker run`, separated by blanks
#   TOOLKIT_ECR=true                    the registry is ECR, whatever its name is
#
# Written for Linux and macOS, whose bash is 3.2: no mapfile, no associative arrays.
set -o errexit -o nounset -o pipefail

# Ends with one line. The codes are packer-toolkit's own: 3 something is missing here, 4 a service refused.
fail() {
  printf 'toolkit.sh: %s\n' "$2" >&2
  exit "$1"
}

# Sets `reason` to the line of a program's output that says why it failed, or else to its last line.
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

# --- Settings ---------------------------------------------------------------------------------------------------------

# Exports what toolkit.env says and the environment does not.
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

# Makes sure that the person has named a role, or has said that there is none to assume. With `hint` it only tells.
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

# --- The engine -------------------------------------------------------------------------------------------------------

# Sets `engine`, its `kind`, and its `security`, such as name=rootless and name=selinux.
find_engine() {
  local said install="install Docker (https://docs.docker.com/get-docker/) or Podman (https://podman.io/docs/installation)"
  if [[ -n ${CONTAINER_ENGINE:-} ]]; then
    engine=${CONTAINER_ENGINE}
    command -v "${engine}" >/dev/null || fail 3 "CONTAINER_ENGINE is ${engine}, which is not on PATH; unset it, or ${install}"
  else
    engine=$(command -v docker || command -v podman) || fail 3 "neither docker nor podman is on PATH; ${install}"
  fi
  # A command called docker may be Podman's.
  said=$("${engine}" --version 2>&1 || true)
  kind=docker
  [[ ${said} != podman* ]] || kind=podman
  said='{{.SecurityOptions}}'
  [[ ${kind} == docker ]] || said='{{if .Host.Security.Rootless}}name=rootless{{end}}'
  if ! said=$("${engine}" info --format "${said}" 2>&1); then
    # An older client stumbles over its own template instead of telling why there is no answer.
    [[ ${said} != *template:* ]] || said=$("${engine}" ps 2>&1) || true
    find_reason "${said}"
    case ${reason} in
    *"permission denied"*)
      fail 3 "you may not use ${engine##*/} (${reason}); see https://docs.docker.com/engine/install/linux-postinstall/"
      ;;
    *) fail 3 "${engine##*/} does not answer (${reason}); start it, or name another one with CONTAINER_ENGINE or DOCKER_HOST" ;;
    esac
  fi
  security=${said}
}

# Gets the image, unless it is there.
get_image() {
  local said quiet=()
  ! "${engine}" image inspect "${TOOLKIT_IMAGE}" >/dev/null 2>&1 || return 0
  printf 'toolkit.sh: fetching %s\n' "${TOOLKIT_IMAGE}" >&2
  [[ -t 2 ]] || quiet=(--quiet)
  { said=$("${engine}" pull ${quiet[@]+"${quiet[@]}"} "${TOOLKIT_IMAGE}" 2>&1 >&3); } 3>&2 || {
    find_reason "${said}"
    case ${reason} in
    *denied* | *[Uu]nauthorized* | *[Aa]uthorization* | *"no basic auth"* | *"403 Forbidden"*)
      fail 4 "the registry refused (${reason}); log in with: task docker-login (a login to ECR lasts 12 hours)"
      ;;
    *"not found"* | *unknown* | *"does not exist"*)
      fail 4 "there is no image ${TOOLKIT_IMAGE} (${reason}); compare TOOLKIT_IMAGE in toolkit.env with the registry"
      ;;
    *) fail 4 "the registry of ${TOOLKIT_IMAGE} is out of reach (${reason}); check network, VPN and proxy, and toolkit.env" ;;
    esac
  }
}

# Logs in to the registry of the image. The password goes through a pipe, never onto a command line.
log_in() {
  local registry=${TOOLKIT_IMAGE%%/*} region=${AWS_REGION} said status=0
  if [[ ${registry} == "${TOOLKIT_IMAGE}" || (${registry} != *[.:]* && ${registry} != localhost) ]]; then
    fail 3 "the image ${TOOLKIT_IMAGE} names no registry to log in to; compare TOOLKIT_IMAGE in toolkit.env"
  elif [[ ${registry} != *.dkr.ecr* && ${TOOLKIT_ECR:-} != true ]]; then
    fail 3 "${registry} is not ECR; log in as its manual says, with: ${engine##*/} login ${registry}"
  fi
  command -v aws >/dev/null ||
    fail 3 "the AWS CLI is missing; install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
  [[ ! ${registry} =~ \.dkr\.ecr(-fips)?\.([a-z0-9-]+)\. ]] || region=${BASH_REMATCH[2]}
  said=$({
    aws ecr get-login-password --region "${region}" | "${engine}" login --username AWS --password-stdin "${registry}" >/dev/null
    exit $((PIPESTATUS[0] ? 10 : PIPESTATUS[1]))
  } 2>&1) || status=$?
  find_reason "${said}"
  case ${status}:${reason} in
  0:*) printf 'Logged in to %s, for 12 hours\n' "${registry}" ;;
  10:*[Cc]onnect* | 10:*timed\ out*) fail 4 "AWS is out of reach (${reason}); check network, VPN and proxy" ;;
  10:*) fail 4 "AWS gave no password (${reason}); renew your credentials, such as with: aws sso login" ;;
  *) fail 4 "${registry} refused (${reason}); compare TOOLKIT_IMAGE in toolkit.env, and your account with: aws sts get-caller-identity" ;;
  esac
}

# --- The container ----------------------------------------------------------------------------------------------------

# Mounts $1 of this machine at $2, or at the same path, with more options in $3. --mount, because -v splits at colons; a
# field with a comma stands in quotes. Two variables may name the same file.
bind() {
  local source="source=$1" target="target=${2:-$1}"
  [[ ${mounted} != *"|${target}|"* ]] || return 0
  mounted+="|${target}|"
  [[ ${source} != *[,\"]* ]] || source="\"${source//\"/\"\"}\""
  [[ ${target} != *[,\"]* ]] || target="\"${target//\"/\"\"}\""
  arguments+=(--mount "type=bind,${source},${target}${3:-}")
}

# Runs as whoever owns the repository, so that files stay theirs; what the image lets its group 0 write is theirs too.
add_user() {
  local owner group
  # shellcheck disable=SC2012,SC2312 # the fields before the name, which every ls has
  read -r _ _ owner group _ < <(ls -ldn .)
  if [[ ${security} != *name=rootless* ]]; then
    arguments+=(--user "${owner}:${group}")
  elif [[ ${kind} == podman ]]; then
    arguments+=(--userns keep-id)
  else
    arguments+=(--user 0:0) # which is this user, outside of the container
  fi
  arguments+=(--group-add 0)
  # SELinux refuses the mounts otherwise.
  [[ ${kind}${security} != podman* && ${security} != *name=selinux* ]] || arguments+=(--security-opt label=disable)
}

# Files that are not in the repository: git's own of a linked worktree; AWS's and the runner's, at the same path inside,
# because variables name them.
add_files() {
  local name inside git_dir=""
  [[ ! -f .git ]] || git_dir=$(sed -n 's/^gitdir: //p' .git)
  if [[ -n ${git_dir} && -f ${git_dir}/commondir ]]; then
    inside=${git_dir%/worktrees/*}
    # A relative path (worktree.useRelativePaths) has to lead there from /workspace.
    while [[ ${inside} == ../* ]]; do inside=${inside#../}; done
    git_dir=$(cd "${git_dir}" && cd "$(<commondir)" && pwd)
    bind "${git_dir}" "/${inside#/}"
  fi
  [[ ${command} == template-* || ! -d ${HOME:-}/.aws ]] || bind "${HOME}/.aws" /home/packer/.aws
  for name in AWS_CA_BUNDLE AWS_CONFIG_FILE AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_SHARED_CREDENTIALS_FILE \
    AWS_WEB_IDENTITY_TOKEN_FILE GITHUB_EVENT_PATH REQUESTS_CA_BUNDLE SSL_CERT_FILE; do
    [[ ! -f ${!name:-} || ${command}:${name} == template-*:AWS_* ]] || bind "${!name}" "" ,readonly
  done
  for name in GITHUB_OUTPUT GITHUB_STEP_SUMMARY; do
    [[ ! -f ${!name:-} ]] || bind "${!name}"
  done
}

add_ssh_agent() {
  local socket=${SSH_AUTH_SOCK:-}
  [[ -n ${socket} ]] || return 0
  # Docker Desktop hands the agent on at a place of its own.
  [[ ${OSTYPE} != darwin* || ${kind} == podman ]] || socket=/run/host-services/ssh-auth.sock
  bind "${socket}" /run/ssh-agent.sock
  arguments+=(--env SSH_AUTH_SOCK=/run/ssh-agent.sock)
  [[ ! -f ${HOME:-}/.ssh/known_hosts ]] || bind "${HOME}/.ssh/known_hosts" /home/packer/.ssh/known_hosts ,readonly
}

# For builds whose instance is a container beside this one.
add_engine() {
  local host=${DOCKER_HOST:-} group folder
  if [[ -z ${host} && ${kind} == podman ]]; then
    host=$("${engine}" info --format '{{.Host.RemoteSocket.Path}}')
    host=unix://${host#unix://}
  elif [[ -z ${host} ]]; then
    host=$("${engine}" context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)
  fi
  # On macOS the engine runs in a virtual machine, which has its socket there.
  [[ ${OSTYPE} != darwin* && -n ${host} ]] || host=unix:///var/run/docker.sock
  [[ ${host} == unix://* ]] || fail 3 "a build in a container needs an engine on this machine, but DOCKER_HOST is ${host}"
  host=${host#unix://}
  if [[ ${OSTYPE} != darwin* ]]; then
    [[ -S ${host} ]] || fail 3 "there is no socket ${host}; start it, such as with: systemctl --user start podman.socket"
    # shellcheck disable=SC2012,SC2312 # the fields before the name, which every ls has
    read -r _ _ _ group _ < <(ls -ln "${host}")
    arguments+=(--group-add "${group}")
  fi
  bind "${host}" /var/run/docker.sock
  # Packer mounts a folder of its own into the container that it builds: the engine must find it at the same path.
  folder=${TMPDIR:-/tmp}
  folder=${folder%/}/packer-toolkit-${UID}
  mkdir -p "${folder}"
  [[ -O ${folder} && ! -L ${folder} ]] || fail 3 "${folder} belongs to somebody else; remove it, or set TMPDIR"
  chmod 1777 "${folder}"
  bind "${folder}"
  arguments+=(--env DOCKER_HOST=unix:///var/run/docker.sock --env "PACKER_TMP_DIR=${folder}")
}

# Variables go by their names, so that no value appears on a command line. Left out is what names paths of this machine,
# and for template-* all that gives access: these commands run code of a release that nobody here has reviewed.
add_variables() {
  local name
  # The container has no .git of a repository around this folder.
  if [[ ! -d .git && -z ${PKR_VAR_git_commit:-} ]] && name=$(git rev-parse --verify --quiet HEAD 2>/dev/null); then
    export PKR_VAR_git_commit=${name}
  fi
  for name in ${!ANSIBLE_GALAXY_@} ${!AWS_@} ${!GITHUB_@} ${!PACKER_@} ${!PKR_VAR_@} CI FORCE_COLOR GH_TOKEN HTTPS_PROXY \
    HTTP_PROXY NO_COLOR NO_PROXY REQUESTS_CA_BUNDLE SSL_CERT_FILE TERM http_proxy https_proxy no_proxy \
    "${PERSONAL_ROLE_VARIABLE}" "${passed[@]}"; do
    case ${command}:${name} in
    *:GITHUB_ENV | *:GITHUB_PATH | *:GITHUB_STATE | *:GITHUB_WORKSPACE | *:PACKER_CACHE_DIR | *:PACKER_CONFIG) continue ;;
    *:PACKER_CONFIG_DIR | *:PACKER_HOME_DIR | *:PACKER_PLUGIN_PATH | *:PACKER_TMP_DIR) continue ;;
    *:AWS_ACCOUNT_ID | *:AWS_REGION | template-pr:GITHUB_TOKEN | template-pr:GH_TOKEN) ;;
    template-*:ANSIBLE_* | template-*:AWS_* | template-*:PACKER_* | template-*:PKR_* | template-*:*_TOKEN) continue ;;
    template-*:"${PERSONAL_ROLE_VARIABLE}") continue ;;
    *) ;;
    esac
    [[ -z ${!name+set} ]] || arguments+=(--env "${name}")
  done
}

main() {
  local role="" with_engine=false ssh_agent=false login=false
  local passed=() arguments=() further=() mounted="" command engine kind security reason
  while [[ ${1:-} == --* ]]; do
    case $1 in
    --role | --role-hint) role=${1##*-} ;;
    --engine) with_engine=true ;;
    --ssh-agent) ssh_agent=true ;;
    --login) login=true ;;
    *) login=false && set -- && break ;;
    esac
    shift
  done
  if [[ ($# == 0 && ${login} == false) || ($# != 0 && ${login} == true) ]]; then
    sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
  fi
  CDPATH="" cd -P "$(dirname "${BASH_SOURCE[0]}")"
  [[ ${login} == true || -z ${PACKER_TOOLKIT_VERSION:-} ]] || exec "$@"
  read_settings
  [[ -z ${role} ]] || check_role "${role}"
  find_engine
  if [[ ${login} == true ]]; then
    log_in
    exit
  fi
  get_image

  command=${2:-}
  arguments=(run --rm --security-opt no-new-privileges --workdir /workspace)
  [[ -t 0 && ! -t 1 ]] || arguments+=(--interactive) # also for what is piped into it
  [[ ! -t 0 || ! -t 1 ]] || arguments+=(--tty)
  bind "${PWD}" /workspace
  add_user
  add_files
  [[ ${ssh_agent} == false ]] || add_ssh_agent
  [[ ${with_engine} == false ]] || add_engine
  add_variables
  read -r -a further <<<"${TOOLKIT_DOCKER_ARGS:-}"
  exec "${engine}" "${arguments[@]}" ${further[@]+"${further[@]}"} "${TOOLKIT_IMAGE}" "$@"
}

main "$@"
