// Two points of a search are taken for one when their hashes are equal, so all that sets two
// machines apart must be in the hash.
#include "race/state_hash.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "drivercore/file/machine.h"

namespace anybind::race {
namespace {

using drivercore::State;

constexpr const char* kTwoCards = R"(
driver = [
  { name = "igb", ids = ["8086:1521"] },
  { name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] },
]
device = [
  { address = "0000:03:00.0", id = "8086:1521", class = "020000", group = 3, driver = "igb" },
  { address = "0000:04:00.0", id = "8086:1521", class = "020000", group = 4 },
]
)";

struct Difference {
  const char* what;
  std::function<void(State&)> make;
};

drivercore::Device& first_device(State& state) {
  return state.devices.begin()->second;
}
drivercore::Driver& first_driver(State& state) {
  return state.drivers.begin()->second;
}

TEST(StateHash, SeesAllThatSetsTwoMachinesApart) {
  const auto machine = drivercore::load_machine(kTwoCards, "test");
  ASSERT_TRUE(machine) << machine.error().message();
  const auto key = machine->devices.begin()->first;
  const auto other = std::next(machine->devices.begin())->first;
  const auto ids = [](std::uint32_t vendor, std::uint32_t subvendor) {
    return [=](State& state) {
      first_driver(state).dynamic_ids.push_back({.vendor = vendor, .subvendor = subvendor});
    };
  };
  const std::vector<Difference> all = {
      {"nothing", [](State&) {}},
      {"an override", [](State& state) { first_device(state).driver_override = "vfio-pci"; }},
      {"an empty override", [](State& state) { first_device(state).driver_override = ""; }},
      {"the driver", [](State& state) { first_device(state).driver.reset(); }},
      {"the link", [](State& state) { first_device(state).driver_link ^= true; }},
      {"the lock", [](State& state) { first_device(state).locked ^= true; }},
      {"presence", [](State& state) { first_device(state).present ^= true; }},
      {"the number of functions", [](State& state) { first_device(state).num_vfs = 2; }},
      {"one waits", [=](State& state) { state.deferred.push_back(key); }},
      {"the other waits", [=](State& state) { state.deferred.push_back(other); }},
      {"one is retried", [=](State& state) { state.retrying.push_back(key); }},
      {"an id", ids(1, 2)},
      {"an id of another vendor", ids(2, 2)},
      {"an id of another board", ids(1, 3)},
      {"the order of drivers",
       [](State& state) { std::ranges::reverse(state.buses.at("pci").drivers); }},
      {"the order of devices",
       [](State& state) { std::ranges::reverse(state.buses.at("pci").devices); }},
      {"autoprobe", [](State& state) { state.buses.at("pci").autoprobe ^= true; }},
      {"a driver's probe", [](State& state) { first_driver(state).probe.result = -5; }},
      {"its probe of one device",
       [](State& state) { first_driver(state).probe.per_device["0000:04:00.0"] = -5; }},
      {"who holds a group", [](State& state) { state.groups.begin()->second.held ^= true; }},
      {"the type of a group", [](State& state) { state.groups.begin()->second.type = "identity"; }},
      {"a module that comes", [](State& state) { state.modules_coming.insert("igb"); }},
      {"a module that goes", [](State& state) { state.modules_going.insert("igb"); }},
      {"a rescan", [](State& state) { state.rescan_locked ^= true; }},
  };
  std::vector<Hash> hashes;
  for (const Difference& difference : all) {
    State state = *machine;
    difference.make(state);
    hashes.push_back(hash_of(state));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k)
      EXPECT_NE(hashes[i], hashes[k]) << all[i].what << " and " << all[k].what;
  }
  EXPECT_EQ(hash_of(*machine), hashes[0]);
}

}  // namespace
}  // namespace anybind::race
