#include "change/belongings.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind {
namespace {

constexpr unsigned kUp = 1;  // IFF_UP
constexpr std::size_t kMostInterfaces = 64;
/// For an interface that was up, and is to be set up again, to come under its name.
constexpr auto kInterfacePatience = std::chrono::milliseconds(2000);

/// The directory of its interfaces: its own, or that of its virtio device.
std::string net_dir(Sysfs& dir, const Binding& binding) {
  if (!binding.driver || binding.driver->str() != "virtio-pci") return "net";
  for (const std::string& name : dir.list(".").value_or(std::vector<std::string>{})) {
    if (name.starts_with("virtio")) return name + "/net";
  }
  return "net";
}

std::optional<unsigned> flags_of(Sysfs& dir, const std::string& path) {
  const auto text = dir.read(path);
  const auto digits = text ? trim_newline(*text) : std::string_view();
  if (!digits.starts_with("0x")) return std::nullopt;
  const auto flags = parse_hex(digits.substr(2), 0xFFFFFFFF);
  return flags ? std::optional(static_cast<unsigned>(*flags)) : std::nullopt;
}

/// Which of them there are by now; the only one there is stands for the only one there was.
std::vector<std::string> found_again(const std::vector<std::string>& wanted,
                                     const std::vector<std::string>& there, bool last_try) {
  std::vector<std::string> out;
  for (const std::string& name : wanted) {
    if (std::ranges::find(there, name) != there.end()) out.push_back(name);
  }
  if (out.size() == wanted.size() || !last_try) return out;
  return wanted.size() == 1 && there.size() == 1 ? there : out;
}

/// nullptr unless it is that card, with the driver that it had.
Result<std::unique_ptr<Sysfs>> as_before(Sysfs& root, const DeviceId& device,
                                         const Origin& origin) {
  auto dir = TRY(open_device(root, device));
  if (dir == nullptr) return nullptr;
  const auto instance = dir->instance();
  if (!instance) return fail(from_errno(instance.error(), "look at", device.str()));
  if (*instance != origin.instance) return nullptr;
  const auto driver = read_driver(*dir);
  if (!driver) return fail(from_errno(driver.error(), "read the driver of", device.str()));
  if (*driver != origin.binding.driver) return nullptr;
  return dir;
}

}  // namespace

Result<Belongings> read_belongings(Sysfs& dir, const DeviceId& device, const Binding& binding) {
  Belongings out;
  if (!binding.driver) return out;
  out.functions = TRY(read_functions(dir, device));
  const std::string net = net_dir(dir, binding);
  const auto names = dir.list(net);
  if (!names && names.error().value != ENOENT)
    return fail(from_errno(names.error(), "list the interfaces of", device.str()));
  for (const std::string& name : names.value_or(std::vector<std::string>{})) {
    if (out.up.size() == kMostInterfaces) break;
    if (flags_of(dir, fmt::format("{}/{}/flags", net, name)).value_or(0) & kUp)
      out.up.push_back(name);
  }
  std::ranges::sort(out.up);
  return out;
}

bool is_as_it_was(Sysfs& root, const DeviceId& device, const Origin& origin) {
  const auto dir = open_device(root, device);
  if (!dir) return false;
  if (*dir == nullptr || (*dir)->instance() != origin.instance) return true;
  const auto now = read_binding(**dir);
  if (!now || now->driver != origin.binding.driver ||
      now->driver_override != origin.binding.driver_override)
    return false;
  if (!origin.had.functions) return true;
  const auto has = read_functions(**dir, device);
  return has && *has == origin.had.functions;
}

Result<> make_functions_again(Sysfs& root, const DeviceId& device, const Origin& origin,
                              Listener& listener, const PatientWriter& writer) {
  if (origin.had.functions.value_or(0) == 0) return {};
  const auto dir = TRY(as_before(root, device, origin));
  if (dir == nullptr) return {};
  if (TRY(read_functions(*dir, device)) != 0U) return {};
  const std::string count = std::to_string(*origin.had.functions);
  listener.on_setting({.path = device.path() + "/sriov_numvfs",
                       .bytes = count,
                       .undo_path = {},
                       .undo_bytes = {},
                       .reason = "its virtual functions went with its driver"});
  auto written = writer.write_back(*dir, "sriov_numvfs", count, device.path() + "/sriov_numvfs");
  if (!written) written.error().operation = "make the virtual functions again:";
  return written;
}

void set_up_again(Sysfs& root, const DeviceId& device, const Origin& origin, Listener& listener,
                  const PatientWriter& writer) {
  constexpr auto kPause = std::chrono::milliseconds(20);
  if (origin.had.up.empty()) return;
  const auto found = as_before(root, device, origin);
  if (!found || *found == nullptr) return;
  const auto& dir = *found;
  Clock& clock = *writer.host().clock;
  const auto end =
      clock.now() + (writer.host().has_udev ? kInterfacePatience : std::chrono::milliseconds(0));
  std::string net;
  std::vector<std::string> names;
  for (bool last = false;; clock.sleep(kPause)) {
    last = clock.now() >= end;
    net = net_dir(*dir, origin.binding);
    names = found_again(origin.had.up, dir->list(net).value_or(std::vector<std::string>{}), last);
    if (last || names.size() == origin.had.up.size()) break;
  }
  std::size_t up = 0;
  for (const std::string& name : names) {
    const std::string path = fmt::format("{}/{}/flags", net, name);
    const auto flags = flags_of(*dir, path);
    if (!flags) continue;
    const std::string bytes = fmt::format("0x{:x}", *flags | kUp);
    const std::string full = device.path() + "/" + path;
    listener.on_setting({.path = full,
                         .bytes = bytes,
                         .undo_path = {},
                         .undo_bytes = {},
                         .reason = "the interface was up"});
    if ((*flags & kUp) != 0 || writer.write_back(*dir, path, bytes, full)) ++up;
  }
  if (up == origin.had.up.size()) return;
  listener.on_warning(fmt::format("{}: of what was up, {}, not all could be set up again",
                                  device.str(), join_words(origin.had.up)));
}

}  // namespace anybind
