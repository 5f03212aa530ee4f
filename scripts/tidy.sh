#!/bin/sh
# clang-tidy over the sources, against the compile commands of the clang build. usage: tidy.sh [--sources]
# With --sources, not over the tests (whose macros take it longest).
set -eu
cd "$(dirname "$0")/.."
cmake --preset clang >/dev/null
pattern='_test\.cc$|^tests/fuzz/'
[ "${1:-}" = "--sources" ] && pattern='_test\.cc$|^tests/'
git ls-files --cached --others --exclude-standard -- '*.cc' | grep -Ev "$pattern" |
  xargs -n 1 -P 2 clang-tidy-19 --quiet -p build/clang 2>/dev/null
