#!/bin/sh
# A case with a check that does not hold.
. /lib.sh
check "this holds" true
check "this does not" false
