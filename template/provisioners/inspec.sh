#!/usr/bin/env bash
# Tests the machine that is being built with the profile in inspec/, before an image is made of it. Runs on the building
# host, called by build.pkr.hcl. The auditor's JSON report decides, because its exit code is 0 also when nothing ran.
# With --available it only tells, before anything else, whether it could.
set -o errexit -o nounset -o pipefail

: "${INSPEC_REQUIRED:?is set by build.pkr.hcl}"

# The Ansible plugin (seen in 1.1.2) leaves its copy of the instance's temporary key on this host.
key=${INSPEC_SSH_KEY:-}
export -n INSPEC_SSH_KEY
for copy in "${TMPDIR:-/tmp}"/ansible-key*; do
  if [[ -n ${key} && -O ${copy} && $(<"${copy}") == "${key%$'\n'}" ]]; then
    rm -f "${copy}"
  fi
done

# Cinc Auditor is InSpec without its licence; either will do.
auditor=$(command -v cinc-auditor || command -v inspec || true)
missing=""
if [[ -z ${auditor} ]]; then
  missing="neither cinc-auditor nor inspec is on PATH"
elif ! command -v python3 >/dev/null; then
  missing="python3, which reads the report, is not on PATH"
fi
if [[ -n ${missing} ]]; then
  if [[ ${INSPEC_REQUIRED} == true ]]; then
    echo "InSpec: ${missing}, so no image is created: build in the toolkit image, or accept an untested image with -var skip_inspec=true" >&2
    exit 1
  fi
  [[ ${1:-} == --available ]] || echo "InSpec: SKIPPED, no control was checked: ${missing}"
  exit 0
fi

[[ ${1:-} != --available ]] || exit 0

: "${INSPEC_PROFILE:?is set by build.pkr.hcl}"
: "${INSPEC_TARGET:?is set by build.pkr.hcl}"

# The report and the key are readable by this user only. packer-toolkit sums the report up in build-report.json.
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "${scratch}"' EXIT
report=${PACKER_TOOLKIT_INSPEC_REPORTS:-${scratch}}/${INSPEC_BUILD:-build}.json
rm -f "${report}"

# Builds leave the repository as it is, hence no inspec.lock.
arguments=(exec "${INSPEC_PROFILE}" --target "${INSPEC_TARGET}" --no-create-lockfile --no-distinct-exit --no-color
  --reporter cli "json:${report}")
if [[ -n ${key} ]]; then
  printf '%s\n' "${key}" >"${scratch}/key"
  arguments+=(--key-files "${scratch}/key" --sudo)
fi
# The auditor takes an empty value for a set one.
[[ -n ${DOCKER_CERT_PATH:-} ]] || unset DOCKER_CERT_PATH
[[ -n ${DOCKER_HOST:-} ]] || unset DOCKER_HOST
export CHEF_LICENSE=accept-no-persist

code=0
"${auditor}" "${arguments[@]}" || code=$?
python3 -X utf8 "$(dirname "${BASH_SOURCE[0]}")/inspec_result.py" "${report}" "${code}"
