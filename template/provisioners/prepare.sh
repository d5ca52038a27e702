#!/usr/bin/env bash
# Runs first, and twice: waits until the first boot of the source AMI is complete, and installs what later steps need.
# The template owns this file: put your own steps into provisioners/shell/.
set -o errexit -o nounset -o pipefail

# While cloud-init runs, package managers are locked and users may be missing. Exit code 2 means recoverable errors of
# the source AMI, which do not affect the build.
if command -v cloud-init >/dev/null; then
  cloud-init status --wait >/dev/null || [[ $? -eq 2 ]]
fi

# Container images lack Python, which Ansible needs; some lack sudo, or find, which cleanup.sh needs (Amazon Linux 2023).
# Cloud images have all three.
missing=()
command -v find >/dev/null || missing+=(findutils)
command -v python3 >/dev/null || missing+=(python3)
command -v sudo >/dev/null || missing+=(sudo)
if [[ ${#missing[@]} -gt 0 ]]; then
  echo "Installing ${missing[*]}"
  if command -v apt-get >/dev/null; then
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --option DPkg::Lock::Timeout=300 --quiet=2 --yes --no-install-recommends "${missing[@]}" >/dev/null
  else
    "$(command -v dnf || command -v yum)" install --quiet --assumeyes "${missing[@]}"
  fi
fi
