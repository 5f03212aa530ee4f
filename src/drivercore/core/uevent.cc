// What the kernel tells user space, after lib/kobject_uevent.c and drivers/base/core.c of
// Linux 6.12.
#include "drivercore/core/uevent.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "drivercore/core/bus_type.h"
#include "drivercore/core/index.h"
#include "drivercore/core/kernel_error.h"
#include "drivercore/core/kernel_text.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kUuidLength = 36;

bool is_uuid(std::string_view text) {
  if (text.size() != kUuidLength) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
    if (dash ? text[i] != '-' : !hex) return false;
  }
  return true;
}

bool is_alnum(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0; });
}

bool is_argument(std::string_view text) {
  const auto equals = std::min(text.find('='), text.size());
  return equals < text.size() && is_alnum(text.substr(0, equals)) &&
         is_alnum(text.substr(equals + 1));
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto space = text.find(' ');
    out.push_back(text.substr(0, space));
    if (space == std::string_view::npos) return out;
    text.remove_prefix(space + 1);
  }
}

bool is_action(std::string_view word) {
  static constexpr std::array kActions = {"add",    "remove",  "change", "move",
                                          "online", "offline", "bind",   "unbind"};
  return std::ranges::find(kActions, word) != kActions.end();
}

}  // namespace

Uevent make_uevent(std::string action, std::string devpath, const std::string& subsystem) {
  Uevent out{.action = std::move(action), .devpath = std::move(devpath), .lines = {}};
  out.lines = {"ACTION=" + out.action, "DEVPATH=" + out.devpath, "SUBSYSTEM=" + subsystem};
  return out;
}

std::vector<std::string> uevent_lines(const State& state, const Device& device,
                                      bool with_modalias) {
  std::vector<std::string> out;
  if (device.driver) out.push_back("DRIVER=" + state.drivers.at(*device.driver).name);
  bus_type(device.bus).uevent(device, out);
  const std::string modalias = modalias_of(device);
  if (with_modalias && !modalias.empty()) out.push_back("MODALIAS=" + modalias);
  return out;
}

std::vector<std::string> uevent_lines(const Child& child) {
  const std::string name = child_name(child);
  if (child.kind == "net") return {"INTERFACE=" + name};
  if (child.kind == "block") return {"DEVNAME=" + name, "DEVTYPE=disk"};
  if (child.kind == "drm") return {"DEVNAME=dri/" + name, "DEVTYPE=drm_minor"};
  if (child.kind == "nvme" || child.kind == "tty" || child.kind == "graphics") {
    return {"DEVNAME=" + name};
  }
  return {};
}

Reply<SyntheticUevent> parse_synthetic(std::string_view text) {
  const auto parts = words(name_in(text));
  if (!is_action(parts[0])) return kernel_error(EINVAL);
  if (parts.size() > 1 && !is_uuid(parts[1])) return kernel_error(EINVAL);
  SyntheticUevent out{.action = std::string(parts[0]), .lines = {}};
  if (parts.size() - 1 > kMaxUeventLines) return kernel_error(EINVAL);
  out.lines.push_back("SYNTH_UUID=" + (parts.size() > 1 ? std::string(parts[1]) : "0"));
  for (std::size_t i = 2; i < parts.size(); ++i) {
    if (!is_argument(parts[i])) return kernel_error(EINVAL);
    out.lines.push_back("SYNTH_ARG_" + std::string(parts[i]));
  }
  std::size_t bytes = 0;
  for (const std::string& line : out.lines) bytes += line.size() + 1;
  if (bytes > kMaxUeventBytes) return kernel_error(EINVAL);
  return out;
}

}  // namespace anybind::drivercore
