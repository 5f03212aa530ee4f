#pragma once

#include <cstdint>
#include <string>

#include "host/host.h"

namespace anybind {

/// What the hooks of early boot leave behind, below the root of a machine's files: for each kernel
/// a directory with the files of rules as its initramfs has them.
inline constexpr const char* kBootImages = "var/lib/anybind/initramfs";

/// What the initramfs of the running kernel knows of the rules.
struct BootImage {
  enum class State : std::uint8_t {
    kNoHook,   ///< no hook is installed: rules do nothing in early boot
    kMatches,  ///< it has the rules and the boot list that are there
    kDiffers,  ///< it has others, or none
  };
  State state = State::kNoHook;
  std::string how{};  ///< what makes a new one, to type: "update-initramfs -u"
};

/// Reads the files only, not the initramfs. What cannot be read differs.
[[nodiscard]] BootImage look_at_boot_image(const Host& host);

}  // namespace anybind
