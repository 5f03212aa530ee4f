#!/bin/sh
# Runs something on a minimal Debian: a root that holds nothing but what debootstrap calls minimal, and a copy of this
# clone in /anybind. Nothing of this machine is changed.
# usage: fresh_root.sh 12|13 [--keep DIR] [COMMAND...]     as root
#
# Without COMMAND: the commands that README tells, whole. COMMAND is run by sh in the clone.
# With --keep the root stays in DIR, and is used as it is the next time; else it is removed afterwards.
# The bare root and the packages that were fetched stay in build/fresh/, so that a second run fetches little.
set -eu
from=$PWD
cd "$(dirname "$0")/.."
usage() { echo "usage: fresh_root.sh 12|13 [--keep DIR] [COMMAND...]" >&2; exit 2; }

case "${1:-}" in
  12) suite=bookworm ;;
  13) suite=trixie ;;
  *) usage ;;
esac
version=$1
shift
kept=""
if [ "${1:-}" = --keep ]; then
  [ $# -ge 2 ] || usage
  case "$2" in /*) kept=$2 ;; *) kept=$from/$2 ;; esac
  shift 2
fi
[ "$(id -u)" = 0 ] || { echo "fresh_root.sh must be run by root" >&2; exit 5; }
cache=$PWD/build/fresh/$version
mkdir -p "$cache/archives"

# How this machine's apt gets at its mirror.
apt_settings() {
  apt-config dump | grep -E '^Acquire::(Check-|https?::.*Proxy|Retries)' || true
}

# How this machine's npm gets at its registry, as far as it is set here: into the root $1.
npm_settings() {
  command -v npm >/dev/null || return 0
  authority=$(npm config get cafile)
  [ ! -f "$authority" ] || { cp "$authority" "$1/root/npm-ca.pem" && echo "cafile=/root/npm-ca.pem"; } >>"$1/root/.npmrc"
  for setting in registry proxy https-proxy; do
    value=$(npm config get $setting)
    case "$value" in null | undefined | "") ;; *) echo "$setting=$value" >>"$1/root/.npmrc" ;; esac
  done
}

# Leaves $cache/bare, which is complete or not there.
make_bare() {
  [ ! -d "$cache/bare" ] || return 0
  echo "making a minimal root of Debian $version"
  scripts/debian_sources.sh "$suite" >"$cache/sources.list"
  sed -nE '1s/.*signed-by=([^]]*)\].*/\1/p' "$cache/sources.list" | tr ',' '\n' | xargs cat >"$cache/keyring.gpg"
  mirror=$(sed -nE '1s/^deb [^ ]* ([^ ]*) .*/\1/p' "$cache/sources.list")
  rm -rf "$cache/bare.new"
  debootstrap --variant=minbase --keyring="$cache/keyring.gpg" "$suite" "$cache/bare.new" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 20 "$cache/debootstrap.log" >&2; return 1; }
  rm -rf "$cache/bare.new"/var/cache/apt/archives/*.deb "$cache/bare.new"/var/lib/apt/lists/* "$cache/bare.new"/dev/*
  apt_settings >"$cache/bare.new/etc/apt/apt.conf.d/90machine"
  echo 'Acquire::Languages "none";' >>"$cache/bare.new/etc/apt/apt.conf.d/90machine"
  echo force-unsafe-io >"$cache/bare.new/etc/dpkg/dpkg.cfg.d/unsafe-io"
  mv "$cache/bare.new" "$cache/bare"
}

# The files that are committed, as they are now; where git cannot tell, all that are not in build/.
copy_clone() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z | tar -c --null -T -
  else
    echo "git does not know this clone: all of its files are copied" >&2
    scripts/sources.sh '*' | tar -c --null -T -
  fi | tar -x -C "$1" --no-same-owner
}

exec 9>"$cache/lock"
flock 9
make_bare
flock -u 9
exec 9>&-

root=${kept:-$(mktemp -d "$cache/root-XXXXXX")}
[ -n "$kept" ] || trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 1' HUP INT TERM
if [ ! -d "$root/usr" ]; then
  mkdir -p "$root"
  cp -a "$cache/bare/." "$root"
  mkdir "$root/anybind"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  echo "127.0.0.1 localhost" >"$root/etc/hosts"
  npm_settings "$root"
fi
copy_clone "$root/anybind"

if [ $# = 0 ]; then
  set -- "set -e; $(sed -n 's/^    \(scripts\/make\.sh [a-z]*\) .*/\1;/p' README.md)"
else
  set -- "$*"
fi
# A namespace for mounts, and one for processes, so that whatever was started ends with it.
status=0
unshare --mount --propagation private --pid --fork --kill-child --ipc --uts scripts/in_root.sh "$root" "$cache/archives" "$1" || status=$?
exit "$status"
