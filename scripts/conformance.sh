#!/bin/sh
# Random operations on each real kernel of tests/kernel/kernels.list and on models captured from them: conformance.sh OPERATIONS [SEED]
# One guest a kernel, all at the same time. What each says is printed when it ends.
set -u
cd "$(dirname "$0")/.." || exit
operations=$1 seed=${2:-$(date +%s)}
versions=$(sed -n 's/^\([0-9][0-9.]*\) .*/\1/p' tests/kernel/kernels.list)
status=0
mkdir -p build
for version in $versions; do
  rm -f "build/conformance-$version.done"
  {
    tests/kernel/run.py tests/kernel/cases/conformance.sh --kernel "$version" --anybind build/anybind --payload build/conformance \
      --set "anybind_operations=$operations" --set "anybind_seed=$seed" --limit "$((operations / 6 + 300))" \
      >"build/conformance-$version.log" 2>&1 && touch "build/conformance-$version.done"
  } &
done
wait
for version in $versions; do
  echo "== Linux $version"
  cat "build/conformance-$version.log"
  [ -e "build/conformance-$version.done" ] || status=1
done
exit $status
