#pragma once

#include <optional>
#include <string>

#include "drivercore/core/state.h"

namespace anybind::drivercore {

/// The address of the virtual function of this number, as its physical function's capability gives
/// it (drivers/pci/iov.c:pci_iov_virtfn_bus). nullopt: beyond the last bus.
[[nodiscard]] std::optional<std::string> vf_address(const Device& pf, unsigned number);

}  // namespace anybind::drivercore
