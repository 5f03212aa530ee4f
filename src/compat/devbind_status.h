#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compat/devbind_devices.h"

namespace anybind::compat {

/// The page of --status, or of --status-dev when `kind` is one word of devbind_kinds().
[[nodiscard]] std::string devbind_status(const std::vector<DevbindDevice>& devices,
                                         std::string_view kind);

}  // namespace anybind::compat
