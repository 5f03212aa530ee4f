// Any text as a selector, on a modelled machine.
#include <cstdint>

#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "inventory/select.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anybind;
  static drivercore::DriverCore core(*drivercore::load_machine(R"(
    driver = [ { name = "a", ids = ["1:1"] } ]
    device = [ { address = "1:00.0", id = "1:1", group = 1, children = { net = ["e0"] } } ])",
                                                               "m"));
  static const auto kSysfs = drivercore::model_sysfs(core);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto devices = select_devices(*kSysfs, text, "/sys");
  if (!devices) (void)devices.error().message();
  (void)looks_like_device(text);
  return 0;
}
