#pragma once

// For the files that make the tree up: what a name can stand for.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "drivercore/sysfs/attributes.h"
#include "drivercore/sysfs/entry.h"

namespace anybind::drivercore {

using Kind = Place::Kind;
using Names = std::vector<std::string>;
using MaybeEntry = std::optional<Entry>;

inline MaybeEntry directory(Kind kind, std::string name = "", std::uint32_t key = 0) {
  return Entry{.place = {.kind = kind, .name = std::move(name), .key = key}};
}
inline MaybeEntry link_to(std::string path) {
  return Entry{.kind = Entry::Kind::kLink, .text = std::move(path)};
}
inline MaybeEntry fixed_text(std::string text) {
  return Entry{.kind = Entry::Kind::kText, .text = std::move(text)};
}
inline MaybeEntry find_attribute_file(const DriverCore& core, const Place& at,
                                      const std::string& name) {
  const Attribute* found = find_attribute(core, at, name);
  if (found == nullptr) return std::nullopt;
  return Entry{.kind = Entry::Kind::kAttribute, .place = at, .attribute = found};
}
inline void list_attributes(const DriverCore& core, const Place& at, Names& out) {
  std::ranges::move(attribute_names(core, at), std::back_inserter(out));
}

inline std::string path_of(const DriverCore& core, const Device& device) {
  return core.devpath(device).substr(1);
}
inline MaybeEntry link_to_device(const DriverCore& core, DeviceKey key) {
  if (core.find(key) == nullptr) return std::nullopt;
  return Entry{.kind = Entry::Kind::kLink, .place = {.kind = Kind::kDevice, .key = key}};
}
template <class Map>
void append_names(Names& to, const Map& map) {
  for (const auto& [name, value] : map) to.push_back(name);
}
/// 0 for a name that is not there.
inline std::uint32_t key_of(const std::map<std::string, std::uint32_t>& names,
                            const std::string& name) {
  const auto found = names.find(name);
  return found == names.end() ? 0 : found->second;
}

}  // namespace anybind::drivercore
