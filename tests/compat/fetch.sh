#!/bin/sh
# Fetches driverctl and dpdk-devbind.py as releases of Debian have them, for the tests to compare with; installs nothing.
# usage: fetch.sh DIR SUITE...
# Leaves DIR/SUITE/driverctl and DIR/SUITE/dpdk-devbind.py; a suite that is there is not fetched again. Its lists of packages are its own,
# as those of tests/kernel/fetch_kernel.sh are. Exit 77: a mirror or a suite cannot be had.
set -eu
[ $# -ge 2 ] || { echo "usage: fetch.sh DIR SUITE..." >&2; exit 2; }
scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift

exec 9>"$dir/lock"
flock 9
for suite; do
  [ ! -x "$dir/$suite/dpdk-devbind.py" ] || continue
  work=$dir/$suite.new
  rm -rf "$work"
  mkdir -p "$work/lists/partial" "$work/debs"
  "$scripts/debian_sources.sh" "$suite" | head -n 1 >"$work/sources.list"
  set -- -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache::pkgcache="$work/pkgcache.bin" -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none -o APT::Sandbox::User=root -o Acquire::Retries=3
  apt-get "$@" -qq update >"$work/log" 2>&1 && (cd "$work/debs" && apt-get "$@" -qq download driverctl dpdk) >>"$work/log" 2>&1 ||
    { tail -n 3 "$work/log" >&2; exit 77; }
  for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  rm -rf "$work/lists" "$work/debs" "$work/pkgcache.bin" "${dir:?}/$suite"
  mkdir "$dir/$suite"
  cp "$work/root/usr/sbin/driverctl" "$work/root/usr/bin/dpdk-devbind.py" "$dir/$suite"
  rm -rf "$work"
done
