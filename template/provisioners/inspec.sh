#!/usr/bin/env bash
# Tests the machine that is being built with the profile in inspec/, before an image is made of it. Runs on the building
# host, called by build.pkr.hcl.
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
if [[ -z ${auditor} ]]; then
  if [[ ${INSPEC_REQUIRED} == true ]]; then
    echo "InSpec: neither cinc-auditor nor inspec is on PATH, so no image is created: build in the toolkit image, or accept an untested image with -var skip_inspec=true" >&2
    exit 1
  fi
  [[ ${1:-} == --available ]] || echo "InSpec: SKIPPED, no control was checked: neither cinc-auditor nor inspec is on PATH"
  exit 0
fi

[[ ${1:-} != --available ]] || exit 0

: "${INSPEC_PROFILE:?is set by build.pkr.hcl}"
: "${INSPEC_TARGET:?is set by build.pkr.hcl}"
arguments=(exec "${INSPEC_PROFILE}" --target "${INSPEC_TARGET}" --no-distinct-exit)
if [[ -n ${PACKER_TOOLKIT_INSPEC_REPORTS:-} ]]; then
  # packer-toolkit sums it up in build-report.json.
  arguments+=(--reporter cli "json:${PACKER_TOOLKIT_INSPEC_REPORTS}/${INSPEC_BUILD:-build}.json")
fi
if [[ -n ${key} ]]; then
  key_file=$(mktemp) # readable by this user only
  trap 'rm -f "${key_file}"' EXIT
  printf '%s\n' "${key}" >"${key_file}"
  arguments+=(--key-files "${key_file}" --sudo)
fi
export CHEF_LICENSE=accept-silent
"${auditor}" "${arguments[@]}"
