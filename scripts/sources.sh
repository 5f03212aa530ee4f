#!/bin/sh
# Prints the files of the project that fit one of the patterns, each ended by a NUL. usage: sources.sh PATTERN...
# Not by git, which may be missing, or refuse a clone that another user owns, or this may be no clone.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: sources.sh PATTERN..." >&2; exit 2; }
for pattern; do
  shift
  set -- "$@" -o -name "$pattern"
done
shift
find . \( -path ./build -o -path ./.git -o -path ./.cache -o -name __pycache__ -o -name node_modules -o -path ./cockpit/dist -o -path ./cockpit/dist-test \) -prune -o -type f \( "$@" \) -print0
