#!/bin/sh
# make, on a machine that may have nothing yet, not even make: installs what the command's build needs, then calls it.
# usage: make.sh run|test|...
set -eu
cd "$(dirname "$0")/.."
scripts/deps.sh build
exec make "$@"
