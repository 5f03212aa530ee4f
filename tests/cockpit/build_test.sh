#!/bin/sh
# Builds the page into build/cockpit/page and runs its own tests there, the compiler's check of types first.
set -eu
cd "$(dirname "$0")/../.."
SCHEMAS=$PWD/docs/schema
export SCHEMAS
scripts/page.sh build/cockpit/page
cd build/cockpit/page
npm run --silent check
failed=0
npm run --silent test >test.log 2>&1 || failed=1
[ "$failed" = 0 ] || cat test.log
count() { sed -n "s/^# $1 //p" test.log; }
echo "$(count pass) passed, $(count fail) failed, $(count skipped) skipped"
exit "$failed"
