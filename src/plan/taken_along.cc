#include "plan/taken_along.h"

#include <numeric>

#include <fmt/format.h>

namespace anybind {
namespace {

/// Emits each device behind all that may go with it.
class Order {
 public:
  explicit Order(std::size_t count) : below_(count), done_(count, false) {}
  void add(std::size_t maker, std::size_t device) { below_[maker].push_back(device); }
  void skip(std::size_t device) { done_[device] = true; }
  /// Paths are finite, and so this ends: a device is never below itself.
  void emit(std::size_t device, std::vector<std::size_t>& out) {
    if (done_[device]) return;
    done_[device] = true;
    for (const std::size_t below : below_[device]) emit(below, out);
    out.push_back(device);
  }

 private:
  std::vector<std::vector<std::size_t>> below_;
  std::vector<bool> done_;
};

}  // namespace

Family family_of(Sysfs& root, const std::vector<Going>& devices) {
  Family out;
  out.order.resize(devices.size());
  std::iota(out.order.begin(), out.order.end(), std::size_t{0});
  std::vector<DeviceId> leaving;
  std::vector<std::size_t> at;  // of each of them, in `devices`
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (!devices[i].leaves) continue;
    leaving.push_back(devices[i].device);
    at.push_back(i);
  }
  if (devices.size() < 2 || leaving.empty()) return out;
  const Makers makers(root, leaving);
  Order order(devices.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    for (const Makers::Maker& maker : makers.of(devices[i].device)) {
      if (at[maker.at] == i) continue;  // so says only a tree that is no kernel's
      if (maker.goes != Goes::kPerhaps)
        out.taken.emplace(i, Family::Taken{.by = at[maker.at], .goes = maker.goes});
      order.add(at[maker.at], i);
    }
  }
  for (const auto& [device, maker] : out.taken) order.skip(device);
  out.order.clear();
  for (std::size_t i = 0; i < devices.size(); ++i) order.emit(i, out.order);
  return out;
}

std::string goes_with(const Going& maker, Goes goes) {
  const std::string driver = maker.leaves ? maker.leaves->str() : "its driver";
  if (goes != Goes::kAsFunction)
    return fmt::format("goes away when {} leaves {}", maker.device.str(), driver);
  return fmt::format("is a virtual function of {}, and may go away when that leaves {}",
                     maker.device.str(), driver);
}

}  // namespace anybind
