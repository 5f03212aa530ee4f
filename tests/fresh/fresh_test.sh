#!/bin/sh
# The README's first command in a minimal root, whole but for the optimiser: it installs, builds and shows the main job; and packages are made of
# what was built, and installed. And Debian has every package that the other commands would install.
# usage: fresh_test.sh 12|13
set -eu
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ] || ! unshare --mount --pid --fork --ipc --uts true 2>/dev/null; then
  echo "skip - making a root needs root and namespaces"
  exit 77
fi
log=build/fresh/$1.log
mkdir -p build/fresh
first=$(sed -n 's/^    \(scripts\/make\.sh run\) .*/\1/p' README.md)
[ -n "$first" ] || { echo "README has no line 'scripts/make.sh run'" >&2; exit 1; }

# Of this machine's own release, whose compiler `make test` itself has used by now: every header that the command wants is there, and what is
# linked is found. Of the other, whose compiler is another one: the command as README says, and Debian's packages of what was built.
if [ "$1" = "$(sed -n 's/^VERSION_ID="\(.*\)"/\1/p' /etc/os-release)" ]; then
  try="
  scripts/deps.sh build
  cmake --preset default -DANYBIND_TESTS=OFF -DANYBIND_BENCH=OFF -DCMAKE_UNITY_BUILD=ON >/dev/null
  ninja -C build -t commands anybind libanybind | grep ' -c ' | sed -E 's/ -MD -MT [^ ]+ -MF [^ ]+//; s/ -o [^ ]+ -c / -E -o \/dev\/null /' >/tmp/each
  [ \$(wc -l </tmp/each) -gt 20 ]
  cd build
  while read -r each; do sh -c \"\$each\"; done </tmp/each
  cd ..
  echo 'tried: every source finds its headers'"
else
  try="
  $first CONFIGURE='-DCMAKE_BUILD_TYPE=None -DCMAKE_UNITY_BUILD_BATCH_SIZE=0'
  echo \"built: \$(build/anybind --version)\"
  export DEB_BUILD_PROFILES=pkg.anybind.nocockpit  # npm is no part of a bare root, and may reach nothing from it
  scripts/deps.sh package
  ! command -v npm
  scripts/release.py changelog
  ANYBIND_BUILD=\$PWD/build ANYBIND_CONFIGURE='-DCMAKE_BUILD_TYPE=None -DANYBIND_HARDEN=OFF' DEB_BUILD_OPTIONS=noautodbgsym \\
    dpkg-buildpackage -b -us -uc
  apt-get install -qq -y --no-install-recommends ../*.deb >/dev/null
  /usr/sbin/anybind --version
  debian/tests/library
  debian/tests/lab
  echo 'tried: built, packaged, installed, and it works'"
fi

status=0
scripts/fresh_root.sh "$1" "
  set -e
  for program in make cmake ninja c++ g++ gcc cc python3 git; do
    ! command -v \$program || { echo \"this root is not bare: it has \$program\"; exit 1; }
  done
  $try
  apt-get install --simulate -qq --no-install-recommends \$(scripts/deps.sh --print bench) >/dev/null
  echo 'every package of scripts/deps.sh is there'
" >"$log" 2>&1 || status=$?
if [ "$status" = 0 ] && grep -q '^every package of ' "$log" && grep -q '^tried: ' "$log" &&
    { ! grep -q '^tried: built' "$log" || { grep -q '^built: anybind ' "$log" && grep -q 'anybind restore group:13' "$log"; }; }; then
  grep -E '^built: |^every package of |^tried: ' "$log"
  exit 0
fi
tail -n 60 "$log"
echo "$log: exit status $status" >&2
exit 1
