#!/bin/sh
# Builds with a sanitizer and runs the unit and contract tests in it. usage: sanitized.sh asan|tsan [PROGRAM]
# With PROGRAM, only that test program is built and run.
set -eu
cd "$(dirname "$0")/.."
preset=$1
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
cmake --preset "$preset" >/dev/null
if [ $# = 2 ]; then
  cmake --build --preset "$preset" --target "$2" -- --quiet
  exec scripts/count_gtest.sh "$(find "build/$preset" -name "$2" -type f)"
fi
cmake --build --preset "$preset" -- --quiet
status=0
ctest --test-dir "build/$preset" -L 'unit|contract' -j2 --output-on-failure --no-tests=error \
  --test-output-size-passed 1000000 --test-output-size-failed 1000000 --output-junit junit.xml >"build/$preset/ctest.log" 2>&1 || status=1
[ "$status" = 0 ] || tail -n 200 "build/$preset/ctest.log"
scripts/summary.py "build/$preset/junit.xml" || status=1
exit "$status"
