#include "inventory/inventory.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <optional>
#include <span>
#include <thread>
#include <utility>

namespace anybind {
namespace {

constexpr std::size_t kChunk = 256;
constexpr unsigned kMaxThreads = 64;

using Ids = std::span<const DeviceId>;

/// Not there any more, or nothing but a link that leads nowhere.
bool is_absence(Errno err) {
  return err.value == ENOENT || err.value == ENODEV || err.value == ENOTDIR || err.value == ELOOP ||
         err.value == EXDEV;
}

Result<> read_each(Sysfs& root, Ids ids, std::vector<Device>& out) {
  for (const DeviceId& id : ids) {
    const auto dir = root.open_dir(id.path());
    if (!dir && is_absence(dir.error())) continue;
    if (!dir) return fail(from_errno(dir.error(), "open", id.str()));
    if (auto device = read_device(**dir, id)) out.push_back(*std::move(device));
  }
  return {};
}

/// One run over `ids`, chunk by chunk, shared by all threads. A chunk belongs to the thread that
/// drew its number.
class Sweep {
 public:
  Sweep(Sysfs& root, Ids ids)
      : root_(root),
        ids_(ids),
        chunks_((ids.size() + kChunk - 1) / kChunk),
        errors_(chunks_.size()) {}

  void work() {
    for (std::size_t at = next_++; at < chunks_.size(); at = next_++) {
      const Ids part = ids_.subspan(at * kChunk).first(std::min(kChunk, ids_.size() - at * kChunk));
      chunks_[at].reserve(part.size());
      if (auto done = read_each(root_, part, chunks_[at]); !done) errors_[at] = done.error();
    }
  }

  Result<std::vector<Device>> collect() {
    for (auto& error : errors_) {
      if (error) return fail(*std::move(error));
    }
    std::vector<Device> out;
    out.reserve(ids_.size());
    for (auto& chunk : chunks_) std::ranges::move(chunk, std::back_inserter(out));
    return out;
  }

 private:
  Sysfs& root_;
  Ids ids_;
  std::atomic<std::size_t> next_ = 0;
  std::vector<std::vector<Device>> chunks_;
  std::vector<std::optional<Error>> errors_;
};

}  // namespace

Result<std::vector<Device>> read_inventory(Sysfs& root, const std::vector<DeviceId>& ids,
                                           unsigned threads) {
  if (threads <= 1 || ids.size() <= kChunk) {
    std::vector<Device> out;
    out.reserve(ids.size());
    TRY(read_each(root, ids, out));
    return out;
  }
  Sweep sweep(root, ids);
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < std::min(threads, kMaxThreads); ++i)
      helpers.emplace_back([&] { sweep.work(); });
    sweep.work();
  }
  return sweep.collect();
}

}  // namespace anybind
