#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "host/host.h"
#include "policy/judge.h"
#include "policy/rule.h"

namespace anybind {

/// The last change of anybind in this boot that touched a device.
struct LastChange {
  std::uint64_t id = 0;   ///< in the journal; 0: none did
  std::int64_t time = 0;  ///< seconds since 1970
  std::string command;
  bool was_done = false;      ///< it was not taken back
  bool was_declared = false;  ///< it had left the device as the rule declares
};

/// Of each of these that is not as declared. kNotPermitted: the journal may not be read.
[[nodiscard]] Result<std::map<DeviceId, LastChange>> last_changes(
    const Host& host, const Spec& spec, const std::vector<Standing>& standings);

}  // namespace anybind
