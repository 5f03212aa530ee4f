#!/bin/sh
# Runs a command of which nobody knows what it does to this machine, for its program was changed on purpose. It is root in a user
# namespace of its own, whose root is nobody on this machine: what belongs to this machine's root (files, /proc/sys, devices, mounts)
# is not writable for it, a lab can be made in it, and its processes end with it.
# usage: walled.sh DIR COMMAND...     DIR can be seen also when it is in a directory for passing files, which are the command's own.
# An ordinary user has no wall, and needs none.
set -eu
[ "$(id -u)" = 0 ] || { shift; exec "$@"; }
if [ "${WALLED:-}" != yes ]; then
  unshare --user sleep 100000 &
  holder=$!
  trap 'kill $holder' EXIT
  until [ "$(readlink /proc/$holder/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
  echo "0 100000 65536" >/proc/$holder/uid_map
  echo "0 100000 65536" >/proc/$holder/gid_map
  code=0
  WALLED=yes nsenter --user --target $holder unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
    sh "$0" "$@" || code=$?
  exit $code
fi
unset WALLED
dir=$1
shift
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin  # root's own programs are not for it
for own in /tmp /var/tmp /run /dev/shm; do
  case "$dir" in "$own"/*) continue ;; esac  # it would be covered
  [ ! -d "$own" ] || mount -t tmpfs -o mode=1777 tmpfs "$own"
done
if touch /etc/wall 2>/dev/null || [ -w /proc/sys/kernel/panic ]; then
  echo "walled.sh: this machine can still be written to" >&2
  exit 125
fi
cd "$PWD"  # not through the mount that it was
exec "$@"
