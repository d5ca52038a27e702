#!/usr/bin/env bash
# Runs after cleanup.sh, over the same connection, and fails the build if the image would contain something that
# cleanup.sh has to remove. It deletes nothing. The template owns this file: if an image must keep something,
# delete the line in cleanup.sh and its check here.
set -o errexit -o nounset -o pipefail
shopt -s nullglob # a pattern that matches nothing is not a finding

findings=0

print_finding() { # REASON PATH
  printf 'validate.sh: %q: %s\n' "$2" "$1" >&2
  findings=$((findings + 1))
}

print_findings() { # REASON PATHS, one per line
  local path
  while IFS= read -r path; do
    if [[ -n ${path} ]]; then
      print_finding "$1" "${path}"
    fi
  done <<<"$2"
}

# Print each path that exists.
find_any() { # REASON PATH...
  local reason=$1 path
  shift
  for path in "$@"; do
    if [[ -e ${path} || -L ${path} ]]; then
      print_finding "${reason}" "${path}"
    fi
  done
}

# Services are still running, and may write files after cleanup.sh: sudo and sshd log the start of this script. A file
# that changed after cleanup.sh emptied /etc/machine-id is therefore not a leftover. The comparison uses the ctime,
# because package managers set the mtime. A container without /etc/machine-id runs no services.
unchanged=(-true)
if [[ -e /etc/machine-id ]]; then
  unchanged=(! -cnewer /etc/machine-id)
fi

# Print each path that cleanup.sh did not remove, except those that a service has written since.
find_leftovers() { # REASON ARGUMENTS-OF-FIND...
  local reason=$1 paths
  shift
  paths=$(find "$@" "${unchanged[@]}")
  print_findings "${reason}" "${paths}"
}

# The same for paths that may not exist.
find_old() { # REASON PATH...
  local reason=$1 path
  shift
  for path in "$@"; do
    if [[ -e ${path} || -L ${path} ]]; then
      find_leftovers "${reason}" "${path}" -maxdepth 0
    fi
  done
}

# The accounts that temporary_users in image.auto.pkrvars.hcl lists.
for user in ${TEMPORARY_USERS:-}; do
  if id "${user}" >/dev/null 2>&1; then
    print_finding "has the temporary account ${user}" /etc/passwd
  fi
  find_any "belongs to the temporary account ${user}" "/etc/sudoers.d/${user}" "/home/${user}"
done

# Files of the package manager that cleanup.sh removes.
if command -v apt-get >/dev/null; then
  find_old "downloaded package" /var/cache/apt/archives/*.deb
  find_old "downloaded package list" /var/lib/apt/lists/*
elif command -v dnf >/dev/null; then
  find_old "cache of dnf" /var/cache/dnf/*
elif command -v yum >/dev/null; then
  find_old "cache of yum" /var/cache/yum/*
fi

# The identity of the machine, which all instances of the image would share.
find_any "SSH host key" /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
accounts=$(getent passwd)
homes=$(cut -d: -f6 <<<"${accounts}" | sort -u)
while IFS= read -r home; do
  find_any "keys that can log in to every instance" "${home%/}/.ssh/authorized_keys"
  find_any "hosts that the build connected to" "${home%/}/.ssh/known_hosts"
done <<<"${homes}"
if [[ -s /etc/machine-id ]] && ! grep -qx uninitialized /etc/machine-id; then
  print_finding "machine ID, which must be empty" /etc/machine-id
fi
find_any "machine ID" /var/lib/dbus/machine-id
find_any "secret of the machine" /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
find_old "registration of the build instance with Systems Manager" \
  /var/lib/amazon/ssm/i-* /var/lib/amazon/ssm/Vault /var/lib/amazon/ssm/runtimeconfig
find_old "DHCP lease of the build instance" \
  /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease
find_old "state of cloud-init, which would skip its work at the first boot" \
  /var/lib/cloud/instance /var/lib/cloud/instances/* /var/lib/cloud/data/* /var/lib/cloud/sem/*

# Traces of the build.
find_old "history of the build" /root/.*_history /home/*/.*_history /root/.wget-hsts /home/*/.wget-hsts
find_old "cache of the build" /root/.ansible /home/*/.ansible /root/.cache /home/*/.cache
# Mounts are not part of the image, and Packer deletes this script.
excluded=(! -samefile "$0")
while read -r _ _ _ _ target _; do
  case ${target} in
  /tmp/* | /var/tmp/*) excluded+=(! -samefile "$(printf '%b' "${target}")") ;;
  *) ;;
  esac
done </proc/self/mountinfo
find_leftovers "temporary file" /tmp /var/tmp -xdev -mindepth 1 -ignore_readdir_race \
  \( ! -type d -o -empty \) "${excluded[@]}"
find_leftovers "log of the build" /var/log -ignore_readdir_race -type f ! -empty
rotated=$(find /var/log -ignore_readdir_race -type f -empty \( -name '*.gz' -o -name '*.[0-9]' \))
print_findings "rotated log of the build" "${rotated}"
find_old "journal of the build" /var/log/journal/*

if [[ ${findings} -gt 0 ]]; then
  echo "validate.sh: FAILED, leftovers in the image: ${findings}; restore the lines of provisioners/cleanup.sh that" \
    "remove them, or, to keep them in the image, delete their checks in provisioners/validate.sh" >&2
  exit 1
fi
