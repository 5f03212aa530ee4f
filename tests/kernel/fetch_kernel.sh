#!/bin/sh
# Fetches the newest kernel of a series of kernels.list, and the headers to build modules for it; installs nothing.
# Its lists of packages are its own, so that it works the same on any Debian that has a mirror, and leaves the machine's alone.
# usage: fetch_kernel.sh SERIES DIR      of kernels.list, such as 6.12
#        fetch_kernel.sh --news DIR      which series the suites have that kernels.list does not name
#
# Leaves DIR/root (the unpacked packages) and, as the last thing, DIR/release with the kernel's release in it:
# while that file is missing, whatever else is there is the rest of an interrupted fetch and is thrown away.
# Exit 77: the mirror does not have that suite.
set -eu

usage() { echo "usage: fetch_kernel.sh SERIES|--news DIR" >&2; exit 2; }
[ $# = 2 ] || usage
series=$1
here=$(cd "$(dirname "$0")" && pwd)
scripts=$(cd "$here/../../scripts" && pwd)
named() { sed -n 's/^\([0-9][0-9.]*\) .*/\1/p' "$here/kernels.list"; }
suites() { sed -n 's/^[0-9][0-9.]* \([a-z-]*\)$/\1/p' "$here/kernels.list" | sort -u; }
suite=$(sed -n "s/^$(printf %s "$series" | sed 's/\./\\./g') \([a-z-]*\)\$/\1/p" "$here/kernels.list")
if [ "$series" != --news ] && [ -z "$suite" ]; then
  echo "kernels.list has no series $series; it has $(named | paste -sd ' ')" >&2
  exit 2
fi
mkdir -p "$2"
dir=$(cd "$2" && pwd)

# apt-get or apt-cache on those lists.
of_suite() {
  tool=$1
  shift
  "$tool" -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$dir/lists" \
    -o Dir::Cache::pkgcache="$dir/pkgcache.bin" -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none \
    -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

update() {
  rm -rf "$dir/lists" "$dir/pkgcache.bin"
  mkdir -p "$dir/lists/partial"
  for each in "$@"; do
    "$scripts/debian_sources.sh" "$each"
  done >"$dir/sources.list"
  of_suite apt-get -qq update 2>"$dir/update.log" && return 0
  cat "$dir/update.log" >&2
  grep -q 'does not have a Release file' "$dir/update.log" || return 1
  exit 77
}

# The releases of the series that fit a pattern, newest first. Package names change with every update, so look for what is there: linux-image-6.1.0-56-amd64,
# linux-image-6.12.117+deb12-amd64 and so on; flavours such as cloud and rt do not fit the pattern.
releases() {
  of_suite apt-cache pkgnames linux-image- |
    sed -nE "s/^linux-image-($1\.[0-9]+([+-][0-9a-z.]+)?-amd64)(-unsigned)?\$/\1/p" | sort -ruV
}

# Of a name that other packages only mention, `apt-cache show` prints nothing and succeeds.
available() {
  of_suite apt-cache show "$1" 2>/dev/null | grep -q .
}

# The packages that a package needs, and whose names fit a pattern.
needs() {
  of_suite apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p' | tr ',' '\n' | sed -nE "s/^ *($2)( .*)?\$/\1/p"
}

# Prints the release and then the packages to fetch for it, one a line.
choose() {
  for release in $(releases "$(printf %s "$series" | sed 's/\./\\./g')"); do
    available "linux-headers-$release" || continue
    for image in "linux-image-$release" "linux-image-$release-unsigned"; do
      available "$image" || continue
      printf '%s\n' "$release" "$image" "linux-headers-$release"
      needs "$image" 'linux-(binary|modules|base)-[0-9][^ ]*'
      needs "linux-headers-$release" 'linux-headers-[^ ]*-common|linux-kbuild-[^ ]*'
      return 0
    done
  done
  echo "no package linux-image-$series.*-amd64 with headers in the package lists of $suite" >&2
  return 1
}

# Everything that is there and not in kernels.list, of the versions that are newer than the oldest in it.
news() {
  # shellcheck disable=SC2046  # a list of words
  update $(suites)
  for release in $(releases '[0-9]+\.[0-9]+'); do
    available "linux-headers-$release" && printf '%s\n' "$release" | sed -E 's/^([0-9]+\.[0-9]+)\..*/\1/'
  done | sort -uV | while read -r found; do
    named | grep -qxF "$found" || echo "$found is there, and not in kernels.list"
  done
}

# In a condition `set -e` has no effect, hence the chain.
# shellcheck disable=SC2046  # a list of words
download() {
  choose >"$dir/chosen" && rm -rf "$dir/debs" && mkdir "$dir/debs" && cd "$dir/debs" &&
    of_suite apt-get -qq download $(tail -n +2 "$dir/chosen")
}

unpack() {
  rm -rf "$dir/root"
  mkdir "$dir/root"
  for deb in "$dir"/debs/*.deb; do
    dpkg-deb -x "$deb" "$dir/root"
  done
  [ -e "$dir/root/lib/modules" ] || ln -sT usr/lib "$dir/root/lib"
  sed -i 's|/usr/src/|../|' "$dir/root/usr/src/linux-headers-$release/Makefile"  # it is not in /usr/src
}

exec 9>"$dir/lock"
flock 9
if [ "$series" = --news ]; then
  news
  exit 0
fi
[ ! -s "$dir/release" ] || exit 0

update "$suite"
download
release=$(head -n 1 "$dir/chosen")
unpack
depmod -b "$dir/root" "$release"
rm -rf "$dir/debs" "$dir/lists" "$dir/pkgcache.bin"
printf '%s\n' "$release" >"$dir/release.new"
mv "$dir/release.new" "$dir/release"
echo "fetched $release"
