#!/bin/sh
# A case that never ends.
# limit: 12
. /lib.sh
check "this holds" true
sleep 1000
