#!/usr/bin/env bash
# The demo's part in shell: the folder that its web service serves. The role demo fills it.
set -o errexit -o nounset -o pipefail

install --directory --owner=root --group=root --mode=0755 /srv/demo
