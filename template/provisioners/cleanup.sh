#!/usr/bin/env bash
# Removes secrets and identities that all instances of the image would share, and traces of the build. The template owns
# this file and guarantees that these items are removed; validate.sh verifies it.
set -o errexit -o nounset -o pipefail

# Users that only the build needed (temporary_users in image.auto.pkrvars.hcl).
for user in ${TEMPORARY_USERS:-}; do
  if id "${user}" >/dev/null 2>&1; then
    userdel --force --remove "${user}"
  fi
  rm -f "/etc/sudoers.d/${user}"
done

# Package caches.
if command -v apt-get >/dev/null; then
  apt-get clean
  rm -rf /var/lib/apt/lists/*
elif command -v dnf >/dev/null; then
  dnf clean all --quiet
  rm -rf /var/cache/dnf/*
elif command -v yum >/dev/null; then
  yum clean all --quiet
  rm -rf /var/cache/yum/*
fi

# Host identity: each instance creates its own at first boot.
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
# SSH files of all users, including homes outside /home: cloud-init writes the keys of an instance at first boot.
accounts=$(getent passwd)
while IFS=: read -r _ _ _ _ _ home _; do
  rm -f "${home}/.ssh/authorized_keys" "${home}/.ssh/known_hosts"
done <<<"${accounts}"
if [[ -e /etc/machine-id ]]; then
  : >/etc/machine-id # empty, not deleted: systemd then creates a new ID, and can mount a file over it
fi
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
# The SSM agent's registration of the build instance.
rm -rf /var/lib/amazon/ssm/i-* /var/lib/amazon/ssm/Vault /var/lib/amazon/ssm/runtimeconfig
rm -f /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease

# cloud-init must treat each instance of the image as a new machine.
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs
fi
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances/* /var/lib/cloud/data/* /var/lib/cloud/sem/*

# Traces of the build.
rm -f /root/.*_history /home/*/.*_history /root/.wget-hsts /home/*/.wget-hsts
rm -rf /root/.ansible /home/*/.ansible /root/.cache /home/*/.cache
# Mounted files are not part of the image and cannot be deleted.
not_mounted=() # bash 4.2 on Amazon Linux 2 needs the expansion below for an empty array
while read -r _ _ _ _ target _; do
  case ${target} in
  /tmp/* | /var/tmp/*) not_mounted+=(! -samefile "$(printf '%b' "${target}")") ;;
  *) ;;
  esac
done </proc/self/mountinfo
find /tmp /var/tmp -xdev -mindepth 1 -ignore_readdir_race ! -type d ${not_mounted[@]+"${not_mounted[@]}"} -delete
find /tmp /var/tmp -xdev -mindepth 1 -depth -ignore_readdir_race -type d ${not_mounted[@]+"${not_mounted[@]}"} \
  -exec rmdir --ignore-fail-on-non-empty {} +
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' \) -delete
find /var/log -type f -exec truncate --size=0 {} +
rm -rf /var/log/journal/*
sync
