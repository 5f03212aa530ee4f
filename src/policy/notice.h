#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/advice.h"
#include "base/ids.h"

namespace anybind {

/// Something that whoever runs the machine is told.
struct Notice {
  enum class Level : std::uint8_t { kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;                  ///< one line, printable
  std::optional<DeviceId> device{};  ///< that it is about
  std::string rule{};                ///< by its name; empty: none
  Remark advice{};
};

using Tell = std::function<void(const Notice&)>;

}  // namespace anybind
