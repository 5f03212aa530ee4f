#!/bin/sh
# Installs the Debian packages that are missing. usage: deps.sh build|test|bench
set -eu

build="g++ gcc libc6-dev make cmake ninja-build pkg-config libfmt-dev libcli11-dev libtomlplusplus-dev
  nlohmann-json3-dev libgtest-dev libgmock-dev libfuse3-dev pci.ids"
test="$build clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev libfuzzer-19-dev librapidcheck-dev
  valgrind python3 shellcheck git qemu-system-x86 busybox-static cpio gzip kmod xz-utils dpkg-dev
  fuse3 pciutils driverctl dpdk udev libudev-dev util-linux iproute2 lshw"
bench="$test libbenchmark-dev strace"

case "${1:-}" in
  build) wanted=$build ;;
  test) wanted=$test ;;
  bench) wanted=$bench ;;
  *) echo "usage: deps.sh build|test|bench" >&2; exit 2 ;;
esac

missing=""
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
if [ "$(id -u)" != 0 ]; then
  echo "not root; run: apt-get install$missing" >&2
  exit 1
fi
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
