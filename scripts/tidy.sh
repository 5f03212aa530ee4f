#!/bin/sh
# clang-tidy over the sources, against the compile commands of the clang build. usage: tidy.sh [--sources]
# With --sources, not over the tests (whose macros take it longest), and without the analyzer (half of the time).
set -eu
cd "$(dirname "$0")/.."
cmake --preset clang >/dev/null
pattern='_test\.cc$|^tests/fuzz/' checks=
if [ "${1:-}" = "--sources" ]; then
  pattern='_test\.cc$|^tests/' checks='-clang-analyzer-*'
fi
git ls-files --cached --others --exclude-standard -- '*.cc' | grep -Ev "$pattern" |
  xargs -n 1 -P 2 clang-tidy-19 --quiet --checks="$checks" -p build/clang 2>/dev/null
