#pragma once

#include <string>

#include "drivercore/sysfs/attributes.h"
#include "drivercore/sysfs/place.h"

namespace anybind::drivercore {

/// What a name in a directory stands for.
struct Entry {
  enum class Kind { kDirectory, kAttribute, kText, kLink };
  Kind kind = Kind::kDirectory;
  Place place{};  ///< a directory; that which an attribute is in; the device that a link leads to
  const Attribute* attribute = nullptr;  ///< of an attribute
  std::string text{};  ///< that is read; of another link, where it leads (Tree::target)
};

}  // namespace anybind::drivercore
