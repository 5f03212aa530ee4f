# Runs the boot's part of the case in the booted system, says how that ended, and goes down.
# The kernel's console is ttyS0; ttyS1 is the line to run.py, for the results and for what it is asked to do.
# shellcheck shell=sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/anybind/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
exec 3<>/dev/ttyS1
stty raw -echo <&3
exec </dev/null >&3 2>&3

part=$(sed -n 's/.*anybind\.part=\([a-z0-9]*\).*/\1/p' /proc/cmdline)
echo "@start $part $(uname -r)"
PART=$part sh -eu -c '. /anybind/lib.sh; . /anybind/case.sh; "$PART"'
status=$?
[ "$status" = 0 ] || echo "not ok - $part runs to its end [status $status]"
echo "@end"
exec systemctl poweroff
