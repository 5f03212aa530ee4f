// How a modelled kernel sends its events, after lib/kobject_uevent.c of Linux 6.12.
#include <cerrno>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "base/try.h"
#include "drivercore/core/made.h"
#include "drivercore/core/operation.h"
#include "drivercore/core/uevent.h"

namespace anybind::drivercore {
namespace {

void add_lines(std::vector<std::string>& to, std::vector<std::string> lines) {
  to.insert(to.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
}

}  // namespace

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
  add_lines(event.lines, uevent_lines(state_, device, action != "unbind"));
  send(std::move(event));
}

/// lib/kobject_uevent.c:add_uevent_var: what does not fit is not sent. A number is lost when only
/// that had no more room.
Reply<void> DriverCore::check_room(const Uevent& event) {
  const auto fits = [](std::size_t lines, std::size_t bytes) {
    return lines <= kMaxUeventLines && bytes <= kMaxUeventBytes;
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
  add_lines(event.lines, std::move(wanted.lines));
  add_lines(event.lines, uevent_lines(state_, *dev, wanted.action != "unbind"));
  TRY(check_room(event));
  send(std::move(event));
  return {};
}

Reply<void> DriverCore::synthetic_uevent(const std::string& devpath, const std::string& subsystem,
                                         std::string_view text) {
  SyntheticUevent wanted = TRY(parse_synthetic(text));
  Uevent event = make_uevent(wanted.action, devpath, subsystem);
  add_lines(event.lines, std::move(wanted.lines));
  const bool goes = subsystem == "drivers" || subsystem == "module";
  if (wanted.action == "remove" && goes) state_.said_removed.insert(devpath);
  TRY(check_room(event));
  send(std::move(event));
  return {};
}

Reply<void> DriverCore::send_synthetic(std::string_view text, std::string devpath,
                                       const std::string& subsystem,
                                       std::vector<std::string> lines) {
  SyntheticUevent wanted = TRY(parse_synthetic(text));
  Uevent event = make_uevent(wanted.action, std::move(devpath), subsystem);
  add_lines(event.lines, std::move(wanted.lines));
  add_lines(event.lines, std::move(lines));
  TRY(check_room(event));
  send(std::move(event));
  return {};
}

Reply<void> DriverCore::synthetic_uevent_of_made(DeviceKey key, const std::string& path,
                                                 std::string_view text) {
  const Device* dev = find(key);
  const std::string subsystem = dev == nullptr ? "" : class_of_made(*dev, path);
  if (subsystem.empty()) return kernel_error(ENODEV);
  return send_synthetic(text, devpath(*dev) + "/" + path, subsystem,
                        uevent_lines_of_made(*dev, path));
}

Reply<void> DriverCore::synthetic_uevent_of_virtual(const std::string& path,
                                                    std::string_view text) {
  return send_synthetic(text, "/devices/virtual/" + path, path.substr(0, path.find('/')),
                        uevent_lines_of_virtual(path));
}

}  // namespace anybind::drivercore
