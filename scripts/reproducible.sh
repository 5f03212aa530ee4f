#!/bin/sh
# Builds the packages twice from the tarball: in folders, at dates, time zones and with rights of files that differ.
# Are they the same bytes? Called by `make reproducible`.
set -eu
cd "$(dirname "$0")/.."
work=$PWD/build/reproducible
rm -rf "$work"
mkdir -p "$work/first" "$work/another"
export CCACHE_DISABLE=1
tarball=$(scripts/release.py dist "$work")
scripts/release.py dist "$work/first" >/dev/null
cmp "$tarball" "$work/first/${tarball##*/}"

# build FOLDER UMASK ZONE COMMAND...: the packages are in FOLDER/out
build() {
  folder=$1 umask=$2 zone=$3
  shift 3
  (umask "$umask" && tar -C "$folder" -xf "$tarball" --strip-components=1 --no-same-permissions &&
    TZ=$zone "$@" "$folder/scripts/deb.sh" --out "$folder/out")
}
build "$work/first" 022 UTC env
build "$work/another" 077 Pacific/Auckland env NO_FAKE_STAT=1 faketime -f +40d
status=0
for file in "$work"/first/out/*; do
  cmp "$file" "$work/another/out/${file##*/}" || status=1
done
[ "$status" = 0 ] && echo "the same bytes: $(find "$work/first/out" -type f | wc -l) files"
exit $status
