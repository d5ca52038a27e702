#!/usr/bin/env bash
# Creates the folder that the demo's web service serves. The role demo adds the pages.
set -o errexit -o nounset -o pipefail

install --directory --owner=root --group=root --mode=0755 /srv/demo
