#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/sysfs.h"
#include "oracle.h"

namespace anybind::fuzz {

/// A sysfs that answers whatever a text says. Each line is a rule, KIND PATH=VALUE:
///   R PATH=TEXT      an attribute; with \n, \xNN
///   N PATH=COUNT     an attribute of so many bytes
///   L PATH=TARGET    a link
///   D PATH=NAME ...  a directory
///   M PATH=COUNT     a directory of so many names
///   I PATH=DEV INO   its instance
///   E PATH=ERRNO     every call fails
/// A path that begins with "*/" stands for all that end so. Of several rules for one path each call
/// gets the next, so that answers change. Every directory that no E names can be opened.
class HostileTree {
 public:
  static constexpr std::size_t kMostRules = 512;
  static constexpr std::size_t kMostCalls = 200'000;

  explicit HostileTree(std::string_view text) {
    for (std::size_t rules = 0; !text.empty() && rules < kMostRules; ++rules) {
      std::string_view line = take_until(text, '\n');
      if (line.size() < 3 || line[1] != ' ') continue;
      const char kind = line[0];
      line.remove_prefix(2);
      std::string path(take_until(line, '='));
      (path.starts_with("*/") ? by_end_ : whole_)[kind][std::move(path)].values.emplace_back(line);
    }
  }

  /// Counts a call. Code that asks for ever is a finding, also where each answer is quick.
  void count() { require(++calls_ < kMostCalls, "it does not end", "too many calls"); }
  [[nodiscard]] std::size_t calls() const { return calls_; }

  /// nullptr: no rule. The next of those that there are.
  const std::string* answer(char kind, const std::string& path) {
    if (Rule* rule = find(whole_, kind, path)) return rule->give();
    if (!by_end_.contains(kind)) return nullptr;
    for (std::size_t at = 0; at < path.size();) {
      if (Rule* rule = find(by_end_, kind, "*/" + path.substr(at))) return rule->give();
      const auto slash = path.find('/', at);
      at = slash == std::string::npos ? path.size() : slash + 1;
    }
    return nullptr;
  }

 private:
  struct Rule {
    std::vector<std::string> values;
    std::size_t next = 0;
    const std::string* give() { return &values[next++ % values.size()]; }
  };
  using Rules = std::map<char, std::unordered_map<std::string, Rule>>;  ///< by kind
  static Rule* find(Rules& rules, char kind, const std::string& path) {
    const auto all = rules.find(kind);
    if (all == rules.end()) return nullptr;
    const auto found = all->second.find(path);
    return found == all->second.end() ? nullptr : &found->second;
  }

  Rules whole_;
  Rules by_end_;
  std::size_t calls_ = 0;
};

class HostileSysfs final : public Sysfs {
 public:
  explicit HostileSysfs(HostileTree& tree, std::string dir = "")
      : tree_(tree), dir_(std::move(dir)) {}

  Reply<std::string> read(std::string_view path) override {
    const std::string full = full_path(path);
    if (const auto bad = error(full)) return std::unexpected(*bad);
    if (const auto* text = tree_.answer('R', full)) return unescaped(*text).substr(0, kPageSize);
    if (const auto* size = tree_.answer('N', full)) {
      std::string_view digits = *size;
      return std::string(take_number(digits, kPageSize), 'A');
    }
    return std::unexpected(Errno{ENOENT});
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    if (const auto bad = error(full_path(path))) return std::unexpected(*bad);
    return bytes.size();
  }
  Reply<std::string> read_link(std::string_view path) override {
    const std::string full = full_path(path);
    if (const auto bad = error(full)) return std::unexpected(*bad);
    if (const auto* target = tree_.answer('L', full)) return unescaped(*target).substr(0, kPageSize);
    return std::unexpected(Errno{tree_.answer('D', full) != nullptr ? EINVAL : ENOENT});
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    const std::string full = full_path(path);
    if (const auto bad = error(full)) return std::unexpected(*bad);
    std::vector<std::string> out;
    if (const auto* names = tree_.answer('D', full)) {
      for (std::string_view rest = *names; !rest.empty();) {
        std::string name = unescaped(take_until(rest, ' '));
        if (is_name(name)) out.push_back(std::move(name));
      }
      std::ranges::sort(out);
      const auto twice = std::ranges::unique(out);
      out.erase(twice.begin(), twice.end());
      return out;
    }
    if (const auto* count = tree_.answer('M', full)) {
      std::string_view digits = *count;
      const auto most = take_number(digits, 3000);
      for (std::uint64_t i = 0; i < most; ++i) out.push_back("n" + std::to_string(i));
      return out;
    }
    return std::unexpected(Errno{ENOENT});
  }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    const std::string full = full_path(path);
    if (const auto bad = error(full)) return std::unexpected(*bad);
    return std::make_unique<HostileSysfs>(tree_, full);
  }
  Reply<Instance> instance() override {
    if (const auto bad = error(dir_)) return std::unexpected(*bad);
    Instance out{.device = 22, .inode = fnv1a(dir_)};
    if (const auto* numbers = tree_.answer('I', dir_)) {
      std::string_view rest = *numbers;
      out.device = take_number(rest, UINT64_MAX / 16);
      out.inode = take_number(rest, UINT64_MAX / 16);
    }
    return out;
  }

 private:
  /// What a directory entry can be called.
  static bool is_name(const std::string& name) {
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
           name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  }
  [[nodiscard]] std::string full_path(std::string_view path) const {
    if (path.empty() || path == ".") return dir_;
    return dir_.empty() ? std::string(path) : dir_ + "/" + std::string(path);
  }
  std::optional<Errno> error(const std::string& full) {
    tree_.count();
    const auto* number = tree_.answer('E', full);
    if (number == nullptr) return std::nullopt;
    std::string_view digits = *number;
    const auto value = static_cast<int>(take_number(digits, 133));
    if (value == 0) return std::nullopt;
    return Errno{value};
  }

  HostileTree& tree_;
  std::string dir_;
};

}  // namespace anybind::fuzz
