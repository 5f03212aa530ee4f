// What the kernel tells user space, after lib/kobject_uevent.c and drivers/base/core.c of
// Linux 6.12.
#include "drivercore/uevent.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "drivercore/bus_type.h"
#include "drivercore/index.h"
#include "drivercore/kernel_text.h"
#include "drivercore/operation.h"

namespace anybind::drivercore {
namespace {

constexpr std::size_t kUuidLength = 36;
constexpr std::size_t kMaxLines = 64;    ///< UEVENT_NUM_ENVP
constexpr std::size_t kMaxBytes = 2048;  ///< UEVENT_BUFFER_SIZE

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

void append(std::vector<std::string>& to, std::vector<std::string> lines) {
  to.insert(to.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
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
  if (parts.size() - 1 > kMaxLines) return kernel_error(EINVAL);
  out.lines.push_back("SYNTH_UUID=" + (parts.size() > 1 ? std::string(parts[1]) : "0"));
  for (std::size_t i = 2; i < parts.size(); ++i) {
    if (!is_argument(parts[i])) return kernel_error(EINVAL);
    out.lines.push_back("SYNTH_ARG_" + std::string(parts[i]));
  }
  std::size_t bytes = 0;
  for (const std::string& line : out.lines) bytes += line.size() + 1;
  if (bytes > kMaxBytes) return kernel_error(EINVAL);
  return out;
}

// ---- sending

void DriverCore::send(Uevent event) {
  event.lines.push_back(fmt::format("SEQNUM={}", state_.seqnum++));
  if (nobody_listens_) return;
  if (uevents_.size() == kMaxUevents) uevents_.pop_front();
  uevents_.push_back(std::move(event));
}

void DriverCore::send(const std::string& action, const Device& device) {
  if (nobody_listens_) {
    ++state_.seqnum;
    return;
  }
  Uevent event = make_uevent(action, devpath(device), device.bus);
  // The core strips MODALIAS from unbind, so that nobody loads the driver again for it.
  append(event.lines, uevent_lines(state_, device, action != "unbind"));
  send(std::move(event));
}

/// lib/kobject_uevent.c:add_uevent_var: what does not fit is not sent. A number is lost when only
/// that had no more room.
Reply<void> DriverCore::check_room(const Uevent& event) {
  const auto fits = [](std::size_t lines, std::size_t bytes) {
    return lines <= kMaxLines && bytes <= kMaxBytes;
  };
  std::size_t bytes = 0;
  for (const std::string& line : event.lines) bytes += line.size() + 1;
  if (!fits(event.lines.size(), bytes)) return kernel_error(ENOMEM);
  const auto number = fmt::format("SEQNUM={}", state_.seqnum).size() + 1;
  if (fits(event.lines.size() + 1, bytes + number)) return {};
  ++state_.seqnum;
  return kernel_error(ENOMEM);
}

/// The last event of a driver or module, unless user space has sent it.
void DriverCore::send_removed(Uevent event) {
  if (state_.said_removed.erase(event.devpath) == 0) send(std::move(event));
}

std::vector<Uevent> DriverCore::take_uevents() {
  std::vector<Uevent> out(std::make_move_iterator(uevents_.begin()),
                          std::make_move_iterator(uevents_.end()));
  uevents_.clear();
  return out;
}

Reply<void> DriverCore::synthetic_uevent(DeviceKey key, std::string_view text) {
  SyntheticUevent wanted = TRY(parse_synthetic(text));
  const Device* dev = find(key);
  if (dev == nullptr) return kernel_error(ENODEV);
  Uevent event = make_uevent(wanted.action, devpath(*dev), dev->bus);
  append(event.lines, std::move(wanted.lines));
  append(event.lines, uevent_lines(state_, *dev, wanted.action != "unbind"));
  TRY(check_room(event));
  send(std::move(event));
  return {};
}

Reply<void> DriverCore::synthetic_uevent(const std::string& devpath, const std::string& subsystem,
                                         std::string_view text) {
  SyntheticUevent wanted = TRY(parse_synthetic(text));
  Uevent event = make_uevent(wanted.action, devpath, subsystem);
  append(event.lines, std::move(wanted.lines));
  if (wanted.action == "remove" && subsystem != "bus") state_.said_removed.insert(devpath);
  TRY(check_room(event));
  send(std::move(event));
  return {};
}

}  // namespace anybind::drivercore
