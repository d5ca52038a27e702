#!/usr/bin/env bash
# Usage: requirements.sh RUN
# Installs the content of requirements.yml into provisioners/ansible/.galaxy, which git ignores, for a build without
# packer-toolkit. All builds of a Packer run share it: the first one installs, and the others wait.
set -o errexit -o nounset -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
ansible=provisioners/ansible
installed=${ansible}/.galaxy
run=${installed}/.run-$1

# Finds the files with entries. Comments, document markers and empty lists are not entries.
find_requirements() {
  local file
  for file in "${ansible}"/{,roles/,collections/}requirements.{yml,yaml}; do
    # A broken symbolic link is included, so that ansible-galaxy reports it.
    if [[ -L ${file} && ! -e ${file} ]] || { [[ -f ${file} ]] &&
      grep -Evq '^[[:space:]]*(#.*)?$|^(---|\.\.\.)[[:space:]]*(#.*)?$|^(collections|roles):[[:space:]]*(\[\]|\{\}|null|~)?[[:space:]]*(#.*)?$' "${file}"; }; then
      files+=("${file}")
    fi
  done
}

# Installs into an empty folder, so that old versions and removed entries do not remain.
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
  # packer-toolkit's record, installed.json, describes the previous content.
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
      printf 'requirements.sh: the requirements could not be installed; see the output of the other build\n' >&2
      exit 1
    fi
    sleep 0.2
  done
fi
