#!/bin/sh
# Runs each fuzzer of the sanitizers' build for some seconds, from the seeds in tests/fuzz/corpus and on a corpus that
# stays in build/. usage: fuzz.sh [SECONDS [TARGET...]]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-10}
[ $# = 0 ] || shift
cmake --preset asan >/dev/null
targets=${*:-$(find tests/fuzz -name '*.cc' -exec basename {} .cc \; | sort)}
# shellcheck disable=SC2086,SC2046  # lists of words
ninja -C build/asan --quiet $(printf 'fuzz_%s ' $targets)
failed=0 passed=0
for target in $targets; do
  corpus=build/fuzz/corpus/$target seeds=tests/fuzz/corpus/$target dictionary=tests/fuzz/$target.dict
  mkdir -p "$corpus"
  if [ "$target" = machine ]; then cp examples/workstation.toml tests/binding/machine.toml "$corpus"; fi
  if [ ! -d "$seeds" ]; then seeds=; fi
  if [ ! -f "$dictionary" ]; then dictionary=; fi
  # The two that are optional are one word each, or none.
  # shellcheck disable=SC2086
  if "build/asan/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
      ${dictionary:+-dict=$dictionary} -artifact_prefix="build/fuzz/$target-" "$corpus" $seeds >"build/fuzz/$target.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok - $target: $(grep -o 'Done [0-9]* runs in [0-9]* second' "build/fuzz/$target.log")s"
  else
    failed=$((failed + 1))
    echo "not ok - $target"
    tail -n 40 "build/fuzz/$target.log"
  fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
