#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/core/state.h"

namespace anybind::lab {

/// What the module files tell of drivers' static tables, by module ('-' written as '_').
struct ModuleIds {
  std::vector<drivercore::PciId> pci;  ///< of aliases pci: and, as override_only, vfio_pci:
  std::vector<std::string> platform;   ///< of aliases platform:
  std::vector<std::string> others;     ///< aliases of other buses, whole, as patterns
};
using Aliases = std::map<std::string, ModuleIds, std::less<>>;

/// Reads the text of a kernel's modules.alias ("alias pci:v00008086d000010D3... e1000e", one a
/// line, as depmod writes it) and that of its modules.builtin.modinfo ("module.alias=pci:...", each
/// ended by a NUL). Lines of another form are passed over. An id's driver_data is
/// not in them.
[[nodiscard]] Aliases parse_aliases(std::string_view modules_alias, std::string_view builtin);

/// "v00008086d000010D3sv*sd*bc02sc00i*", what stands behind "pci:"; nullopt: not of that form.
[[nodiscard]] std::optional<drivercore::PciId> parse_pci_alias(std::string_view text);

}  // namespace anybind::lab
