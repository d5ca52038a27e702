#!/usr/bin/env bash
# Brings all packages up to date, so that an image is as current as the day it was built.
set -o errexit -o nounset -o pipefail

if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  # The parent's own daily update may hold the lock when an instance has just started.
  apt=(apt-get --quiet=2 --yes --option DPkg::Lock::Timeout=300)
  "${apt[@]}" update
  "${apt[@]}" dist-upgrade --option Dpkg::Options::=--force-confold
  "${apt[@]}" autoremove
elif command -v dnf >/dev/null; then
  # Amazon Linux 2023 stays with the release that it was built from unless it is told otherwise.
  release=()
  if grep --quiet 'PLATFORM_ID="platform:al2023"' /etc/os-release; then
    release=(--releasever=latest)
  fi
  dnf upgrade --quiet --assumeyes "${release[@]}"
else
  yum update --quiet --assumeyes
fi
