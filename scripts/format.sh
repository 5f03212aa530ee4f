#!/bin/sh
# Checks that every source file has the project's format; --fix rewrites them.
set -eu
cd "$(dirname "$0")/.."
mode="--dry-run -Werror"
[ "${1:-}" = "--fix" ] && mode="-i"
# shellcheck disable=SC2086  # options, not one word
scripts/sources.sh '*.cc' '*.h' | xargs -0 clang-format-19 $mode
