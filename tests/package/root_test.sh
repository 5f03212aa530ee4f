#!/bin/sh
# The packages that package.build has made, in a minimal root: installed, upgraded, removed, purged, and nothing is left behind.
# usage: root_test.sh 12|13
set -eu
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --fork --ipc --uts true 2>/dev/null; then
  echo "skip - making a root needs root and namespaces"
  exit 77
fi
root=$PWD/build/package/root$1
rm -rf "$root"
mkdir -p "$root"
trap 'rm -rf --one-file-system "$root"' EXIT
status=0
scripts/fresh_root.sh "$1" --keep "$root" true
mkdir -p "$root/anybind/build/dist"
cp build/dist/*.deb "$root/anybind/build/dist"
scripts/fresh_root.sh "$1" --keep "$root" sh tests/package/in_root.sh || status=$?
exit $status
