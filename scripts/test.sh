#!/bin/sh
# Every test, and one line at the end that counts them. Called by `make test`.
set -u
cd "$(dirname "$0")/.." || exit
rm -f build/junit.xml
ctest --test-dir build -j2 --output-on-failure --no-tests=error --output-junit junit.xml
status=$?
scripts/summary.py build/junit.xml || status=1
exit $status
