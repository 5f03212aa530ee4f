#!/bin/sh
# Unpacks packages of a release of Debian into DIR, also those of another architecture, and installs nothing. DIR is whole or not there, and
# stays as it is once it is there. The lists of packages are its own, as those of tests/kernel/fetch_kernel.sh are.
# usage: unpack_debs.sh DIR SUITE ARCHITECTURE PACKAGE...
# Exit 77: the mirror does not have that.
set -eu
[ $# -ge 4 ] || { echo "usage: unpack_debs.sh DIR SUITE ARCHITECTURE PACKAGE..." >&2; exit 2; }
scripts=$(cd "$(dirname "$0")" && pwd)
dir=$1 suite=$2 architecture=$3
shift 3
mkdir -p "$(dirname "$dir")"
dir=$(cd "$(dirname "$dir")" && pwd)/$(basename "$dir")
exec 9>"$dir.lock"
flock 9
[ ! -d "$dir" ] || exit 0

work=$dir.new
rm -rf "$work"
mkdir -p "$work/root" "$work/lists/partial" "$work/debs"
"$scripts/debian_sources.sh" "$suite" | head -n 1 >"$work/sources.list"
apt() {
  apt-get -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::State::Status=/dev/null \
    -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache::pkgcache="$work/pkgcache.bin" -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none -o APT::Sandbox::User=root \
    -o Acquire::Retries=3 -qq "$@"
}
{ apt update && (cd "$work/debs" && apt download "$@"); } >"$work/log" 2>&1 || { tail -n 3 "$work/log" >&2; exit 77; }
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
mv "$work/root" "$dir"
rm -rf "$work"
