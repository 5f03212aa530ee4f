// Any sequence of sysfs operations on a small machine: no crash, and the books stay in order.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "drivercore/file/machine.h"
#include "drivercore/sysfs/model_sysfs.h"

namespace {

using namespace anybind;
using namespace anybind::drivercore;

constexpr const char* kMachine = R"(
driver = [
  { name = "a", ids = ["1:1", "2:2 data=1"] }, { name = "b", ids = ["1:1"] },
  { name = "v", managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
  { name = "p", bus = "platform" } ]
device = [
  { address = "00:01.0", id = "9:9", class = "060400", group = 0 },
  { address = "1:00.0", id = "1:1", group = 1, parent = "0000:00:01.0", children = { net = ["e0"] } },
  { address = "1:00.1", id = "2:2", group = 1, parent = "0000:00:01.0" },
  { name = "p.0", bus = "platform" } ]
)";

/// Everything that is bound is in the list of its driver, once, and counted in its group.
void check(const State& state) {
  std::map<unsigned, unsigned> counted;
  std::size_t bound = 0;
  for (const auto& [key, device] : state.devices) {
    if (device.counted) ++counted[*device.group];
    if (!device.driver) continue;
    ++bound;
    if (std::ranges::count(state.drivers.at(*device.driver).bound, key) != 1) std::abort();
  }
  for (const auto& [key, driver] : state.drivers) bound -= driver.bound.size();
  if (bound != 0) std::abort();
  for (const auto& [number, group] : state.groups) {
    if (group.in_use != counted[number]) std::abort();
  }
}

std::string take(const std::uint8_t*& data, std::size_t& size) {
  std::string out;
  while (size > 0 && *data != 0xFF) {
    out += static_cast<char>(*data++);
    --size;
  }
  if (size > 0) ++data, --size;
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const State kStart = *load_machine(kMachine, "m");
  DriverCore core(kStart);
  const auto sysfs = model_sysfs(core);
  while (size > 0) {
    const int operation = *data % 8;
    ++data, --size;
    const std::string path = take(data, size);
    if (operation < 4) (void)sysfs->write(path, take(data, size));
    if (operation == 4) (void)sysfs->read(path);
    if (operation == 5) (void)sysfs->list(path);
    if (operation == 6) (void)sysfs->read_link(path);
    if (operation == 7) (void)core.hot_add(path);
    check(core.state());
  }
  return 0;
}
