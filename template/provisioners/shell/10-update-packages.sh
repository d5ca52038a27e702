#!/usr/bin/env bash
# Updates all packages, so that an image is up to date when it is built.
set -o errexit -o nounset -o pipefail

if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  # The daily update of the source AMI may hold the lock right after boot.
  apt=(apt-get --quiet=2 --yes --option DPkg::Lock::Timeout=300)
  "${apt[@]}" update
  "${apt[@]}" dist-upgrade --option Dpkg::Options::=--force-confold
  "${apt[@]}" autoremove
elif command -v dnf >/dev/null; then
  # Without --releasever, Amazon Linux 2023 stays at the release of the source AMI.
  release=()
  if grep --quiet 'PLATFORM_ID="platform:al2023"' /etc/os-release; then
    release=(--releasever=latest)
  fi
  dnf upgrade --quiet --assumeyes "${release[@]}"
else
  yum update --quiet --assumeyes
fi
