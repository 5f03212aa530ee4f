#!/bin/sh
# A case that stops at a command that fails.
. /lib.sh
check "this holds" true
false
