#!/usr/bin/env bash
# Finds the engine, Docker or Podman, and gets the toolkit image from its registry. toolkit.sh sources this file, and
# defines `fail`, `find_reason` and the settings.
# shellcheck disable=SC2154 # toolkit.sh sets the variables
set -o errexit -o nounset -o pipefail

# Sets `engine`, its `kind`, and its `info`: name=rootless, name=selinux, name=remote, and the OS that Docker reports.
find_engine() {
  local output install="install Docker (https://docs.docker.com/get-docker/) or Podman (https://podman.io/docs/installation)"
  if [[ -n ${CONTAINER_ENGINE:-} ]]; then
    engine=${CONTAINER_ENGINE}
    command -v "${engine}" >/dev/null || fail 3 "CONTAINER_ENGINE is ${engine}, which is not on PATH; unset the variable, or ${install}"
  else
    engine=$(command -v docker || command -v podman) || fail 3 "neither docker nor podman is on PATH; ${install}"
  fi
  # The command docker may be an alias of Podman.
  output=$("${engine}" --version 2>&1 || true)
  kind=docker
  [[ ${output} != podman* ]] || kind=podman
  output='{{.SecurityOptions}} {{.OperatingSystem}}'
  [[ ${kind} == docker ]] ||
    output='{{with .Host}}{{if .Security.Rootless}}name=rootless {{end}}{{if .ServiceIsRemote}}name=remote{{end}}{{end}}'
  if ! output=$("${engine}" info --format "${output}" 2>&1); then
    # An older client reports an error in its own output template instead of the reason.
    [[ ${output} != *template:* ]] || output=$("${engine}" ps 2>&1) || true
    find_reason "${output}"
    case ${reason} in
    *"permission denied"*)
      fail 3 "you have no permission to use ${engine##*/} (${reason}); see https://docs.docker.com/engine/install/linux-postinstall/"
      ;;
    *) fail 3 "${engine##*/} cannot be reached (${reason}); start it, or select another engine with CONTAINER_ENGINE or DOCKER_HOST" ;;
    esac
  fi
  info=${output}
}

# In a workflow job, stores logins in a folder that the runner deletes after the job: in ~/.docker of a self-hosted
# runner, other jobs could use them. Settings, contexts and credential helpers of the runner are copied.
use_logins_of_job() {
  local from=${DOCKER_CONFIG:-${HOME:-}/.docker} logins=${RUNNER_TEMP:-}/packer-toolkit-logins
  [[ ${GITHUB_ACTIONS:-} == true && -d ${RUNNER_TEMP:-} ]] || return 0
  if [[ ${instead} == login && ! -d ${logins} ]]; then
    mkdir -m 700 "${logins}"
    [[ ! -d ${from} ]] || cp -R "${from}/." "${logins}" 2>/dev/null || true # sockets cannot be copied
  fi
  [[ ! -d ${logins} ]] || export DOCKER_CONFIG=${logins} REGISTRY_AUTH_FILE=${logins}/config.json
}

# Sets `host` to the engine's address; empty for the default address.
find_host() {
  local name is_default uri
  host=""
  if [[ ${kind} == docker ]]; then
    host=${DOCKER_HOST:-$("${engine}" context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)}
  elif [[ ${info} == *name=remote* ]]; then
    host=${CONTAINER_HOST:-}
    [[ -n ${host} ]] || while read -r name is_default uri; do
      [[ ${name} != "${CONTAINER_CONNECTION:-}" && (-n ${CONTAINER_CONNECTION:-} || ${is_default} != true) ]] || host=${uri}
    done < <("${engine}" system connection list --format '{{.Name}} {{.Default}} {{.URI}}' 2>/dev/null || true)
  fi
}

# Fails if the engine is on another machine, because it cannot mount files of this machine. Podman's virtual machine on
# macOS has an SSH address on the loopback interface of this machine.
require_local_engine() {
  local host address
  [[ ${TOOLKIT_REMOTE_ENGINE:-} != true ]] || return 0
  find_host
  address=${host#*://}
  case ${host%%://*}:${address##*@} in
  : | unix:* | fd:* | npipe:* | *:localhost | *:localhost[:/]* | *:127.* | *:"[::1]"*) ;;
  *)
    fail 3 "the engine is on another machine (${host}), so it cannot mount this folder; use the engine of this machine (unset DOCKER_HOST and CONTAINER_HOST, or: docker context use default), or set TOOLKIT_REMOTE_ENGINE=true if both machines have this folder at the same path"
    ;;
  esac
}

