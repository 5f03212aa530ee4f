#include "change/settings_watch.h"

#include <algorithm>

#include <fmt/format.h>

#include "change/newcomers.h"

namespace anybind {
namespace {

constexpr std::string_view kNewIdFile = "/new_id";

std::string_view without(std::string_view path, std::string_view end) {
  return path.substr(0, path.size() - end.size());
}

}  // namespace

std::set<std::string> SettingsWatch::names_in(const std::string& dir) {
  const auto names = root_.list(dir);
  if (!names) return {};
  return {names->begin(), names->end()};
}

void SettingsWatch::before(const Setting& setting) {
  if (setting.path.ends_with(kNewIdFile)) {
    const std::string dir(without(setting.path, kNewIdFile));
    bound_.try_emplace(dir, names_in(dir));
  }
  if (setting.youngest != Instance{}) flags_.push_back(setting);
}

void SettingsWatch::after(const Plan& plan) {
  for (const auto& [dir, known] : bound_) tell_of_strangers(plan, dir, known);
  for (const Setting& flag : flags_) offer_newcomers(root_, flag, listener_, writer_);
  bound_.clear();
  flags_.clear();
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

}  // namespace anybind
