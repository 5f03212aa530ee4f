#!/bin/sh
# Builds the page of Cockpit from cockpit/ into DIR/dist, with the npm modules that its lock file names; what npm fetched stays in
# DIR for the next time. Nothing is written to cockpit/. usage: page.sh DIR
set -eu
cd "$(dirname "$0")/.."
[ $# = 1 ] || { echo "usage: page.sh DIR" >&2; exit 2; }
for program in node npm; do
  command -v $program >/dev/null || { echo "page.sh: $program is not installed; install it by: apt-get install nodejs npm" >&2; exit 1; }
done
mkdir -p "$1"
to=$(cd "$1" && pwd)
exec 8>"$to/.lock"
flock 8
find "$to" -mindepth 1 -maxdepth 1 ! -name node_modules ! -name .lock -exec rm -rf {} +
tar -C cockpit --exclude=./node_modules --exclude=./dist --exclude=./dist-test -c . | tar -x -C "$to" --no-same-owner
cd "$to"
wanted=$(cat package.json package-lock.json | sha256sum)
if [ "$(cat node_modules/.of 2>/dev/null || true)" != "$wanted" ]; then
  npm ci --ignore-scripts --prefer-offline --no-audit --no-fund >npm.log 2>&1 || {
    tail -n 20 npm.log >&2
    cat >&2 <<END
page.sh: npm could not fetch the modules of the page, so the page of Cockpit cannot be built. See whether npm reaches its registry by:
  npm ping
or build the packages without the page by: DEB_BUILD_PROFILES=pkg.anybind.nocockpit make deb
END
    exit 1
  }
  printf '%s\n' "$wanted" >node_modules/.of
fi
npm run --silent build >build.log 2>&1 || { cat build.log >&2; echo "page.sh: the page does not build; see above" >&2; exit 1; }
[ -s dist/manifest.json ] || { echo "page.sh: the build left no dist/manifest.json" >&2; exit 1; }
