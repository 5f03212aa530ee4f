#include "twin.h"

#include <sys/utsname.h>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind::conformance {

std::string answer_of(const Reply<std::size_t>& reply, std::size_t of) {
  if (!reply) return reply.error().name();
  return *reply == of ? "ok" : fmt::format("{} of {} bytes", *reply, of);
}

std::optional<unsigned> group_of(Sysfs& sysfs, const std::string& function) {
  const auto link = sysfs.read_link("bus/pci/devices/" + function + "/iommu_group");
  const auto number = link ? parse_decimal(link_name(*link), UINT32_MAX) : std::nullopt;
  return number ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
}

bool is_compared(std::string_view subsystem) {
  return subsystem == "pci" || subsystem == "platform" || subsystem == "drivers" ||
         subsystem == "module";
}

std::string kernel_release() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

namespace {

/// Without the way up, which is another where a captured device stands below one that was not.
std::string_view target_of(std::string_view link) {
  while (link.starts_with("../")) link.remove_prefix(3);
  return link;
}

}  // namespace

void enter(Snapshot& to, const std::string& bus, const std::string& name, const DeviceLook& seen) {
  to[bus + " device " + name] =
      fmt::format("driver={} override={} physfn={} vfs={}/{}", target_of(seen.driver),
                  printable(trim_newline(seen.driver_override), 8192), target_of(seen.physfn),
                  trim_newline(seen.vf_autoprobe), trim_newline(seen.num_vfs));
}

void enter_open(Snapshot& to, const std::string& syspath) {
  if (!syspath.empty()) to["open by VFIO"] = syspath;
}

void Groups::add(const std::string& device, const std::string& link) {
  if (!link.empty()) members_[link].insert(device);
}

void Groups::enter(Snapshot& to) const {
  for (const auto& [link, devices] : members_) {
    std::string all;
    for (const std::string& device : devices) all += device + " ";
    to["group of " + *devices.begin()] = std::move(all);
  }
}

}  // namespace anybind::conformance
