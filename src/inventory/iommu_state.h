#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/advice.h"
#include "host/host.h"

namespace anybind {

/// Whose an IOMMU is: which parameters of the kernel command line are about it.
enum class IommuMaker : std::uint8_t { kUnknown, kIntel, kAmd, kOther };

/// Is there an IOMMU, is it on, and if not, why, by what this very machine shows: the units that
/// the kernel uses, the firmware's tables, and only when there are none of both the processor. This
/// is the one place that tells what to do about it; whoever says something of it quotes this.
struct IommuState {
  std::size_t groups = 0;          ///< that an IOMMU made
  std::vector<std::string> units;  ///< the kernel's names of them: "dmar0"; may be empty
  std::string table;               ///< of the firmware: "DMAR"; empty: none is known
  IommuMaker maker = IommuMaker::kUnknown;
  bool is_virtual = false;       ///< this is a virtual machine
  std::size_t functions = 0;     ///< of PCI
  std::size_t in_groups = 0;     ///< of them
  std::vector<std::string> out;  ///< names of the first few others, without bridges

  // Empty when it is on and covers every function.
  std::string why;  ///< "the IOMMU is off: intel_iommu=off is on the kernel command line"
  Remark advice;    ///< what to do about that

  [[nodiscard]] bool is_on() const { return groups != 0; }
};

/// Reads a few directories, and of each PCI function one link. What cannot be seen is not guessed.
[[nodiscard]] IommuState read_iommu_state(const Host& host);

/// The numbers of the groups that an IOMMU made, in order: not those of VFIO's no-IOMMU mode.
[[nodiscard]] std::vector<std::string> iommu_groups(Sysfs& root);

}  // namespace anybind
