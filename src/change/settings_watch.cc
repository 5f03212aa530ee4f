#include "change/settings_watch.h"

#include <algorithm>

#include <fmt/format.h>

#include "inventory/device.h"

namespace anybind {
namespace {

constexpr std::string_view kNewIdFile = "/new_id";
constexpr std::string_view kAutoprobeFile = "/drivers_autoprobe";

std::string_view without(std::string_view path, std::string_view end) {
  return path.substr(0, path.size() - end.size());
}

}  // namespace

std::set<std::string> SettingsWatch::names_in(const std::string& dir) {
  const auto names = root_.list(dir);
  if (!names) return {};
  return {names->begin(), names->end()};
}

std::map<std::string, Instance> SettingsWatch::cards_in(const std::string& dir) {
  std::map<std::string, Instance> out;
  for (const std::string& name : names_in(dir)) {
    const auto device = root_.open_dir(fmt::format("{}/{}", dir, name));
    const auto instance = device ? (*device)->instance() : std::unexpected(device.error());
    if (instance) out.emplace(name, *instance);
  }
  return out;
}

void SettingsWatch::before(const Setting& setting) {
  if (setting.path.ends_with(kNewIdFile)) {
    const std::string dir(without(setting.path, kNewIdFile));
    bound_.try_emplace(dir, names_in(dir));
  } else if (setting.path.ends_with(kAutoprobeFile)) {
    const std::string dir(without(setting.path, kAutoprobeFile));
    devices_.try_emplace(dir, cards_in(dir + "/devices"));
  }
}

void SettingsWatch::after(const Plan& plan) {
  for (const auto& [dir, known] : bound_) tell_of_strangers(plan, dir, known);
  for (const auto& [dir, known] : devices_) offer_newcomers(dir, known);
  bound_.clear();
  devices_.clear();
}

/// They may be meant to be there by somebody else, so they are left alone.
void SettingsWatch::tell_of_strangers(const Plan& plan, const std::string& driver_dir,
                                      const std::set<std::string>& known) {
  const std::string bus_dir = driver_dir.substr(0, driver_dir.find("/drivers/"));
  for (const std::string& name : names_in(driver_dir)) {
    const auto is_ours = [&](const DevicePlan& of) { return of.device.name.str() == name; };
    if (known.contains(name) || std::ranges::any_of(plan.devices, is_ours)) continue;
    if (!root_.open_dir(fmt::format("{}/devices/{}", bus_dir, name))) continue;
    listener_.on_warning(fmt::format("{} went to {} too, while that had an id for its type", name,
                                     link_name(driver_dir)));
  }
}

void SettingsWatch::offer_newcomers(const std::string& bus_dir,
                                    const std::map<std::string, Instance>& known) {
  for (const std::string& name : names_in(bus_dir + "/devices")) {
    const auto dir = root_.open_dir(fmt::format("{}/devices/{}", bus_dir, name));
    if (!dir) continue;
    const auto was = known.find(name);
    if (was != known.end() && (*dir)->instance() == was->second) continue;
    const auto binding = read_binding(**dir);
    if (!binding || binding->driver || binding->driver_override) continue;
    const Setting probe{.path = bus_dir + "/drivers_probe",
                        .bytes = name,
                        .undo_path = {},
                        .undo_bytes = {},
                        .reason = "it came while drivers_autoprobe was off"};
    listener_.on_setting(probe);
    const auto offered = writer_.write_back(root_, probe.path, probe.bytes, probe.path);
    if (!offered && offered.error().kind == ErrorKind::kIncomplete)
      listener_.on_warning(offered.error().message());  // that no driver takes it is an answer too
  }
}

}  // namespace anybind
