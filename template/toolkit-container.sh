#!/usr/bin/env bash
# Builds the arguments of `docker run`. toolkit.sh sources this file; it defines `fail`, the settings and the engine.
# shellcheck disable=SC2154 # toolkit.sh sets the variables
set -o errexit -o nounset -o pipefail

certificates=(AWS_CA_BUNDLE GIT_SSL_CAINFO REQUESTS_CA_BUNDLE SSL_CERT_FILE)
proxies=(ALL_PROXY HTTPS_PROXY HTTP_PROXY all_proxy http_proxy https_proxy)

# Adds all arguments to `arguments`.
add_arguments() {
  local outside
  find_mounts
  find_outside "${PWD}"
  [[ -n ${outside} ]] ||
    fail 3 "the engine cannot see this folder (${PWD}), because this is a container and the folder is not a mount; mount the runner's work folder from the engine's machine"
  arguments=(run --rm --security-opt no-new-privileges --workdir /workspace)
  [[ -t 0 && ! -t 1 ]] || arguments+=(--interactive) # also for piped input
  [[ ! -t 0 || ! -t 1 ]] || arguments+=(--tty)
  bind "${PWD}" /workspace
  add_user
  add_files
  [[ ${ssh_agent} == false ]] || add_ssh_agent
  [[ ${with_engine} == false ]] || add_engine
  add_proxy
  add_variables
}

# --- Paths ------------------------------------------------------------------------------------------------------------

# If this script itself runs in a container of the engine, such as a runner or a job, sets `mounts` to its mounts.
find_mounts() {
  local id
  [[ -r /proc/self/mountinfo ]] || return 0
  id=$(sed -n 's#.*containers/\([0-9a-f]\{64\}\)/[^ ]* /etc/resolv.conf .*#\1#p' /proc/self/mountinfo)
  [[ -z ${id} ]] || mounts=$("${engine}" inspect --format \
    '{{.Id}}={{range .Mounts}}{{"\n"}}{{.Destination}}={{.Source}}{{end}}' "${id%%[!0-9a-f]*}" 2>/dev/null) || true
}

