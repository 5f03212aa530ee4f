// Paths over the modelled tree: links on the way, "..", what may not leave the directory that is
// held, and directories that have gone meanwhile.
#include "drivercore/sysfs/model_sysfs.h"

#include <algorithm>
#include <cerrno>
#include <forward_list>
#include <iterator>
#include <ranges>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "base/try.h"
#include "drivercore/sysfs/tree.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kPathMax = 1023;
constexpr std::size_t kNameMax = 255;
constexpr int kMaxLinks = 40;

using Names = std::vector<std::string>;

std::unexpected<Errno> error(int value) {
  return std::unexpected(Errno{value});
}

/// What a path led to: an entry, and the directory that it is in; for a directory, itself.
struct Found {
  Way below;  ///< from the directory that is held, without that
  Entry entry;
};

/// One look-up of a path.
class Walk {
 public:
  Walk(const DriverCore& core, const Way& base) : tree_(core), base_(base) {
    constexpr std::size_t kUsual = 8;
    below_.reserve(kUsual);
    todo_.reserve(2 * kUsual);
  }

  Reply<Found> run(std::string_view path, bool follow) {
    const auto gone = [&](const Level& level) { return !tree_.exists(level.place); };
    if (std::ranges::any_of(base_, gone)) return error(ENOENT);
    push(path);
    while (!todo_.empty()) {
      part_ = todo_.back();
      todo_.pop_back();
      if (entry_.kind != Entry::Kind::kDirectory) return error(ENOTDIR);
      TRY(go(follow));
    }
    if (entry_.kind == Entry::Kind::kDirectory) entry_.place = top();
    return Found{.below = std::move(below_), .entry = std::move(entry_)};
  }

 private:
  [[nodiscard]] const Place& top() const {
    return below_.empty() ? base_.back().place : below_.back().place;
  }

  /// The components of `text`, which stays where it is, in front of what is still to do; without
  /// empty ones. A slash at the end asks for a directory, as "." does.
  void push(std::string_view text) {
    if (text.size() > 1 && text.ends_with('/')) todo_.emplace_back(".");
    while (!text.empty()) {
      const auto slash = text.rfind('/');
      const std::string_view last = text.substr(slash == std::string_view::npos ? 0 : slash + 1);
      if (!last.empty()) todo_.push_back(last);
      text.remove_suffix(std::min(last.size() + 1, text.size()));
    }
  }

  Reply<void> go(bool follow) {
    if (part_ == ".") return {};
    if (part_ == "..") return up();
    if (part_.size() > kNameMax) return error(ENAMETOOLONG);
    auto next = tree_.find(top(), part_);
    if (!next) return error(ENOENT);
    if (next->kind == Entry::Kind::kLink && (follow || !todo_.empty())) {
      return next->place.kind == Place::Kind::kDevice && base_.size() == 1
                 ? go_to_device(next->place.key)
                 : follow_link(tree_.target(*next));
    }
    if (next->kind == Entry::Kind::kDirectory) {
      below_.push_back({.name = part_, .place = std::move(next->place)});
    } else {
      entry_ = *std::move(next);
    }
    return {};
  }

  Reply<void> up() {
    if (below_.empty()) return error(EXDEV);
    below_.pop_back();
    return {};
  }

  /// As follow_link() does, without the text between.
  Reply<void> go_to_device(DeviceKey key) {
    if (++links_ > kMaxLinks) return error(ELOOP);
    auto way = tree_.way_to(key);
    if (!way) return error(ENOENT);
    below_ = *std::move(way);
    return {};
  }

  /// A link may not lead out of the held directory, as openat2(RESOLVE_BENEATH) has it.
  Reply<void> follow_link(std::string target) {
    if (++links_ > kMaxLinks) return error(ELOOP);
    const std::size_t rest = todo_.size();
    push(targets_.emplace_front(std::move(target)));
    for (const Level& level : base_ | std::views::drop(1)) {
      if (todo_.size() == rest || todo_.back() != level.name) return error(EXDEV);
      todo_.pop_back();
    }
    below_.clear();
    return {};
  }

  Tree tree_;
  const Way& base_;
  Way below_;
  std::vector<std::string_view> todo_;      ///< the next component last
  std::forward_list<std::string> targets_;  ///< of the links that were followed
  std::string part_;
  Entry entry_;
  int links_ = 0;
};

class ModelSysfs final : public Sysfs {
 public:
  ModelSysfs(DriverCore& core, Way at) : core_(core), at_(std::move(at)) {}

  Reply<std::string> read(std::string_view path) override {
    const Found found = TRY(find(path, true));
    if (found.entry.kind == Entry::Kind::kDirectory) return error(EISDIR);
    if (found.entry.kind == Entry::Kind::kText) return found.entry.text;
    return show_attribute(core_, found.entry.place, *found.entry.attribute);
  }

  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    const Found found = TRY(find(path, true));
    if (found.entry.kind == Entry::Kind::kDirectory) return error(EISDIR);
    if (found.entry.kind == Entry::Kind::kText) return error(EACCES);
    return store_attribute(core_, found.entry.place, *found.entry.attribute, bytes);
  }

  Reply<std::string> read_link(std::string_view path) override {
    const Found found = TRY(find(path, false));
    if (found.entry.kind != Entry::Kind::kLink) return error(EINVAL);
    Names from;
    for (const Level& level : at_ | std::views::drop(1)) from.push_back(level.name);
    for (const Level& level : found.below) from.push_back(level.name);
    return relative_link(from, Tree(core_).target(found.entry));
  }

  Reply<std::vector<std::string>> list(std::string_view path) override {
    const Found found = TRY(find(path, true));
    if (found.entry.kind != Entry::Kind::kDirectory) return error(ENOTDIR);
    auto names = Tree(core_).list(found.entry.place);
    if (names.size() > kMaxEntries) return error(EOVERFLOW);
    return names;
  }

  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    Found found = TRY(find(path, true));
    if (found.entry.kind != Entry::Kind::kDirectory) return error(ENOTDIR);
    Way way;
    way.reserve(at_.size() + found.below.size());
    way = at_;
    std::ranges::move(found.below, std::back_inserter(way));
    return std::make_unique<ModelSysfs>(core_, std::move(way));
  }

  /// Of a device or driver the number that no other has had; of other directories one made of the
  /// path, apart from those.
  Reply<Instance> instance() override {
    CHECK(!at_.empty(), "a directory that is held is at or below the root");
    const Place& place = at_.back().place;
    if (place.kind == Place::Kind::kDevice) return Instance{.device = 1, .inode = place.key};
    if (place.kind == Place::Kind::kDriver)
      return Instance{.device = 1, .inode = place.registration};
    std::uint64_t hash = kFnvBasis;
    for (const Level& level : at_) hash = fnv1a("/", fnv1a(level.name, hash));
    return Instance{.device = 1, .inode = hash | (std::uint64_t{1} << 63)};
  }

 private:
  Reply<Found> find(std::string_view path, bool follow) const {
    if (path.contains('\0')) return error(EINVAL);
    if (path.size() > kPathMax) return error(ENAMETOOLONG);
    if (path.starts_with('/')) return error(EXDEV);
    return Walk(core_, at_).run(path, follow);
  }

  DriverCore& core_;
  Way at_;
};

}  // namespace

std::unique_ptr<Sysfs> model_sysfs(DriverCore& core) {
  return std::make_unique<ModelSysfs>(core, Way{Level{}});
}

}  // namespace anybind::drivercore
