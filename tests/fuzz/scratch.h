#pragma once

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "oracle.h"

namespace anybind::fuzz {

/// A directory in memory for the files of one input; gone when the process ends.
class Scratch {
 public:
  static constexpr std::size_t kMostFiles = 48;

  Scratch() {
    std::error_code none;
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    std::string pattern =
        (in_memory ? std::string("/dev/shm") : std::filesystem::temp_directory_path(none).string()) +
        "/anybind-fuzz-XXXXXX";
    require(::mkdtemp(pattern.data()) != nullptr, "no directory for files", pattern);
    path_ = pattern;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const { return path_; }

  void clear() {
    if (!used_) return;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
      std::filesystem::remove_all(entry.path(), ignored);
    }
    used_ = false;
  }

  void put(const std::string& name, std::string_view text) {
    if (!make_parent(name)) return;
    std::ofstream(path_ + "/" + name, std::ios::binary | std::ios::trunc) << text;
  }

  void link(const std::string& name, const std::string& target) {
    if (!stays_inside(name, target) || !make_parent(name)) return;
    std::error_code ignored;
    std::filesystem::create_symlink(target, path_ + "/" + name, ignored);
  }

  /// Files that begin with a line "== PATH", and links "=> PATH TARGET".
  void put_all(std::string_view text) {
    std::string name;
    std::string content;
    std::size_t files = 0;
    const auto finish = [&] {
      if (!name.empty()) put(name, content);
      name.clear();
      content.clear();
    };
    while (!text.empty() && files < kMostFiles) {
      std::string_view line = take_until(text, '\n');
      if (line.starts_with("== ")) {
        finish();
        name = line.substr(3);
        ++files;
      } else if (line.starts_with("=> ")) {
        finish();
        line.remove_prefix(3);
        const std::string from(take_until(line, ' '));
        if (!line.empty()) link(from, std::string(line));
        ++files;
      } else {
        content += line;
        content += '\n';
      }
    }
    finish();
  }

 private:
  /// A link goes up only at its beginning, and not out of the directory: nothing of this machine is
  /// ever opened through it.
  static bool stays_inside(std::string_view name, std::string_view target) {
    // A device node that everybody has, and of which only the number is asked.
    if (name.contains("/fd/") && target == "/dev/null") return true;
    auto left = std::ranges::count(name, '/');
    for (; target.starts_with("../"); target.remove_prefix(3)) --left;
    return left >= 0 && !target.empty() && !target.starts_with('/') && !target.contains("..") &&
           target.find('\0') == std::string_view::npos;
  }

  /// Stays inside: a file of an input is never written elsewhere, and no link of it is followed.
  bool make_parent(const std::string& name) {
    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/";
    const bool good = !name.empty() && name.size() < 200 && !name.starts_with('/') &&
                      !name.ends_with('/') && !name.contains("..") && !name.contains("//") &&
                      name.find_first_not_of(kLetters) == std::string::npos &&
                      std::ranges::count(name, '/') < 8;
    if (!good) return false;
    std::error_code error;
    for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      const std::string dir = path_ + "/" + name.substr(0, slash);
      if (std::filesystem::is_symlink(std::filesystem::symlink_status(dir, error))) return false;
      std::filesystem::create_directory(dir, error);
    }
    const auto there = std::filesystem::symlink_status(path_ + "/" + name, error);
    used_ = true;
    return !std::filesystem::is_symlink(there) && !std::filesystem::is_directory(there);
  }

  std::string path_;
  bool used_ = false;
};

}  // namespace anybind::fuzz
