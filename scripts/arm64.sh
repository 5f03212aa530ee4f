#!/bin/sh
# Compiles the command for arm64, on a machine of another kind: build/arm64/obj/anybind, linked statically. Called by `make arm64`.
# usage: arm64.sh [DIR [WORD...]]        another folder for the build; more words for CMake
# The libraries are unpacked into build/arm64/root and not installed: dpkg of this machine learns of no other architecture.
# Exit 77: the mirror has no arm64.
set -eu
cd "$(dirname "$0")/.."
scripts/unpack_debs.sh build/arm64/root "$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)" arm64 \
  libfmt-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfuse3-dev
[ $# -gt 0 ] || set -- build/arm64/obj
build=$1
shift
[ -f "$build/build.ninja" ] || cmake --preset arm64 -B "$build" "$@" >/dev/null
cmake --build "$build" --target anybind -- --quiet