# Pulls the image unless the engine already has it.
get_image() {
  local output helper config quiet=()
  ! "${engine}" image inspect "${TOOLKIT_IMAGE}" >/dev/null 2>&1 || return 0
  printf 'toolkit.sh: pulling %s\n' "${TOOLKIT_IMAGE}" >&2
  [[ -t 2 ]] || quiet=(--quiet)
  { output=$("${engine}" pull ${quiet[@]+"${quiet[@]}"} "${TOOLKIT_IMAGE}" 2>&1 >&3); } 3>&2 || {
    find_reason "${output}"
    case ${reason} in
    *denied* | *[Uu]nauthorized* | *[Aa]uthorization* | *"no basic auth"* | *"403 Forbidden"* | *credential*)
      find_helper "${TOOLKIT_IMAGE%%/*}"
      [[ ${helper} != ecr-login ]] || require_password "${TOOLKIT_IMAGE%%/*}"
      fail 4 "the registry denied access (${reason}); log in with: task docker-login (a login to ECR lasts 12 hours)"
      ;;
    *short-name*)
      fail 3 "${TOOLKIT_IMAGE} has no registry, which Podman requires; add it in toolkit.env, such as docker.io/${TOOLKIT_IMAGE}"
      ;;
    *"not found"* | *unknown* | *"does not exist"*)
      fail 4 "the image ${TOOLKIT_IMAGE} does not exist (${reason}); compare TOOLKIT_IMAGE in toolkit.env with the registry"
      ;;
    *) fail 4 "the registry of ${TOOLKIT_IMAGE} cannot be reached (${reason}); check network, VPN, proxy and toolkit.env" ;;
    esac
  }
}

# Sets `helper` to Docker's credential helper for registry $1, and `config` to the file that configures it. Fails if the
# helper is missing, because Docker would then report that the registry denied access.
find_helper() {
  local text pattern space='[[:space:]]*'
  helper=""
  config=${DOCKER_CONFIG:-${HOME:-}/.docker}/config.json
  [[ ${kind} == docker && -r ${config} ]] || return 0
  text=$(<"${config}")
  pattern="\"credHelpers\"${space}:${space}\\{[^}]*\"${1//./\\.}\"${space}:${space}\"([^\"]+)\""
  [[ ${text} =~ ${pattern} ]] || pattern="\"credsStore\"${space}:${space}\"([^\"]+)\""
  [[ ${text} =~ ${pattern} ]] || return 0
  helper=${BASH_REMATCH[1]}
  command -v "docker-credential-${helper}" >/dev/null ||
    fail 3 "docker-credential-${helper} is not on PATH, but ${config} uses it for passwords; install it, or remove its line there"
}

# Fails if the helper has no password for registry $1.
require_password() {
  local output
  ! output=$("docker-credential-${helper}" get <<<"$1" 2>&1) || return 0
  find_reason "${output}"
  fail 4 "docker-credential-${helper}, which ${config} uses, returned no password (${reason}); renew your credentials, such as with: aws sso login"
}

# Logs in to the registry of the image. The password is passed through a pipe, never on a command line.
login_with_engine() {
  local registry=${TOOLKIT_IMAGE%%/*} region=${AWS_REGION} output status=0 helper config
  if [[ ${registry} == "${TOOLKIT_IMAGE}" || (${registry} != *[.:]* && ${registry} != localhost) ]]; then
    fail 3 "the image ${TOOLKIT_IMAGE} has no registry to log in to; check TOOLKIT_IMAGE in toolkit.env"
  elif [[ ${registry} != *.dkr.ecr* && ${TOOLKIT_ECR:-} != true ]]; then
    fail 3 "${registry} is not an ECR registry; log in as its documentation describes, with: ${engine##*/} login ${registry}"
  fi
  [[ ! ${registry} =~ \.dkr\.ecr(-fips)?\.([a-z0-9-]+)\. ]] || region=${BASH_REMATCH[2]}
  case ${region} in
  cn-* | eusc-* | ??-gov-* | ??-iso*-*) fail 3 "${registry}: the partition of ${region} is not supported; use a registry in another region" ;;
  *) ;;
  esac
  find_helper "${registry}"
  if [[ ${helper} == ecr-login ]]; then # gets a password from AWS for each pull, and cannot store one
    require_password "${registry}"
    printf '%s\n' "docker-credential-${helper} logs in to ${registry} automatically; no login is needed"
    return
  fi
  command -v aws >/dev/null ||
    fail 3 "the AWS CLI is missing; install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
  output=$({
    aws ecr get-login-password --region "${region}" | "${engine}" login --username AWS --password-stdin "${registry}" >/dev/null
    exit $((PIPESTATUS[0] ? 10 : PIPESTATUS[1]))
  } 2>&1) || status=$?
  find_reason "${output}"
  case ${status}:${reason} in
  0:*) printf 'Logged in to %s, for 12 hours\n' "${registry}" ;;
  10:*[Cc]onnect* | 10:*timed\ out*) fail 4 "AWS cannot be reached (${reason}); check network, VPN and proxy" ;;
  *"not implemented"*) printf '%s\n' "the credential helper logs in to ${registry} automatically; no login is needed" ;;
  *"saving credentials"* | *"storing credentials"* | *docker-credential-*)
    fail 3 "${engine##*/} cannot store the password (${reason}); correct credsStore and credHelpers in ${config}"
    ;;
  10:*) fail 4 "could not get an ECR password (${reason}); renew your credentials, such as with: aws sso login" ;;
  *) fail 4 "${registry} refused the login (${reason}); check TOOLKIT_IMAGE in toolkit.env, and your account with: aws sts get-caller-identity" ;;
  esac
}

# Stops a container, such as that of a build in a canceled workflow. A container that no longer exists is not an error.
stop_with_engine() {
  local output
  output=$("${engine}" stop --time=120 "$1" 2>&1) || [[ ${output} == *"o such container"* ]] || {
    find_reason "${output}"
    fail 4 "${engine##*/} cannot stop $1 (${reason}); stop it with: ${engine##*/} kill $1"
  }
}
