#!/usr/bin/env bash
# Lists the installed packages, one NAME VERSION per line. build.pkr.hcl downloads the list for the build summary and
# the release; cleanup.sh deletes it from the image.
set -o errexit -o nounset -o pipefail

if command -v dpkg-query >/dev/null; then
  # shellcheck disable=SC2016 # dpkg-query replaces these variables
  dpkg-query --show --showformat '${binary:Package} ${Version}\n'
else
  rpm --query --all --queryformat '%{NAME}.%{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n'
fi | LC_ALL=C sort >/tmp/packer-packages.txt
