#!/usr/bin/env bash
# Brings all packages up to date, so that an image is as current as the day it was built.
set -o errexit -o nounset -o pipefail

if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet=2
  apt-get dist-upgrade --quiet=2 --yes --option Dpkg::Options::=--force-confold
  apt-get autoremove --quiet=2 --yes
elif command -v dnf >/dev/null; then
  dnf upgrade --quiet --assumeyes
else
  yum update --quiet --assumeyes
fi
