#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "host/sysfs.h"
#include "wire/json.h"

// What several writers of this folder share.
namespace anybind::wire {

template <class T>
[[nodiscard]] Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class Tag>
[[nodiscard]] Json or_null(const std::optional<Name<Tag>>& name) {
  return name ? Json(name->str()) : Json(nullptr);
}

/// null for an empty text.
[[nodiscard]] inline Json or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

/// Begins an object with the bus and the address of `device`.
[[nodiscard]] inline Json device_object(const DeviceId& device) {
  return {{"bus", device.bus.str()}, {"address", device.name.str()}};
}

[[nodiscard]] inline Json instance_object(const Instance& instance) {
  return {{"device", instance.device}, {"inode", instance.inode}};
}

/// The drivers of virtual functions, by their numbers.
[[nodiscard]] inline Json drivers_array(const std::map<unsigned, DriverName>& drivers) {
  Json out = Json::array();
  for (const auto& [number, driver] : drivers)
    out.push_back({{"number", number}, {"driver", driver.str()}});
  return out;
}

/// A word for each value of an enumeration that counts from 0, in its order.
template <class Enum, std::size_t kSize>
struct Words {
  std::array<std::string_view, kSize> words;

  [[nodiscard]] constexpr std::string_view of(Enum value) const {
    return words.at(static_cast<std::size_t>(value));
  }
  [[nodiscard]] constexpr std::optional<Enum> named(std::string_view word) const {
    for (std::size_t i = 0; i < kSize; ++i) {
      if (words[i] == word) return static_cast<Enum>(i);
    }
    return std::nullopt;
  }
};

}  // namespace anybind::wire
