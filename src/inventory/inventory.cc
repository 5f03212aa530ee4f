#include "inventory/inventory.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <utility>

#include "base/threads.h"
#include "base/try.h"
#include "inventory/populate.h"

namespace anybind {
namespace {

constexpr std::size_t kChunk = 64;
constexpr std::size_t kMaxThreads = 64;

/// Not there any more, or nothing but a link that leads nowhere.
bool is_absence(Errno err) {
  return err.value == ENOENT || err.value == ENODEV || err.value == ENOTDIR || err.value == ELOOP ||
         err.value == EXDEV;
}

/// Reads `device` where it stands; false when it is gone.
Result<bool> read_in_place(Sysfs& root, Device& device) {
  const auto dir = root.open_dir(device.id.path());
  if (!dir && is_absence(dir.error())) return false;
  if (!dir) return fail(from_errno(dir.error(), "open", device.id.str()));
  return read_device(**dir, device).has_value();
}

/// One run over `devices`, chunk by chunk, shared by all threads: a chunk belongs to the thread
/// that drew its number.
class Sweep {
 public:
  Sweep(Sysfs& root, std::vector<Device>& devices)
      : root_(root), devices_(devices), gone_(devices.size()) {}

  void work() {
    for (std::size_t from = next_.fetch_add(kChunk); from < devices_.size();
         from = next_.fetch_add(kChunk)) {
      for (std::size_t i = from; i < std::min(from + kChunk, devices_.size()); ++i) {
        const auto there = read_in_place(root_, devices_[i]);
        if (!there) keep(there.error());
        gone_[i] = there && *there ? 0 : 1;
      }
    }
  }

  /// Called when all threads are done.
  Result<> finish() {
    if (error_) return fail(*std::move(error_));
    if (std::ranges::find(gone_, 1) == gone_.end()) return {};
    std::size_t i = 0;
    std::erase_if(devices_, [&](const Device&) { return gone_[i++] != 0; });
    return {};
  }

 private:
  void keep(const Error& error) {
    const std::scoped_lock lock(mutex_);
    if (!error_) error_ = error;
  }

  Sysfs& root_;
  std::vector<Device>& devices_;
  std::vector<char> gone_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace

Result<std::vector<Device>> read_inventory(Sysfs& root, const std::vector<DeviceId>& ids,
                                           unsigned threads) {
  std::vector<Device> out;
  reserve_populated(out, ids.size());
  for (const DeviceId& id : ids) out.push_back({.id = id});
  Sweep sweep(root, out);
  const std::size_t useful = (ids.size() + kChunk - 1) / kChunk;
  share_out(std::min<std::size_t>({threads, kMaxThreads, useful}), [&] { sweep.work(); });
  TRY(sweep.finish());
  return out;
}

}  // namespace anybind
