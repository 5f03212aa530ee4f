#include "host/process.h"

#include <filesystem>

#include <fmt/format.h>

#include "base/text.h"
#include "host/posix_sysfs.h"

namespace anybind {
namespace {

/// A file of /proc, at most a page of it; empty when it cannot be read.
std::string proc_file(const std::string& proc, long pid, const std::string& name) {
  const auto dir = open_sysfs(proc);
  if (!dir) return "";
  const auto text = (*dir)->read(fmt::format("{}/{}", pid, name));
  return text.value_or("");
}

bool has_open(const std::filesystem::path& process, const std::string& path) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(process / "fd", error), end; at != end;
       at.increment(error)) {
    if (error) return false;
    std::error_code unreadable;
    if (std::filesystem::read_symlink(at->path(), unreadable) == path) return true;
  }
  return false;
}

}  // namespace

std::optional<std::uint64_t> process_start(const std::string& proc, long pid) {
  // "812 (a name) S 1 ...": the 22nd field, counted after the name, which may contain anything.
  const std::string stat = proc_file(proc, pid, "stat");
  const auto name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(stat).substr(name_end + 2);
  if (rest.starts_with('Z') || rest.starts_with('X')) return std::nullopt;
  for (int field = 3; field < 22; ++field) {
    const auto blank = rest.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(blank + 1);
  }
  return parse_decimal(rest.substr(0, rest.find(' ')));
}

std::string wait_channel(const std::string& proc, long pid) {
  const std::string text = proc_file(proc, pid, "wchan");
  return text == "0" ? "" : text;
}

std::vector<std::string> holders_of(const std::string& proc, const std::string& path) {
  std::vector<std::string> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at(proc, error), end; !error && at != end;
       at.increment(error)) {
    const auto pid = parse_decimal(at->path().filename().string(), INT32_MAX);
    if (!pid || !has_open(at->path(), path)) continue;
    const std::string name = proc_file(proc, static_cast<long>(*pid), "comm");
    out.push_back(fmt::format("{} (process {})", trim_newline(name), *pid));
  }
  return out;
}

}  // namespace anybind
