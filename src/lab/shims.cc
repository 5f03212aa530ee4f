#include "lab/shims.h"

#include <unistd.h>

#include <fmt/format.h>

#include "lab/inside.h"

namespace anybind::lab {

std::string kmod_path() {
  for (const char* path : {"/usr/bin/kmod", "/bin/kmod", "/usr/sbin/kmod", "/sbin/kmod"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "";
}

std::string kmod_shim(const std::string& anybind, const std::string& own) {
  return fmt::format(R"(#!/bin/sh
# The lab's modprobe, rmmod, insmod and lsmod; the others are kmod's own, which goes by the name that it has.
name=${{0##*/}}
case $name in
  modprobe | rmmod | insmod) exec {} lab kmod "$name" -- "$@" ;;
  lsmod)
    echo 'Module                  Size  Used by'
    while read -r module size uses rest; do printf '%-19s %8s  %s\n' "$module" "$size" "$uses"; done <{}/modules
    exit
    ;;
esac
exec {}/"$name" "$@"
)",
                     anybind, kMounted, own);
}

}  // namespace anybind::lab
