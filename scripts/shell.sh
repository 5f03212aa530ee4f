#!/bin/sh
# Lints every shell script with shellcheck, and a syntax check of every Python one.
set -eu
cd "$(dirname "$0")/.."
git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 shellcheck --severity=warning
git ls-files -z --cached --others --exclude-standard -- '*.py' |
  xargs -0 python3 -c 'import ast, sys; [ast.parse(open(path).read(), path) for path in sys.argv[1:]]'
