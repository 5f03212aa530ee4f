#!/bin/sh
# Builds everything with a sanitizer and runs the unit and contract tests in it. usage: sanitized.sh asan|tsan
set -eu
cd "$(dirname "$0")/.."
preset=$1
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" -- --quiet
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
ctest --test-dir "build/$preset" -L 'unit|contract' -j2 --output-on-failure --no-tests=error \
  --output-junit junit.xml >"build/$preset/ctest.log" 2>&1 || { tail -n 200 "build/$preset/ctest.log"; exit 1; }
scripts/summary.py "build/$preset/junit.xml"
