#include "change/newcomers.h"

#include <string>

#include <fmt/format.h>

#include "inventory/device.h"

namespace anybind {

void offer_newcomers(Sysfs& root, const Setting& flag, Listener& listener,
                     const PatientWriter& writer) {
  if (flag.youngest == Instance{}) return;
  const std::string bus = flag.path.substr(0, flag.path.rfind('/'));
  const auto names = root.list(bus + "/devices");
  if (!names) return;
  for (const std::string& name : *names) {
    const auto dir = root.open_dir(fmt::format("{}/devices/{}", bus, name));
    if (!dir) continue;
    const auto instance = (*dir)->instance();
    if (!instance || instance->inode <= flag.youngest.inode) continue;
    const auto binding = read_binding(**dir);
    if (!binding || binding->driver) continue;  // what an override wants, the bus goes by
    const Setting probe{.path = bus + "/drivers_probe",
                        .bytes = name,
                        .undo_path = {},
                        .undo_bytes = {},
                        .reason = "it came while drivers_autoprobe was off"};
    listener.on_setting(probe);
    const auto offered = writer.write_back(root, probe.path, probe.bytes, probe.path);
    if (!offered && offered.error().kind == ErrorKind::kIncomplete)
      listener.on_warning(offered.error().message());  // that no driver takes it is an answer too
  }
}

}  // namespace anybind
