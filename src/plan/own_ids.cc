#include "plan/own_ids.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "inventory/device.h"

namespace anybind {
namespace {

std::string module_name(std::string text) {
  std::ranges::replace(text, '-', '_');
  return text;
}

/// The id that a line of `new_id` of a USB driver stands for.
std::string usb_pattern(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const auto end = std::min(line.find(' '), line.size());
    if (end != 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  if (words.size() < 2) return "";
  const auto vendor = parse_hex(words[0], 0xFFFF);
  const auto product = parse_hex(words[1], 0xFFFF);
  const auto kind = words.size() > 2 ? parse_hex(words[2], 0xFF) : std::nullopt;
  if (!vendor || !product) return "";
  const std::string ic = kind ? fmt::format("{:02X}", *kind) : "*";
  return fmt::format("usb:v{:04X}p{:04X}d*dc*dsc*dp*ic{}isc*ip*in*", *vendor, *product, ic);
}

void each_line(std::string_view text, auto call) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    call(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

OwnIds::OwnIds(Sysfs& root, const BusName& bus, const DriverName& driver, ModuleLoader* modules) {
  const std::string path = driver_path(bus, driver);
  const auto link = root.read_link(path + "/module");
  const std::string own = module_name(driver.str());
  const std::string module = link ? module_name(std::string(link_name(*link))) : own;
  bool is_own = module == own;
  const std::string_view text = modules != nullptr ? modules->aliases() : std::string_view();
  each_line(text, [&](std::string_view line) {
    constexpr std::string_view kAlias = "alias ";
    const auto end = line.rfind(' ');
    if (!line.starts_with(kAlias) || end < kAlias.size() || end == std::string_view::npos) return;
    const std::string of = module_name(std::string(line.substr(end + 1)));
    if (of != module && of != own) return;
    // A module that registers drivers for others (usbserial, comedi_pci) has no ids itself.
    is_own = is_own || of == module;
    patterns_.emplace_back(line.substr(kAlias.size(), end - kAlias.size()));
  });
  // What is built into the kernel stands in no modules.alias.
  complete_ =
      !text.empty() && link && is_own && root.read("module/" + module + "/initstate").has_value();
  if (bus.str() != "usb") return;
  each_line(root.read(path + "/new_id").value_or(""), [&](std::string_view line) {
    if (auto pattern = usb_pattern(line); !pattern.empty()) patterns_.push_back(std::move(pattern));
  });
}

OwnIds::Answer OwnIds::match(const std::string& modalias) const {
  if (modalias.empty()) return Answer::kUnknown;
  const auto fits = [&](const std::string& pattern) { return glob_match(pattern, modalias); };
  if (std::ranges::any_of(patterns_, fits)) return Answer::kYes;
  return complete_ ? Answer::kNo : Answer::kUnknown;
}

}  // namespace anybind
