#!/bin/sh
# Builds Debian's packages of this clone into build/dist/, hardened, with SHA256SUMS. Called by `make deb`.
# usage: deb.sh [--in DIR] [--out DIR]
# The page of Cockpit needs npm, and what npm fetches; DEB_BUILD_PROFILES=pkg.anybind.nocockpit leaves it out.
# DIR keeps the compiled files, so that the next time only what has changed is compiled; default build/package.
set -eu
cd "$(dirname "$0")/.."
work=$PWD/build/package out=$PWD/build/dist
while [ $# -gt 0 ]; do
  case "$1" in
    --in) work=$2 ;;
    --out) out=$2 ;;
    *) echo "usage: deb.sh [--in DIR] [--out DIR]" >&2; exit 2 ;;
  esac
  shift 2
done
mkdir -p "$work" "$out"
work=$(cd "$work" && pwd)
out=$(cd "$out" && pwd)

exec 9>"$work/lock"
flock 9
rm -rf "$work/src" "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes
scripts/release.py stage "$work/src"
# Without what debuggers read, which takes a third more time; who builds with dpkg-buildpackage gets that.
(cd "$work/src" &&
  ANYBIND_BUILD=$work/obj DEB_BUILD_OPTIONS="parallel=2 noautodbgsym ${DEB_BUILD_OPTIONS:-}" DEB_CFLAGS_STRIP=-g DEB_CXXFLAGS_STRIP=-g \
    dpkg-buildpackage -b -us -uc) >"$work/log" 2>&1 || { grep -vE "^\[[0-9]+/[0-9]+\]|^c?cache |/c\+\+ -D" "$work/log" | tail -n 30 >&2; exit 1; }
rm -f "$out"/anybind*.deb "$out"/libanybind*.deb "$out"/cockpit-anybind*.deb "$out"/*anybind*.spdx.json
cp "$work"/*.deb "$out"
for sbom in "$work"/src/debian/*.spdx.json; do
  name=${sbom##*/}
  cp "$sbom" "$out/${name%.spdx.json}-$(scripts/release.py version).spdx.json"
done
scripts/release.py sums "$out"
ls "$out"