# Sets `outside` to the path of $1 on the engine's machine; empty if the engine does not have that file.
find_outside() {
  local inside source longest=""
  outside=""
  [[ -n ${mounts} ]] || outside=$1
  while IFS='=' read -r inside source; do
    if [[ $1/ == "${inside}"/* && ${#inside} -gt ${#longest} ]]; then
      longest=${inside}
      outside=${source}${1#"${inside}"}
    fi
  done <<<"${mounts}"
}

# Mounts $1 of this machine at $2 (default: the same path), with additional options in $3. Uses --mount, because -v
# splits at colons; a field with a comma is quoted. Skips a repeated mount: two variables may name the same file.
bind() {
  local outside source target="target=${2:-$1}"
  find_outside "$1"
  [[ -n ${outside} && ${mounted} != *"|${target}|"* ]] || return 0
  mounted+="|${target}|"
  source="source=${outside}"
  [[ ${source} != *[,\"]* ]] || source="\"${source//\"/\"\"}\""
  [[ ${target} != *[,\"]* ]] || target="\"${target//\"/\"\"}\""
  arguments+=(--mount "type=bind,${source},${target}${3:-}")
}

# --- User, files and variables of the container -----------------------------------------------------------------------

# Runs as the owner of the repository, so that they own all new files, and in group 0, which may write to the image.
add_user() {
  local owner group
  # shellcheck disable=SC2012,SC2312 # the fields before the name are the same in every ls
  read -r _ _ owner group _ < <(ls -ldn .)
  if [[ ${info} != *name=rootless* ]]; then
    arguments+=(--user "${owner}:${group}")
  elif [[ ${kind} == podman ]]; then
    arguments+=(--userns keep-id)
  else
    arguments+=(--user 0:0) # maps to this user outside the container
  fi
  arguments+=(--group-add 0)
  # Otherwise, SELinux denies access to the mounts.
  [[ ${kind}${info} != podman* && ${info} != *name=selinux* ]] || arguments+=(--security-opt label=disable)
}

# Mounts files from outside the repository: those of git for a linked worktree, and those of AWS, the runner and
# certificates, at the same path, because variables refer to them.
add_files() {
  local name inside git_dir=""
  [[ ! -f .git ]] || git_dir=$(sed -n 's/^gitdir: //p' .git)
  if [[ -n ${git_dir} && -f ${git_dir}/commondir ]]; then
    inside=${git_dir%/worktrees/*}
    # A relative path (worktree.useRelativePaths) must resolve from /workspace.
    while [[ ${inside} == ../* ]]; do inside=${inside#../}; done
    git_dir=$(cd "${git_dir}" && cd "$(<commondir)" && pwd)
    bind "${git_dir}" "/${inside#/}"
  fi
  [[ ${command} == template-* || ! -d ${HOME:-}/.aws ]] || bind "${HOME}/.aws" /home/packer/.aws
  for name in AWS_CONFIG_FILE AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE AWS_SHARED_CREDENTIALS_FILE \
    AWS_WEB_IDENTITY_TOKEN_FILE "${certificates[@]}" GITHUB_EVENT_PATH; do
    [[ ! -f ${!name:-} || ${command}:${name} == template-*:AWS_* ]] || bind "${!name}" "" ,readonly
  done
  for name in GITHUB_OUTPUT GITHUB_STEP_SUMMARY; do
    [[ ! -f ${!name:-} ]] || bind "${!name}"
  done
}

add_ssh_agent() {
  local agent socket=${SSH_AUTH_SOCK:-}
  [[ -n ${socket} ]] || return 0
  # On macOS, the engine runs in a virtual machine. If it forwards the agent, the socket is there.
  [[ ${OSTYPE} != darwin* ]] || socket=/run/host-services/ssh-auth.sock
  find_agent
  if [[ -z ${agent} ]]; then
    printf 'toolkit.sh: the SSH agent cannot be reached (%s); without it, private roles and collections need HTTPS\n' "${socket}" >&2
    return 0
  fi
  bind "${socket}" /run/ssh-agent.sock
  arguments+=(--env SSH_AUTH_SOCK=/run/ssh-agent.sock)
  [[ ! -f ${HOME:-}/.ssh/known_hosts ]] || bind "${HOME}/.ssh/known_hosts" /home/packer/.ssh/known_hosts ,readonly
}

# Sets `agent` unless the engine cannot mount `socket`. On macOS, Docker Desktop and OrbStack always can; Colima and
# others can only if their virtual machine was started with agent forwarding.
find_agent() {
  agent=socket
  case ${OSTYPE}:${info} in
  darwin*"Docker Desktop"* | darwin*OrbStack*) ;;
  darwin*)
    agent=$("${engine}" run --rm --network none --mount "type=bind,source=${socket},target=/run/agent" --entrypoint bash \
      "${TOOLKIT_IMAGE}" -c '[[ ! -S /run/agent ]] || echo socket' 2>/dev/null) || true
    ;;
  *) [[ -S ${socket} ]] || agent="" ;;
  esac
}

# Mounts the engine's socket, for local builds, which run in a second container.
add_engine() {
  local host=${DOCKER_HOST:-} group folder outside
  if [[ -z ${host} && ${kind} == podman ]]; then
    host=$("${engine}" info --format '{{.Host.RemoteSocket.Path}}')
    host=unix://${host#unix://}
  elif [[ -z ${host} ]]; then
    find_host
  fi
  # On macOS, the engine runs in a virtual machine, with its socket at this path.
  [[ ${OSTYPE} != darwin* && -n ${host} ]] || host=unix:///var/run/docker.sock
  [[ ${host} == unix://* ]] || fail 3 "a local build needs the socket of an engine on this machine, but the engine's address is ${host}; unset DOCKER_HOST"
  host=${host#unix://}
  if [[ ${OSTYPE} != darwin* ]]; then
    [[ -S ${host} ]] || fail 3 "the socket ${host} does not exist; start the engine, such as with: systemctl --user start podman.socket"
    # shellcheck disable=SC2012,SC2312 # the fields before the name are the same in every ls
    read -r _ _ _ group _ < <(ls -ln "${host}")
    arguments+=(--group-add "${group}")
  fi
  bind "${host}" /var/run/docker.sock
  add_packer_folder
  arguments+=(--env DOCKER_HOST=unix:///var/run/docker.sock)
}

# Packer mounts one of its folders into the container that it builds, so the folder must have the same path on the
# engine's machine. Every engine has the folder of the repository; an engine in a virtual machine may not have TMPDIR.
add_packer_folder() {
  local outside folder=${PWD}/.packer-tmp
  find_outside "${folder}"
  if [[ ${outside} != *:* ]]; then
    [[ ! -L ${folder} && ! -L ${folder}/.gitignore ]] || fail 3 "${folder} is or contains a symbolic link; remove it"
    mkdir -p "${folder}"
    printf '*\n' >"${folder}/.gitignore"
  else # Packer uses -v, which splits at colons
    folder=${TMPDIR:-/tmp}
    folder=${folder%/}/packer-toolkit-${UID}
    [[ ${OSTYPE} != darwin* ]] || folder=${HOME}/.cache/packer-toolkit/tmp
    mkdir -p "${folder}"
    [[ -O ${folder} && ! -L ${folder} ]] || fail 3 "${folder} belongs to another user; remove it, or set TMPDIR"
    find_outside "${folder}"
  fi
  chmod 1777 "${folder}"
  bind "${folder}" "${outside}"
  arguments+=(--env "PACKER_TMP_DIR=${outside}")
}

# A proxy on the loopback address of this machine, such as cntlm, has a different address in the container.
add_proxy() {
  local name address host
  for name in "${proxies[@]}"; do
    address=${!name:-}
    address=${address#*://}
    address=${address##*@}
    case ${address} in
    localhost | localhost[:/]* | 127.*) host=${address%%[:/]*} ;;
    "[::1]"*) host="[::1]" ;;
    *) continue ;;
    esac
    if [[ ${OSTYPE} == darwin* || ${info} == *"Docker Desktop"* ]]; then
      export "${name}=${!name/"${host}"/host.docker.internal}"
    elif [[ " ${TOOLKIT_DOCKER_ARGS:-} ${arguments[*]}" != *" --net"* ]]; then
      arguments+=(--network host)
    fi
  done
}

# Passes variables by name, so that no value appears on a command line. Leaves out variables with paths of this machine,
# and for template-* also all credentials, because these commands run code of a release that is not reviewed yet.
add_variables() {
  local name
  # The container does not have the .git of a repository that encloses this folder.
  if [[ ! -d .git && -z ${PKR_VAR_git_commit:-} ]] && name=$(git rev-parse --verify --quiet HEAD 2>/dev/null); then
    export PKR_VAR_git_commit=${name}
  fi
  for name in ${!ANSIBLE_GALAXY_@} ${!AWS_@} ${!GITHUB_@} ${!PACKER_@} ${!PKR_VAR_@} CI FORCE_COLOR GH_TOKEN NO_COLOR TERM \
    NO_PROXY no_proxy "${proxies[@]}" "${certificates[@]}" "${PERSONAL_ROLE_VARIABLE}" "${passed[@]}"; do
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
