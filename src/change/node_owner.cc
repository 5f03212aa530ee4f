#include "change/node_owner.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <ranges>

#include <fmt/format.h>

#include "base/try.h"
#include "inventory/device.h"
#include "inventory/vfio_node.h"

namespace anybind {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);
constexpr auto kPause = std::chrono::milliseconds(10);

/// udev, where it and not the kernel makes the nodes, is a moment late.
Reply<NodeOwner> give_patiently(Clock& clock, const std::string& path, const NodeNumber& number,
                                const Owner& owner) {
  const auto end = clock.now() + kPatience;
  for (;;) {
    auto given = give_node(path, number, owner.uid, owner.gid);
    const bool may_come = !given && (given.error().value == ENOENT || given.error().value == EXDEV);
    if (!may_come || clock.now() > end) return given;
    clock.sleep(kPause);
  }
}

/// Each node once, as far as that goes.
Result<> give_all(const Host& host, const std::vector<DeviceId>& devices, const Owner& owner,
                  std::vector<GivenNode>& given) {
  for (const DeviceId& device : devices) {
    const auto nodes = vfio_nodes(host.sysfs, device.path());
    if (nodes.empty()) {
      return fail({.operation = "give its node away",
                   .object = device.str(),
                   .why = "sysfs shows no VFIO node of it"});
    }
    for (const VfioNode& node : nodes) {
      std::string path = fmt::format("{}/{}", host.dev, node.path);
      if (std::ranges::find(given, path, &GivenNode::path) != given.end()) continue;
      const auto before = give_patiently(*host.clock, path, node.number, owner);
      if (before) {
        given.push_back({.path = std::move(path), .number = node.number, .before = *before});
        continue;
      }
      Error error = from_errno(before.error(), "give the node away", path);
      if (before.error().value == EXDEV) error.why = "this is not the node that sysfs tells of";
      return fail(std::move(error));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<GivenNode>> give_vfio_nodes(const Host& host,
                                               const std::vector<DeviceId>& devices,
                                               const Owner& owner) {
  std::vector<GivenNode> given;
  auto all = give_all(host, devices, owner, given);
  if (all) return given;
  std::ranges::move(give_back(given), std::back_inserter(all.error().details));
  return fail(std::move(all).error());
}

std::vector<std::string> give_back(const std::vector<GivenNode>& nodes) {
  std::vector<std::string> left;
  for (const GivenNode& node : std::views::reverse(nodes)) {
    const auto back = give_node_back(node.path, node.number, node.before);
    if (back || back.error().value == ENOENT || back.error().value == EXDEV) continue;
    left.push_back(fmt::format("{} keeps its new owner: {}", node.path, back.error().text()));
  }
  return left;
}

}  // namespace anybind
