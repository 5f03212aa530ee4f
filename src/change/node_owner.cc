#include "change/node_owner.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>

#include "base/try.h"
#include "host/device_node.h"
#include "inventory/device.h"
#include "inventory/vfio_node.h"

namespace anybind {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);
constexpr auto kPause = std::chrono::milliseconds(10);

/// udev, where it and not the kernel makes the nodes, is a moment late.
Reply<void> give_patiently(Clock& clock, const std::string& path, const NodeNumber& number,
                           const Owner& owner) {
  const auto end = clock.now() + kPatience;
  for (;;) {
    auto given = give_node(path, number, owner.uid, owner.gid);
    const bool may_come = !given && (given.error().value == ENOENT || given.error().value == EXDEV);
    if (!may_come || clock.now() > end) return given;
    clock.sleep(kPause);
  }
}

}  // namespace

Result<std::vector<std::string>> give_vfio_nodes(const Host& host,
                                                 const std::vector<DeviceId>& devices,
                                                 const Owner& owner) {
  std::vector<std::string> out;
  for (const DeviceId& device : devices) {
    const auto nodes = vfio_nodes(host.sysfs, device.path());
    if (nodes.empty()) {
      return fail({.operation = "give its node away",
                   .object = device.str(),
                   .why = "sysfs shows no VFIO node of it"});
    }
    for (const VfioNode& node : nodes) {
      std::string path = fmt::format("{}/{}", host.dev, node.path);
      if (std::ranges::find(out, path) != out.end()) continue;
      const auto given = give_patiently(*host.clock, path, node.number, owner);
      if (given) {
        out.push_back(std::move(path));
        continue;
      }
      Error error = from_errno(given.error(), "give the node away", path);
      if (given.error().value == EXDEV) error.why = "this is not the node that sysfs tells of";
      return fail(std::move(error));
    }
  }
  return out;
}

}  // namespace anybind
