#include "inventory/boot_parameters.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "host/modules.h"

namespace anybind {
namespace {

std::vector<std::string> parse_command_line(std::string_view text) {
  std::vector<std::string> out;
  std::string word;
  bool is_quoted = false;
  const auto end_word = [&] {
    if (!word.empty()) out.push_back(std::exchange(word, ""));
  };
  for (const char c : trim_newline(text)) {
    if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == ' ' && !is_quoted) {
      end_word();
    } else {
      word += c;
    }
  }
  end_word();
  return out;
}

/// Where the kernel command line is kept, and what makes it take effect.
std::string keeper(const Host& host) {
  if (host.files.read("etc/kernel/cmdline"))
    return "/etc/kernel/cmdline, install the kernel again "  // told to people, never opened
           "(kernel-install, proxmox-boot-tool "
           "refresh) and reboot";
  if (host.files.read("etc/default/grub"))
    return "GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub and reboot";
  return "the kernel command line and reboot";
}

bool is_kept(const Host& host, const std::string& parameter) {
  return std::ranges::any_of(std::array{"etc/kernel/cmdline", "etc/default/grub"},
                             [&](const char* file) {
                               const auto text = host.files.read(file);
                               return text && text->contains(parameter);
                             });
}

}  // namespace

BootParameters::BootParameters(const Host& host) : host_(host) {
  const auto text = host.files.read("proc/cmdline");
  is_known_ = text.has_value();
  words_ = parse_command_line(text.value_or(""));
}

std::optional<std::string> BootParameters::value(std::string_view name) const {
  std::optional<std::string> out;
  for (const std::string& word : words_) {
    const auto equals = std::min(word.find('='), word.size());
    if (module_key(std::string_view(word).substr(0, equals)) != module_key(name)) continue;
    out = word.substr(std::min(equals + 1, word.size()));
  }
  return out;
}

std::string BootParameters::how_to_add(const std::string& parameter) const {
  if (is_kept(host_, parameter))
    return fmt::format(
        "{} is configured already: run update-grub, if that was not done, and reboot", parameter);
  return fmt::format("add {} to {}", parameter, keeper(host_));
}

std::string BootParameters::how_to_remove(const std::string& parameter) const {
  return fmt::format("take {} out of {}", parameter, keeper(host_));
}

}  // namespace anybind
