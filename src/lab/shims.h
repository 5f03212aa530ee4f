#pragma once

#include <array>
#include <string>

namespace anybind::lab {

/// The names under which kmod's programs are called.
inline constexpr std::array kKmodNames = {"kmod", "modprobe", "rmmod", "insmod"};

/// Where this machine has kmod itself; empty: nowhere.
[[nodiscard]] std::string kmod_path();

/// A script that stands for all of kmod's programs in the lab: it asks the lab for what loads and
/// unloads, and leaves the rest to `kmod`.
[[nodiscard]] std::string kmod_shim(const std::string& anybind, const std::string& kmod);

}  // namespace anybind::lab
