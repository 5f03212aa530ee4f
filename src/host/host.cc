#include "host/host.h"

#include "base/kernel_version.h"
#include "base/text.h"

namespace anybind {

GroupRule group_rule(std::string_view release) {
  const auto version = KernelVersion::parse(release);
  const bool is_older = version && *version < KernelVersion{5, 19};
  return is_older ? GroupRule::kDriverList : GroupRule::kDmaOwnership;
}

std::string boot_id(const Proc& proc) {
  const auto text = proc.read("sys/kernel/random/boot_id");
  return text ? std::string(trim_newline(*text)) : "";
}

}  // namespace anybind
