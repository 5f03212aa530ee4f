#include "host/process.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind {
namespace {

/// Empty when it cannot be read.
std::string proc_file(const Proc& proc, long pid, const std::string& name) {
  return proc.read(fmt::format("{}/{}", pid, name)).value_or("");
}

bool has_open(const Proc& proc, const std::string& pid, const std::string& path) {
  const std::string dir = pid + "/fd";
  const auto files = proc.list(dir);
  if (!files) return false;
  return std::ranges::any_of(*files, [&](const std::string& file) {
    const auto link = proc.read_link(fmt::format("{}/{}", dir, file));
    return link && *link == path;
  });
}

}  // namespace

std::optional<std::uint64_t> process_start(const Proc& proc, long pid) {
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

std::string wait_channel(const Proc& proc, long pid) {
  const std::string text = proc_file(proc, pid, "wchan");
  return text == "0" ? "" : text;
}

std::vector<std::string> holders_of(const Proc& proc, const std::string& path) {
  std::vector<std::string> out;
  for (const std::string& pid : proc.processes()) {
    if (!has_open(proc, pid, path)) continue;
    const std::string name = proc.read(pid + "/comm").value_or("");
    out.push_back(fmt::format("{} (process {})", trim_newline(name), pid));
  }
  return out;
}

}  // namespace anybind
