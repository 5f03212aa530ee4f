#!/bin/sh
# A case whose kernel dies.
. /lib.sh
check "this holds" true
echo c >/proc/sysrq-trigger
