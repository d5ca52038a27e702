#!/bin/sh
# What EC2 does to a machine between power and login, as process 1 of the instance's container.
#
# Mounted over /run, which no image keeps, so nothing of it gets into an AMI.  The first part is
# cloud-init's work and the second the service manager's.  Unlike cloud-init it never deletes host
# keys that the image brought along: a clean-up that forgot them must show.
#
# Environment: RIG_ADDRESS, RIG_USER, RIG_INSTANCE, RIG_SSH (yes or no), RIG_PORT, RIG_WITHOUT (programs
# to remove); /run/rig/ holds authorized_keys and perhaps user-data.
set -eu
umask 022

[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
ssh-keygen -A >/dev/null

id "$RIG_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --password '*' "$RIG_USER"
if [ ! -e /etc/sudoers.d/90-cloud-init-users ]; then
  echo "$RIG_USER ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/90-cloud-init-users
  chmod 0440 /etc/sudoers.d/90-cloud-init-users
fi
home=$(getent passwd "$RIG_USER" | cut -d: -f6)
if [ -s /run/rig/authorized_keys ]; then
  install -d -m 0700 -o "$RIG_USER" -g "$(id -g "$RIG_USER")" "$home/.ssh"
  touch "$home/.ssh/authorized_keys"
  while read -r key; do
    grep -qxF "$key" "$home/.ssh/authorized_keys" || echo "$key" >>"$home/.ssh/authorized_keys"
  done </run/rig/authorized_keys
  chmod 0600 "$home/.ssh/authorized_keys"
  chown "$RIG_USER" "$home/.ssh/authorized_keys"
fi

# "Once per instance", as cloud-init keeps count.
if [ -s /run/rig/user-data ] && [ ! -e "/var/lib/cloud/instances/$RIG_INSTANCE" ]; then
  mkdir -p "/var/lib/cloud/instances/$RIG_INSTANCE"
  case $(head -c 2 /run/rig/user-data) in
  '#!')
    install -m 0700 /run/rig/user-data "/var/lib/cloud/instances/$RIG_INSTANCE/user-data"
    "/var/lib/cloud/instances/$RIG_INSTANCE/user-data" >/var/log/cloud-init-output.log 2>&1 || true
    ;;
  esac
fi

for program in $RIG_WITHOUT; do
  rm -f "$program"
done

mkdir -p /run/sshd
if [ "$RIG_SSH" = yes ]; then
  # The image's own configuration counts; only the address is the rig's, and the port where a line is before it.
  /usr/sbin/sshd -D -e -o "ListenAddress=$RIG_ADDRESS:$RIG_PORT" -o PidFile=/run/sshd.pid &
fi
# `docker stop` is the power button.
trap 'exit 0' TERM INT
touch /run/rig-booted
while :; do
  sleep 3600 &
  wait $! || true
done
