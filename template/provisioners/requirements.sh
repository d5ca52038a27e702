#!/usr/bin/env bash
# Usage: requirements.sh RUN
# Installs what requirements.yml names into provisioners/ansible/.galaxy, which git ignores, for a build without
# packer-toolkit. The builds of one run of Packer share it: the first one installs, the others wait for it.
set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ansible=provisioners/ansible
installed=${ansible}/.galaxy
run=${installed}/.run-$1

# Comments, markers and empty lists do not name anything.
find_requirements() {
  local file
  for file in "${ansible}"/{,roles/,collections/}requirements.{yml,yaml}; do
    # A symbolic link to nothing is for ansible-galaxy to report.
    if [[ -L ${file} && ! -e ${file} ]] || { [[ -f ${file} ]] &&
      grep -Evq '^[[:space:]]*(#.*)?$|^(---|\.\.\.)[[:space:]]*(#.*)?$|^(collections|roles):[[:space:]]*(\[\]|\{\}|null|~)?[[:space:]]*(#.*)?$' "${file}"; }; then
      files+=("${file}")
    fi
  done
}

# Into an empty folder, so that a changed version replaces the old one and a removed entry does not stay.
install_requirements() {
  local file new=${run}/new
  for file in "${installed}"/.run-*; do
    [[ ${file} == "${run}" ]] || rm -rf "${file}"
  done
  mkdir -p "${new}/roles" "${new}/collections"
  for file in ${files[@]+"${files[@]}"}; do
    ANSIBLE_CONFIG=${ansible}/ansible.cfg ANSIBLE_ROLES_PATH=${new}/roles \
      ANSIBLE_COLLECTIONS_PATH=${new}/collections:${ansible}/collections \
      ansible-galaxy install -r "${file}"
  done
  # The record of packer-toolkit is about what was there before.
  rm -rf "${installed}"/{installed.json,roles,collections}
  mv "${new}"/{roles,collections} "${installed}"
  rmdir "${new}"
}

files=()
find_requirements
if [[ ${#files[@]} == 0 && ! -d ${installed} ]]; then
  exit
fi
mkdir -p "${installed}"
if mkdir "${run}" 2>/dev/null; then
  trap 'touch "${run}/failed"' EXIT
  install_requirements
  trap - EXIT
  touch "${run}/done"
else
  until [[ -f ${run}/done ]]; do
    if [[ -f ${run}/failed || ! -d ${run} ]]; then
      printf 'requirements.sh: the requirements are not installed; see the other build\n' >&2
      exit 1
    fi
    sleep 0.2
  done
fi
