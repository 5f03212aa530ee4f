#!/bin/sh
# Lints every shell script with shellcheck, and a syntax check of every Python one.
set -eu
cd "$(dirname "$0")/.."
scripts/sources.sh '*.sh' run anybind | xargs -0 shellcheck --severity=warning
scripts/sources.sh '*.py' |
  xargs -0 python3 -c 'import ast, sys; [ast.parse(open(path).read(), path) for path in sys.argv[1:]]'
