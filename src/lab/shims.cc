#include "lab/shims.h"

#include <unistd.h>

#include <fmt/format.h>

namespace anybind::lab {

std::string kmod_path() {
  for (const char* path : {"/usr/bin/kmod", "/bin/kmod", "/usr/sbin/kmod", "/sbin/kmod"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "";
}

std::string kmod_shim(const std::string& anybind, const std::string& kmod) {
  return fmt::format(R"(#!/bin/sh
# The lab's modprobe, rmmod and insmod; lsmod, modinfo and depmod are kmod's own.
name=${{0##*/}}
case $name in
  modprobe | rmmod | insmod) exec {} lab kmod "$name" -- "$@" ;;
  kmod) exec {} "$@" ;;
esac
exec {} "$name" "$@"
)",
                     anybind, kmod, kmod);
}

}  // namespace anybind::lab
