#include "holder.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <fstream>

#include <fmt/format.h>

#include "twin.h"

namespace anybind::conformance {

bool Holder::take(Sysfs& sysfs, const std::string& function) {
  device_ = Descriptor();
  group_ = Descriptor();
  container_ = Descriptor();
  if (function.empty()) return true;
  const auto number = group_of(sysfs, function);
  if (!number) return false;
  const std::string node = fmt::format("/dev/vfio/{}", *number);
  Descriptor group(::open(node.c_str(), O_RDWR | O_CLOEXEC));
  Descriptor container(::open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
  const int fd = container.get();
  if (group.get() < 0 || fd < 0 || ::ioctl(group.get(), VFIO_GROUP_SET_CONTAINER, &fd) != 0)
    return false;
  group_ = std::move(group);
  container_ = std::move(container);
  return true;
}

bool Holder::open(const std::string& function) {
  if (::ioctl(container_.get(), VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0) return false;
  device_ = Descriptor(::ioctl(group_.get(), VFIO_GROUP_GET_DEVICE_FD, function.c_str()));
  return device_.get() >= 0;
}

std::string Holder::told() const {
  constexpr std::string_view kKey = "vfio-device-syspath: ";
  if (device_.get() < 0) return "";
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", device_.get()));
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with(kKey)) return line.substr(kKey.size());
  }
  return "";
}

}  // namespace anybind::conformance
