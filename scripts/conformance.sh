#!/bin/sh
# Random operations on both real kernels and on models captured from them: conformance.sh OPERATIONS [SEED]
# One guest a kernel, at the same time. What each says is printed when it ends.
set -u
cd "$(dirname "$0")/.." || exit
operations=$1 seed=${2:-$(date +%s)}
status=0
run() {
  tests/kernel/run.py tests/kernel/cases/conformance.sh --kernel "$1" --anybind build/anybind --payload build/conformance \
    --set "anybind_operations=$operations" --set "anybind_seed=$seed" --limit "$((operations / 10 + 300))"
}
run 6.1 >build/conformance-6.1.log 2>&1 &
first=$!
run 6.12 >build/conformance-6.12.log 2>&1 || status=1
wait "$first" || status=1
for version in 6.1 6.12; do
  echo "== Linux $version"
  cat "build/conformance-$version.log"
done
exit $status
