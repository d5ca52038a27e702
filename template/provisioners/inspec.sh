#!/usr/bin/env bash
# Tests the machine that is being built with the profile in inspec/, before an image is made of it. Runs on the building
# host, called by build.pkr.hcl.
# With --available it only tells, before anything else, whether it could.
set -o errexit -o nounset -o pipefail

: "${INSPEC_REQUIRED:?is set by build.pkr.hcl}"

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
if [[ -n ${INSPEC_SSH_KEY:-} ]]; then
  key=$(mktemp) # readable by this user only
  trap 'rm -f "${key}"' EXIT
  printf '%s\n' "${INSPEC_SSH_KEY}" >"${key}"
  arguments+=(--key-files "${key}" --sudo)
fi
export CHEF_LICENSE=accept-silent
"${auditor}" "${arguments[@]}"
