#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "host/mapped_file.h"
#include "inventory/device.h"

namespace anybind {

/// Names of PCI vendors, devices and classes out of hwdata's pci.ids. Looks things up by bisecting
/// the file, each pair of ids once, so that nobody waits for 35,000 lines to be parsed. A file that
/// is missing, cut short or something else just knows no names. What it gives is printable.
///
/// References stay valid as long as this object. Not thread-safe: lookups fill a cache.
class PciNames {
 public:
  explicit PciNames(const std::string& path);

  /// "Intel Corporation"; empty when unknown.
  [[nodiscard]] const std::string& vendor(std::uint16_t vendor);
  /// "82574L Gigabit Network Connection"; empty when unknown.
  [[nodiscard]] const std::string& device(std::uint16_t vendor, std::uint16_t device);
  /// The name that the maker of the board gave it; empty when unknown.
  [[nodiscard]] const std::string& subsystem(const PciIds& ids);
  /// "Ethernet controller": of the sub-class, else of the base class; empty when unknown.
  [[nodiscard]] const std::string& class_name(std::uint32_t class_code);

  /// "Intel Corporation 82574L Gigabit Network Connection", with numbers for what has no name:
  /// "Intel Corporation 10d3", "1234:11e8".
  [[nodiscard]] const std::string& full(const PciIds& ids);
  /// The same with the vendor shortened: "Intel 82574L Gigabit Network Connection".
  [[nodiscard]] const std::string& brief(const PciIds& ids);

 private:
  enum class Kind : std::uint8_t { kVendor, kDevice, kSubsystem, kClass, kFull, kBrief };
  struct Block {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string_view name;
  };

  template <class Make>
  const std::string& cached(Kind kind, std::uint64_t key, Make make);
  const Block& vendor_block(std::uint16_t vendor);
  std::string join(const PciIds& ids, std::string_view vendor_name);

  MappedFile file_;
  std::map<std::uint16_t, Block> vendors_;
  std::map<std::pair<Kind, std::uint64_t>, std::string> cache_;
};

/// A vendor's name without its legal form: "Intel Corporation" -> "Intel", "Advanced Micro
/// Devices, Inc. [AMD/ATI]" -> "AMD/ATI".
[[nodiscard]] std::string_view short_vendor(std::string_view name);

}  // namespace anybind
