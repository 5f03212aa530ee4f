#!/bin/sh
# Runs each fuzzer of the sanitizers' build for some seconds on a corpus that stays in build/. usage: fuzz.sh [SECONDS]
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-10}
cmake --preset asan >/dev/null
targets=$(find tests/fuzz -name '*.cc' -exec basename {} .cc \; | sort)
# shellcheck disable=SC2086,SC2046  # lists of words
ninja -C build/asan --quiet $(printf 'fuzz_%s ' $targets)
failed=0 passed=0
for target in $targets; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus"
  if [ "$target" = machine ]; then cp examples/workstation.toml tests/binding/machine.toml "$corpus"; fi
  if "build/asan/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
      -artifact_prefix="build/fuzz/$target-" "$corpus" >"build/fuzz/$target.log" 2>&1; then
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
