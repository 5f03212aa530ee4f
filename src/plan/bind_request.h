#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "plan/mechanism.h"
#include "plan/request.h"

namespace anybind {

/// What plan_bind() is asked for.
struct BindRequest {
  std::vector<DeviceId> devices;
  DriverName driver;
  bool whole_group = false;  ///< also every other member of the IOMMU groups, except bridges
  std::optional<Mechanism> mechanism{};  ///< nullopt: the safest that there is for each device
  bool no_iommu = false;  ///< a VFIO driver may have a device without an IOMMU: it is then unsafe
  bool ignores_same_id = false;  ///< a dynamic id may bind other devices too (kSameId)
  bool part_of_group = false;    ///< as Request::part_of_group
  Stays stays = Stays::kHeld;
  std::vector<std::string> ignored{};  ///< names of what VFIO refuses (inventory/vfio_refusal.h)
};

}  // namespace anybind
