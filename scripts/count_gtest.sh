#!/bin/sh
# Runs a GoogleTest program and ends with "N passed, N failed, N skipped", so that each of its tests counts.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$@" >"$log" 2>&1
status=$?
cat "$log"
passed=$(grep -c '^\[       OK \]' "$log")
failed=$(grep -c '^\[  FAILED  \] .*ms)$' "$log")
skipped=$(grep -c '^\[  SKIPPED \] .*ms)$' "$log")
[ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1  # it died
echo "$passed passed, $failed failed, $skipped skipped"
[ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" != 0 ]
