#include "change/chains.h"

#include <map>
#include <numeric>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "inventory/makers.h"

namespace anybind {
namespace {

/// Puts things into one set when they have a word in common.
class Sets {
 public:
  explicit Sets(std::size_t count) : leader_(count) {
    std::iota(leader_.begin(), leader_.end(), 0);
  }
  void add(std::size_t thing, std::string word) {
    const auto [first, is_new] = first_with_.try_emplace(std::move(word), thing);
    if (!is_new) leader_[leader_of(thing)] = leader_of(first->second);
  }
  std::size_t leader_of(std::size_t thing) {
    while (leader_[thing] != thing) thing = leader_[thing] = leader_[leader_[thing]];
    return thing;
  }

 private:
  std::vector<std::size_t> leader_;
  std::unordered_map<std::string, std::size_t> first_with_;
};

}  // namespace

std::vector<std::vector<std::size_t>> chains_of(Sysfs& root, const HeldPlan& plan,
                                                std::size_t from) {
  CHECK(from <= plan.devices.size(), "what is left of a plan is a part of it");
  Sets sets(plan.devices.size());
  std::vector<DeviceId> devices;
  for (std::size_t i = from; i < plan.devices.size(); ++i)
    devices.push_back(plan.devices[i].device);
  const Makers makers(root, devices);
  for (std::size_t i = from; i < plan.devices.size(); ++i) {
    const DeviceId& device = plan.devices[i].device;
    if (device.bus.str() == "pci") {
      sets.add(i, device.name.str().substr(0, device.name.str().rfind('.')));
    }
    const auto held = plan.held.device(device);
    const auto group =
        held ? held->read_link("iommu_group") : root.read_link(device.path() + "/iommu_group");
    if (group) sets.add(i, "group " + std::string(link_name(*group)));
    // One may go away with another: then their order is that of the plan.
    for (const Makers::Maker& maker : makers.of(device)) {
      const std::string family = "made by " + devices[maker.at].str();
      sets.add(i, family);
      sets.add(from + maker.at, family);
    }
  }
  std::map<std::size_t, std::vector<std::size_t>> chains;
  for (std::size_t i = from; i < plan.devices.size(); ++i) chains[sets.leader_of(i)].push_back(i);
  std::vector<std::vector<std::size_t>> out;
  out.reserve(chains.size());
  for (auto& [leader, chain] : chains) out.push_back(std::move(chain));
  return out;
}

}  // namespace anybind
