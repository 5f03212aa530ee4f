#!/bin/sh
# Runs a command of which nobody knows what it does to this machine, for its program was changed on purpose: everything is
# read-only but DIR and directories for passing files, which are its own, and its processes end with it.
# usage: walled.sh DIR COMMAND...     An ordinary user has no wall, and needs none: root's files are not writable for him.
set -eu
[ "$(id -u)" = 0 ] || { shift; exec "$@"; }
if [ "${WALLED:-}" != yes ]; then
  WALLED=yes exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc sh "$0" "$@"
fi
unset WALLED
dir=$1
shift
mount --bind "$dir" "$dir"
# The last one is DIR; a mount that is covered by another one cannot be reached, and need not be.
awk '{ print $2 }' /proc/self/mounts | while read -r at; do
  mount -o remount,bind,ro "$(printf '%b' "$at")" 2>/dev/null || true
done
mount -o remount,bind,rw "$dir"
for own in /tmp /var/tmp /run /dev/shm; do
  case "$dir" in "$own"/*) continue ;; esac  # it would be covered
  [ ! -d "$own" ] || mount -t tmpfs -o mode=1777 tmpfs "$own"
done
if touch /etc/wall 2>/dev/null; then
  echo "walled.sh: /etc can still be written" >&2
  exit 125
fi
cd "$PWD"  # not through the mount that it was
exec "$@"
