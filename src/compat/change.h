#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "change/outcome.h"
#include "host/host.h"
#include "plan/request.h"

// A change as the programs of others make it: by the engine, with everything that it promises.
namespace anybind::compat {

/// Who uses a device: does that stop the change?
enum class Guards : std::uint8_t {
  kStop,  ///< yes
  kWarn,  ///< no, it is told of; but a device that user space has open by VFIO is never taken,
          ///< as that write would not return before it is closed
};

/// Carries `request` out, all of it or nothing. What goes on meanwhile, and who uses the devices of
/// which `guards` do not stop it, is told on standard error behind `program` and a colon. Blocks as
/// the engine does. Errors as change() in engine/engine.h.
[[nodiscard]] Result<std::vector<Outcome>> carry_out(const Host& host, Request request,
                                                     Guards guards, std::string_view program);

/// Why, and what can be done, on standard error, a line each, indented.
void tell_details(const Error& error);

/// VFIO's mode without an IOMMU is on already.
[[nodiscard]] bool has_no_iommu_mode(const Host& host);

}  // namespace anybind::compat
