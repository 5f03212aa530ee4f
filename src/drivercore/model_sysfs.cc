// Paths over the modelled tree: links on the way, "..", what may not leave the directory that is
// held, and directories that have gone meanwhile.
#include "drivercore/model_sysfs.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/try.h"
#include "drivercore/tree.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kPathMax = 1023;
constexpr std::size_t kNameMax = 255;
constexpr int kMaxLinks = 40;

using Names = std::vector<std::string>;

std::unexpected<Errno> error(int value) {
  return std::unexpected(Errno{value});
}

/// The components, without empty ones; a slash at the end asks for a directory, as "." does.
Names split(std::string_view text) {
  Names out;
  const bool wants_directory = text.ends_with('/');
  while (!text.empty()) {
    const auto slash = std::min(text.find('/'), text.size());
    if (slash > 0) out.emplace_back(text.substr(0, slash));
    text.remove_prefix(std::min(slash + 1, text.size()));
  }
  if (wants_directory && !out.empty()) out.emplace_back(".");
  return out;
}

/// A directory on the way, and the name that it has in the one above.
struct Level {
  std::string name;
  Place place;
};
/// A directory and all that are above it, the root first.
using Way = std::vector<Level>;

/// What a path led to: an entry, and the directory that it is in; for a directory, itself.
struct Found {
  Way way;
  Entry entry;
};

/// One look-up of a path.
class Walk {
 public:
  Walk(const DriverCore& core, const Way& base) : tree_(core), base_(base), way_(base) {}

  Reply<Found> run(std::string_view path, bool follow) {
    todo_ = split(path);
    std::ranges::reverse(todo_);
    for (const Level& level : base_) {
      if (!tree_.exists(level.place)) return error(ENOENT);
    }
    while (!todo_.empty()) {
      const std::string part = std::move(todo_.back());
      todo_.pop_back();
      if (entry_.kind != Entry::Kind::kDirectory) return error(ENOTDIR);
      TRY(go(part, follow));
    }
    if (entry_.kind == Entry::Kind::kDirectory) entry_.place = way_.back().place;
    return Found{.way = std::move(way_), .entry = std::move(entry_)};
  }

 private:
  Reply<void> go(const std::string& part, bool follow) {
    if (part == ".") return {};
    if (part == "..") return up();
    if (part.size() > kNameMax) return error(ENAMETOOLONG);
    auto next = tree_.find(way_.back().place, part);
    if (!next) return error(ENOENT);
    if (next->kind == Entry::Kind::kLink && (follow || !todo_.empty())) {
      return follow_link(split(next->text));
    }
    if (next->kind == Entry::Kind::kDirectory) {
      way_.push_back({.name = part, .place = next->place});
    } else {
      entry_ = *std::move(next);
    }
    return {};
  }

  Reply<void> up() {
    if (way_.size() <= base_.size()) return error(EXDEV);
    way_.pop_back();
    return {};
  }

  /// A link may not lead out of the held directory, as openat2(RESOLVE_BENEATH) has it.
  Reply<void> follow_link(const Names& target) {
    if (++links_ > kMaxLinks) return error(ELOOP);
    const std::size_t held = base_.size() - 1;
    for (std::size_t i = 0; i < held; ++i) {
      if (i >= target.size() || target[i] != base_[i + 1].name) return error(EXDEV);
    }
    way_ = base_;
    for (std::size_t i = target.size(); i > held; --i) todo_.push_back(target[i - 1]);
    return {};
  }

  Tree tree_;
  const Way& base_;
  Way way_;
  Names todo_;  ///< the next component last
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
    return show_attribute(core_, found.entry.owner, *found.entry.attribute);
  }

  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    const Found found = TRY(find(path, true));
    if (found.entry.kind == Entry::Kind::kDirectory) return error(EISDIR);
    if (found.entry.kind == Entry::Kind::kText) return error(EACCES);
    return store_attribute(core_, found.entry.owner, *found.entry.attribute, bytes);
  }

  Reply<std::string> read_link(std::string_view path) override {
    const Found found = TRY(find(path, false));
    if (found.entry.kind != Entry::Kind::kLink) return error(EINVAL);
    Names from;
    for (const Level& level : found.way) from.push_back(level.name);
    return relative_link(std::span(from).subspan(1), found.entry.text);
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
    return std::make_unique<ModelSysfs>(core_, std::move(found.way));
  }

  /// Of a device or driver the number that no other has had; of other directories one made of the
  /// path, apart from those.
  Reply<Instance> instance() override {
    const Place& place = at_.back().place;
    if (place.kind == Place::Kind::kDevice) return Instance{.device = 1, .inode = place.key};
    if (place.kind == Place::Kind::kDriver)
      return Instance{.device = 1, .inode = place.registration};
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const Level& level : at_) {
      for (const char c : level.name + "/") {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
      }
    }
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
