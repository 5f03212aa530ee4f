# Runs the case's `prepare` in the root before it boots, by another root and in namespaces of its own.
# shellcheck shell=sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/anybind/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8
export DEBIAN_FRONTEND=noninteractive
exec 2>&1
sh -eu -c '. /anybind/lib.sh; . /anybind/case.sh; prepare'
status=$?
[ "$status" = 0 ] || echo "not ok - prepare runs to its end [status $status]"
echo "@end"
exit "$status"
