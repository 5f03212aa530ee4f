#include "wire/early.h"

#include "wire/values.h"

namespace anybind::wire {

Json to_json(const EarlyBoot& boot, bool is_switched_off) {
  Json devices = Json::array();
  for (const EarlyDevice& device : boot.devices) {
    devices.push_back(device_object(device.device));
    devices.back()["rule"] = device.rule;
    devices.back()["kept_for"] = or_null(device.kept);
    devices.back()["left"] = or_null(device.left);
  }
  Json troubles = Json::array();
  for (const Error& trouble : boot.troubles) troubles.push_back(trouble.message());
  return {{"off", is_switched_off},
          {"devices", devices},
          {"modules", boot.modules},
          {"troubles", troubles}};
}

}  // namespace anybind::wire
