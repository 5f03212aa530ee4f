#include "users/listing.h"

#include <algorithm>
#include <thread>

#include "base/threads.h"
#include "base/try.h"
#include "inventory/inventory.h"
#include "users/guards.h"

namespace anybind {
namespace {

/// Below this, starting a thread costs more than it saves.
constexpr std::size_t kWorthThreads = 500;
constexpr unsigned kMostThreads = 8;

}  // namespace

Result<Listing> read_listing(const Host& host, const std::vector<DeviceId>& ids, unsigned threads,
                             WithUse with_use) {
  Listing out{.devices = TRY(read_inventory(host.sysfs, ids, threads)),
              .places = {},
              .users = read_users(host.sysfs)};
  out.places.resize(out.devices.size());
  each_in_threads(out.devices.size(), threads,
                  [&](std::size_t i) { out.places[i] = read_place(host.sysfs, out.devices[i]); });
  if (with_use == WithUse::kNo) return out;
  std::vector<Asked> asked;
  asked.reserve(out.devices.size());
  for (const Device& device : out.devices) asked.push_back({device.id});
  out.in_use = find_blockers(host, asked);
  return out;
}

unsigned threads_worth(std::size_t devices) {
  if (devices < kWorthThreads) return 1;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
}

}  // namespace anybind
