#!/bin/sh
# Builds with a sanitizer and runs the unit and contract tests in it. usage: sanitized.sh asan|tsan [PROGRAM[:FILTER]...]
# With PROGRAMs, only these test programs are built and run, of each the tests that GoogleTest's FILTER names.
set -eu
cd "$(dirname "$0")/.."
preset=$1
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
cmake --preset "$preset" >/dev/null
shift
if [ $# != 0 ]; then
  # shellcheck disable=SC2046  # names of programs have no blanks
  cmake --build --preset "$preset" --target $(printf '%s\n' "$@" | sed 's/:.*//') -- --quiet
  for program; do
    name=${program%%:*}
    filter=$(printf '%s' "$program:*" | cut -d: -f2)
    "$(find "build/$preset" -name "$name" -type f)" --gtest_filter="$filter" || echo "[  FAILED  ] $name (0 ms)"
  done >"build/$preset/programs.log" 2>&1
  exec scripts/count_gtest.sh sh -c 'cat "$0"; ! grep -q "^\[  FAILED  \]" "$0"' "build/$preset/programs.log"
fi
cmake --build --preset "$preset" -- --quiet
status=0
# Not what compares the explorer's ways with each other: its other tests run the same code, and these take many minutes here. Nor what looks at
# the shells' completion and at pages of help, which is mostly others' work.
ctest --test-dir "build/$preset" -L 'unit|contract' -E '^race\.Reduction\.|^cli\.(complete|usage)$' -j2 --output-on-failure --no-tests=error \
  --test-output-size-passed 1000000 --test-output-size-failed 1000000 --output-junit junit.xml >"build/$preset/ctest.log" 2>&1 || status=1
[ "$status" = 0 ] || tail -n 200 "build/$preset/ctest.log"
scripts/summary.py "build/$preset/junit.xml" || status=1
exit "$status"
