#!/bin/sh
# Every test, and one line at the end that counts them. Called by `make test`.
set -u
cd "$(dirname "$0")/.." || exit
rm -f build/junit.xml
# Three tests on two cores: those in guests wait for a quarter of their time.
# The counts stand at the end of what the tests print, so ctest must not cut it.
ctest --test-dir build -j3 --output-on-failure --no-tests=error --output-junit junit.xml \
  --test-output-size-passed 1000000 --test-output-size-failed 1000000
status=$?
scripts/summary.py build/junit.xml || status=1
exit $status
