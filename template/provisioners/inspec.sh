#!/usr/bin/env bash
# Tests the machine with the profile in inspec/, before an image of it is created. build.pkr.hcl runs it on the build
# host. The JSON report decides the result, because the auditor's exit code is also 0 if no test ran. With --available,
# it only checks that the auditor is installed.
set -o errexit -o nounset -o pipefail

: "${INSPEC_REQUIRED:?is set by build.pkr.hcl}"
mode=${1:-}

# The Ansible plugin (seen in 1.1.2) does not delete its copy of the instance's temporary key on this host.
key=${INSPEC_SSH_KEY:-}
export -n INSPEC_SSH_KEY
for copy in "${TMPDIR:-/tmp}"/ansible-key*; do
  if [[ -n ${key} && -O ${copy} && $(<"${copy}") == "${key%$'\n'}" ]]; then
    rm -f "${copy}"
  fi
done

# Skips the test if it cannot run; fails the build if an image would follow.
end_untested() {
  if [[ ${INSPEC_REQUIRED} == true ]]; then
    echo "InSpec: $1, so no image is created; build in the toolkit image, or accept an untested image with -var skip_inspec=true" >&2
    exit 1
  fi
  [[ ${mode} == --available ]] || echo "InSpec: SKIPPED, no control was checked: $1"
  exit 0
}

# Packer connects to the engine through Docker's client. The auditor does not support contexts, treats an empty variable
# as set, and uses TLS whenever DOCKER_CERT_PATH is set.
set_docker_engine() {
  local host=${DOCKER_HOST:-} certificates="" skip_verify="" answer
  if [[ -n ${host} ]]; then
    [[ -z ${DOCKER_TLS_VERIFY:-}${DOCKER_TLS:-} ]] || certificates=${DOCKER_CERT_PATH:-${DOCKER_CONFIG:-${HOME:-}/.docker}}
  elif answer=$(docker context inspect --format \
    '{{.Endpoints.docker.Host}}{{"\n"}}{{.Storage.TLSPath}}/docker{{"\n"}}{{.Endpoints.docker.SkipTLSVerify}}' 2>/dev/null); then
    { read -r host && read -r certificates && read -r skip_verify; } <<<"${answer}"
  elif answer=$(docker info --format '{{.Host.RemoteSocket.Path}}' 2>/dev/null); then
    host=unix://${answer#unix://} # Podman
  fi
  unset DOCKER_CERT_PATH DOCKER_HOST
  [[ -z ${host} ]] || export DOCKER_HOST=${host}
  [[ ${host} != tcp://* || ! -f ${certificates}/cert.pem ]] || export DOCKER_CERT_PATH=${certificates}
  [[ ${skip_verify} != true ]] || export DOCKER_SSL_VERIFY=false
  [[ -z ${host} || ${host} == unix://* || ${host} == tcp://* ]] || end_untested "the auditor cannot connect to the Docker engine at ${host}, only to unix:// and tcp:// addresses"
}

# Cinc Auditor is InSpec under a free license; either one works.
auditor=$(command -v cinc-auditor || command -v inspec || true)
[[ -n ${auditor} ]] || end_untested "neither cinc-auditor nor inspec is on PATH"
command -v python3 >/dev/null || end_untested "python3, which reads the report, is not on PATH"
[[ ${mode} != --available ]] || exit 0

: "${INSPEC_PROFILE:?is set by build.pkr.hcl}"
: "${INSPEC_TARGET:?is set by build.pkr.hcl}"
[[ ${INSPEC_TARGET} != docker://* ]] || set_docker_engine
[[ -n ${DOCKER_CERT_PATH:-} ]] || unset DOCKER_CERT_PATH
[[ -n ${DOCKER_HOST:-} ]] || unset DOCKER_HOST

# Only this user may read the report and the key. packer-toolkit summarizes the report in build-report.json.
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "${scratch}"' EXIT
report=${PACKER_TOOLKIT_INSPEC_REPORTS:-${scratch}}/${INSPEC_BUILD:-build}.json
rm -f "${report}"

# A build must not change the repository, so inspec.lock is disabled.
arguments=(exec "${INSPEC_PROFILE}" --target "${INSPEC_TARGET}" --no-create-lockfile --no-distinct-exit --no-color
  --reporter cli "json:${report}")
[[ ! -f ${INSPEC_PROFILE}/inputs.yml ]] || arguments+=(--input-file "${INSPEC_PROFILE}/inputs.yml")
if [[ -n ${key} ]]; then
  printf '%s\n' "${key}" >"${scratch}/key"
  arguments+=(--key-files "${scratch}/key" --sudo)
fi
export CHEF_LICENSE=accept-no-persist
# Paths and controls are UTF-8, even in the C locale.
export RUBYOPT="${RUBYOPT:-} -EUTF-8"

code=0
"${auditor}" "${arguments[@]}" || code=$?
python3 -X utf8 "$(dirname "${BASH_SOURCE[0]}")/inspec_result.py" "${report}" "${code}"
