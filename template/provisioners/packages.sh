#!/usr/bin/env bash
# Lists what is installed, as lines of NAME VERSION: build.pkr.hcl fetches the list for the summary of a build and the
# record of a release. The clean-up removes it from the image.
set -o errexit -o nounset -o pipefail

if command -v dpkg-query >/dev/null; then
  # shellcheck disable=SC2016 # dpkg-query's own names
  dpkg-query --show --showformat '${binary:Package} ${Version}\n'
else
  rpm --query --all --queryformat '%{NAME}.%{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n'
fi | LC_ALL=C sort >/tmp/packer-packages.txt
