#include "compat/saved.h"

#include "base/text.h"
#include "base/try.h"

namespace anybind::compat {
namespace {

constexpr const char* kDirectory = "/etc/driverctl.d";

std::string file_of(const DeviceId& device) {
  return device.bus.str() + "-" + device.name.str();
}

std::unexpected<Error> cannot(Errno err, const char* operation, const std::string& file) {
  return fail(from_errno(err, operation, std::string(kDirectory) + "/" + file));
}

/// The first word of the first line.
std::string driver_in(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (text.ends_with(' ') || text.ends_with('\t') || text.ends_with('\r')) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace

Saved::Saved() : files_(open_storage(kDirectory, Readers::kAll)) {}

Result<std::vector<std::pair<DeviceId, std::string>>> Saved::all(const BusName& bus) {
  const auto names = files_->list();
  if (!names) return cannot(names.error(), "list", "");
  std::vector<std::pair<DeviceId, std::string>> out;
  const std::string before = bus.str() + "-";
  for (const std::string& file : *names) {
    if (!file.starts_with(before)) continue;
    auto name = DeviceName::parse(file.substr(before.size()));
    if (!name) continue;
    DeviceId device{.bus = bus, .name = *std::move(name)};
    if (auto driver = TRY(of(device))) out.emplace_back(std::move(device), *std::move(driver));
  }
  return out;
}

Result<std::optional<std::string>> Saved::of(const DeviceId& device) {
  const auto text = files_->read(file_of(device));
  if (!text) return cannot(text.error(), "read", file_of(device));
  if (!*text) return std::nullopt;
  return driver_in(**text);
}

Result<> Saved::save(const DeviceId& device, const std::string& driver) {
  const auto saved = files_->replace(file_of(device), driver + "\n");
  if (!saved) return cannot(saved.error(), "write", file_of(device));
  return {};
}

Result<> Saved::forget(const DeviceId& device) {
  const auto gone = files_->remove(file_of(device));
  if (!gone) return cannot(gone.error(), "remove", file_of(device));
  return {};
}

Result<> Saved::usable() {
  return files_->usable();
}

}  // namespace anybind::compat
