#!/bin/sh
# clang-tidy over the sources. usage: tidy.sh [--sources]
# With --sources, quickly: not over the tests, without the analyzer, and over several sources at a time, as the
# sanitizers' build joins them. What clang-tidy looks for in a main file only (unused names) is then left to the whole run.
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = "--sources" ]; then
  cmake --preset asan >/dev/null
  sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' build/asan/compile_commands.json | grep -Ev '_test\.dir/|/tests/' |
    xargs -n 1 -P 2 clang-tidy-19 --quiet --checks='-clang-analyzer-*,-bugprone-suspicious-include' -p build/asan 2>/dev/null
else
  cmake --preset clang >/dev/null
  scripts/sources.sh '*.cc' | tr '\0' '\n' | grep -Ev '_test\.cc$|^\./tests/fuzz/' |
    xargs -n 1 -P 2 clang-tidy-19 --quiet -p build/clang 2>/dev/null
fi
