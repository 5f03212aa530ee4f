#pragma once

#include <array>
#include <string>

namespace anybind::lab {

/// The names under which kmod's programs are called: those of the lab's own first.
inline constexpr std::array kKmodNames = {"modprobe", "rmmod",   "insmod", "kmod",
                                          "lsmod",    "modinfo", "depmod"};

/// Where this machine has kmod itself; empty: nowhere.
[[nodiscard]] std::string kmod_path();

/// A script that stands for all of kmod's programs in the lab: it asks the lab for what loads and
/// unloads, and leaves the rest to what has the same name in the directory `own`.
[[nodiscard]] std::string kmod_shim(const std::string& anybind, const std::string& own);

}  // namespace anybind::lab
