#include "host/host.h"

#include <algorithm>

#include "base/text.h"

namespace anybind {

GroupRule group_rule(std::string_view release) {
  const auto dot = release.find('.');
  if (dot == std::string_view::npos) return GroupRule::kDmaOwnership;
  const auto major = parse_decimal(release.substr(0, dot), 1000);
  release.remove_prefix(dot + 1);
  const auto minor = parse_decimal(
      release.substr(0, std::min(release.find_first_not_of("0123456789"), release.size())), 1000);
  if (!major || !minor) return GroupRule::kDmaOwnership;
  const bool is_older = *major < 5 || (*major == 5 && *minor < 19);
  return is_older ? GroupRule::kDriverList : GroupRule::kDmaOwnership;
}

std::string boot_id(const Proc& proc) {
  const auto text = proc.read("sys/kernel/random/boot_id");
  return text ? std::string(trim_newline(*text)) : "";
}

}  // namespace anybind
