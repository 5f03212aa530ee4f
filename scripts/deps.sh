#!/bin/sh
# Installs the Debian packages that are missing. usage: deps.sh [--print] build|all|package|arm64|test|bench
# build: for the command; all: for everything that is compiled; package: for Debian's packages; arm64: for the command on another
# architecture; test: also for what tests run; bench: the benchmarks too.
# With --print only says what.
set -eu

build="g++ gcc libc6-dev make cmake ninja-build pkg-config libfmt-dev libcli11-dev libtomlplusplus-dev
  nlohmann-json3-dev libfuse3-dev libsystemd-dev pci.ids"
all="$build libgtest-dev libgmock-dev python3"
# npm for the page of Cockpit, which DEB_BUILD_PROFILES=pkg.anybind.nocockpit leaves out of the packages.
page="nodejs npm"
case " ${DEB_BUILD_PROFILES:-} " in *" pkg.anybind.nocockpit "*) page="" ;; esac
package="$build build-essential debhelper dpkg-dev python3 xz-utils $page"
arm64="cmake ninja-build dpkg-dev g++-aarch64-linux-gnu"
libvirt="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients"
# Debian 12 has it in libvirt-daemon.
grep -q '^VERSION_ID="12"' /etc/os-release || libvirt="$libvirt libvirt-daemon-driver-nodedev"
test="$all $arm64 $libvirt nodejs npm cockpit-ws cockpit-bridge chromium python3-dbus-next build-essential debhelper gpg gpg-agent lintian faketime clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev libfuzzer-19-dev librapidcheck-dev
  valgrind shellcheck debootstrap gcc-12 qemu-system-x86 busybox-static cpio gzip kmod xz-utils dpkg-dev
  dbus dbus-daemon polkitd procps e2fsprogs fuse3 pciutils driverctl dpdk udev libudev-dev util-linux iproute2 lshw bash zsh fish
  ansible-core"
bench="$test libbenchmark-dev strace"

print=""
if [ "${1:-}" = --print ]; then
  print=yes
  shift
fi
case "${1:-}" in
  build) wanted=$build ;;
  all) wanted=$all ;;
  package) wanted=$package ;;
  arm64) wanted=$arm64 ;;
  test) wanted=$test ;;
  bench) wanted=$bench ;;
  *) echo "usage: deps.sh [--print] build|all|package|arm64|test|bench" >&2; exit 2 ;;
esac

if [ -n "$print" ]; then
  # shellcheck disable=SC2086  # a list of words
  printf '%s\n' $wanted
  exit 0
fi

missing=""
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  # The nodejs of others than Debian brings npm with it, and does not go with Debian's npm.
  [ "$state" = installed ] || { [ "$package" = npm ] && command -v npm >/dev/null; } || missing="$missing $package"
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
