#!/bin/sh
# The command compiled for arm64, where every warning is an error too, and run by QEMU: it says what the one of this machine says, and
# changes devices in a lab. Without the optimiser, which takes most of the time.
# usage: arm64_test.sh ANYBIND
set -eu
native=$(readlink -f "$1")
cd "$(dirname "$0")/../.."
passed=0 failed=0
check() { # DESCRIPTION COMMAND...
  what=$1
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok - $what"
  else
    failed=$((failed + 1))
    printf 'not ok - %s [%s]\n' "$what" "$(printf %s "$said" | tail -n 20)"
  fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
scripts/arm64.sh build/arm64/test -DCMAKE_BUILD_TYPE=None >"$scratch/compiled" 2>&1 || status=$?
if [ "$status" = 77 ]; then
  echo "skip - the mirror has no arm64"
  exit 77
fi
[ "$status" = 0 ] || { tail -n 30 "$scratch/compiled" >&2; exit 1; }
program=$PWD/build/arm64/test/anybind
# That of Debian 12 does not know openat2(), by which sysfs is read.
scripts/unpack_debs.sh build/arm64/qemu trixie "$(dpkg --print-architecture)" qemu-user
find build/arm64/qemu ! -type d ! -name qemu-aarch64 -delete
mkdir "$scratch/bin"
printf '#!/bin/sh\nexec %s %s "$@"\n' "$PWD/build/arm64/qemu/usr/bin/qemu-aarch64" "$program" >"$scratch/bin/anybind"
chmod +x "$scratch/bin/anybind"
foreign=$scratch/bin/anybind

for_arm64() {
  readelf -h "$program" | grep -q 'Machine: *AArch64' && ! readelf -lW "$program" | grep -q INTERP
}

# Each command by both; all that they print and the exit code must be the same.
same() {
  "$native" "$@" >"$scratch/native" 2>&1 && echo 0 >>"$scratch/native" || echo $? >>"$scratch/native"
  "$foreign" "$@" >"$scratch/foreign" 2>&1 && echo 0 >>"$scratch/foreign" || echo $? >>"$scratch/foreign"
  diff "$scratch/native" "$scratch/foreign"
}

check "it is for arm64, and linked statically" for_arm64
for words in --version --help "list" "list --json" "list --groups" "explain 03:00.0 vfio-pci" "explain --json 03:00.0 vfio-pci" "show 03:00.0" \
  "bind 03:00.0 vfio-pci" "bind --group 03:00.0 vfio-pci" "bind --group --json 03:00.0 vfio-pci" "bind --dry-run --group 03:00.0 vfio-pci" \
  "bind 06:00.0 nosuch" "bind 02:00.0 vfio-pci" "list nosuch" "doctor" "lab"; do
  # shellcheck disable=SC2086  # a list of words
  check "the same as here: ${words:-nothing}" same --lab examples/workstation.toml $words
done
check "the same: virtual functions" same --lab examples/server.toml vfs 3b:00.0 4
check "the same: the explorer" same race --scenario alone
for page in docs/machine-file.md examples/demo.sh; do check "the same: a file that is none of a machine" same --lab "$page" list; done

in_lab() {
  # shellcheck disable=SC2016  # for the shell in the lab
  TMPDIR=$scratch XDG_RUNTIME_DIR=$scratch "$native" lab exec examples/workstation.toml -- sh -euc '
    card=/sys/bus/pci/devices/0000:03:00.0
    "$1" bind --group 03:00.0 vfio-pci
    test "$(basename "$(readlink $card/driver)")" = vfio-pci
    "$1" list group:13
    "$1" restore group:13
    test "$(basename "$(readlink $card/driver)")" = amdgpu
    "$1" history' sh "$foreign"
}
check "in a lab it gives a card away and back" in_lab
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
