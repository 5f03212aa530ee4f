#!/bin/sh
# Runs a command with another root: the second half of fresh_root.sh, which calls it in namespaces of its own.
# usage: in_root.sh ROOT ARCHIVES COMMAND
# By pivot_root and not by chroot, in which no user namespace can be made.
set -eu
root=$1 archives=$2 command=$3
hostname fresh
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -o remount,bind,ro sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm dev/net
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
# Each node: name, major, minor.
for node in null/1/3 zero/1/5 full/1/7 random/1/8 urandom/1/9 tty/5/0 fuse/10/229; do
  numbers=${node#*/}
  mknod -m 666 "dev/${node%%/*}" c "${numbers%/*}" "${numbers#*/}"
done
mknod -m 666 dev/net/tun c 10 200
mkdir -p var/cache/apt/archives
mount --bind "$archives" var/cache/apt/archives
pivot_root . mnt
# shellcheck disable=SC2016  # for the inner shell
exec env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" \
  chroot . sh -c 'cd /anybind && umount -l /mnt && exec sh -c "$1"' sh "$command"
