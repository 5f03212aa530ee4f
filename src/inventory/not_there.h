#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/sysfs.h"

namespace anybind {

/// What to tell a person about a name that nothing has: an Error kNotFound about `typed`, with the
/// nearest names there are as the next thing to type. They list directories: not for a hot path.
[[nodiscard]] Error no_such_device(Sysfs& root, const DeviceId& id, std::string_view typed);
[[nodiscard]] Error no_such_bus(Sysfs& root, const BusName& bus, std::string_view typed);
/// On any bus.
[[nodiscard]] Error no_such_driver(Sysfs& root, const DriverName& driver, std::string_view typed);
/// `modules`: names of modules that could be loaded.
[[nodiscard]] Error no_such_driver(Sysfs& root, const BusName& bus, const DriverName& driver,
                                   const std::vector<std::string>& modules = {});

/// For a word without any form: a name of another bus, a bus, a driver, or a mistyped interface;
/// kUsage for a bare number, which could be anything.
[[nodiscard]] Error no_such_word(Sysfs& root, std::string_view typed);

}  // namespace anybind
