#include "inventory/modprobe_config.h"

#include <algorithm>

#include <fmt/format.h>

namespace anybind {
namespace {

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> out;
  constexpr std::string_view kBlanks = " \t\r";
  while (!line.empty()) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    const auto end = std::min(line.find_first_of(kBlanks), line.size());
    if (end != 0) out.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return out;
}

}  // namespace

std::vector<ConfigLine> read_modprobe(const Host& host) {
  std::vector<ConfigLine> out;
  std::vector<std::string> seen;
  for (const std::string dir : {"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d",
                                "usr/lib/modprobe.d", "lib/modprobe.d"}) {
    auto names = host.files.list(dir).value_or(std::vector<std::string>{});
    std::ranges::sort(names);
    for (const std::string& name : names) {
      if (!name.ends_with(".conf") || std::ranges::find(seen, name) != seen.end()) continue;
      seen.push_back(name);
      std::string text = host.files.read(fmt::format("{}/{}", dir, name)).value_or("");
      for (auto at = text.find("\\\n"); at != std::string::npos; at = text.find("\\\n", at))
        text.replace(at, 2, " ");
      for (std::string_view rest = text; !rest.empty();) {
        const auto end = std::min(rest.find('\n'), rest.size());
        auto words = split(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (words.empty() || words[0].starts_with('#')) continue;
        out.push_back({.file = fmt::format("/{}/{}", dir, name), .words = std::move(words)});
      }
    }
  }
  return out;
}

}  // namespace anybind
