#!/bin/sh
# Fetches Debian 12's newest kernel of a series, and the headers to build modules for it; installs nothing.
# Its lists of packages are its own, so that it works the same on any Debian that has a mirror, and leaves the machine's alone.
# usage: fetch_kernel.sh 6.1|6.12 DIR
#
# Leaves DIR/root (the unpacked packages) and, as the last thing, DIR/release with the kernel's release in it:
# while that file is missing, whatever else is there is the rest of an interrupted fetch and is thrown away.
set -eu

[ $# = 2 ] || { echo "usage: fetch_kernel.sh 6.1|6.12 DIR" >&2; exit 2; }
version=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)

# apt-get or apt-cache on those lists.
of_debian_12() {
  tool=$1
  shift
  "$tool" -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$dir/lists" \
    -o Dir::Cache::pkgcache="$dir/pkgcache.bin" -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none \
    -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

update() {
  mkdir -p "$dir/lists/partial"
  "$scripts/debian_sources.sh" bookworm >"$dir/sources.list"
  of_debian_12 apt-get -qq update
}

# Package names change with every update, so look for what is there: of linux-image-6.1.0-56-amd64,
# linux-image-6.12.117+deb12-amd64 and so on the newest; flavours such as cloud and rt do not fit the pattern.
releases() {
  series=$(printf %s "$version" | sed 's/\./\\./g')
  of_debian_12 apt-cache pkgnames "linux-image-$version." |
    sed -nE "s/^linux-image-($series\.[0-9]+([+-][0-9a-z]+)?-amd64)(-unsigned)?\$/\1/p" | sort -ruV
}

# Of a name that other packages only mention, `apt-cache show` prints nothing and succeeds.
available() {
  of_debian_12 apt-cache show "$1" 2>/dev/null | grep -q .
}

# Prints the release and then the packages to fetch for it, one a line.
choose() {
  for release in $(releases); do
    available "linux-headers-$release" || continue
    for image in "linux-image-$release" "linux-image-$release-unsigned"; do
      available "$image" || continue
      printf '%s\n' "$release" "$image" "linux-headers-$release"
      of_debian_12 apt-cache show --no-all-versions "linux-headers-$release" | sed -n 's/^Depends: //p' | tr ',' '\n' |
        sed -nE 's/^ *(linux-headers-[^ ]*-common|linux-kbuild-[^ ]*).*/\1/p'
      return 0
    done
  done
  echo "no package linux-image-$version.*-amd64 with headers in the package lists" >&2
  return 1
}

# In a condition `set -e` has no effect, hence the chain.
# shellcheck disable=SC2046  # a list of words
download() {
  choose >"$dir/chosen" && rm -rf "$dir/debs" && mkdir "$dir/debs" && cd "$dir/debs" &&
    of_debian_12 apt-get -qq download $(tail -n +2 "$dir/chosen")
}

unpack() {
  rm -rf "$dir/root"
  mkdir "$dir/root"
  for deb in "$dir"/debs/*.deb; do
    dpkg-deb -x "$deb" "$dir/root"
  done
  sed -i 's|/usr/src/|../|' "$dir/root/usr/src/linux-headers-$release/Makefile"  # it is not in /usr/src
}

exec 9>"$dir/lock"
flock 9
[ ! -s "$dir/release" ] || exit 0

update
download
release=$(head -n 1 "$dir/chosen")
unpack
depmod -b "$dir/root" "$release"
rm -rf "$dir/debs" "$dir/lists" "$dir/pkgcache.bin"
printf '%s\n' "$release" >"$dir/release.new"
mv "$dir/release.new" "$dir/release"
echo "fetched $release"
