#!/bin/sh
# clang-tidy over the sources, against the compile commands of the clang build.
set -eu
cd "$(dirname "$0")/.."
cmake --preset clang >/dev/null
git ls-files -z --cached --others --exclude-standard -- 'src/*.cc' 'tests/*.cc' |
  xargs -0 -n 2 -P 2 clang-tidy-19 --quiet -p build/clang 2>/dev/null
