#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/host.h"

namespace anybind {

/// The kernel command line of a machine, and where it is kept.
class BootParameters {
 public:
  explicit BootParameters(const Host& host);

  /// It can be read.
  [[nodiscard]] bool is_known() const { return is_known_; }
  /// Its words, in order; a quoted part may hold blanks.
  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }
  /// The last value of a parameter, "on" of intel_iommu=on; "" of one without "=". nullopt: it is
  /// not there. '-' and '_' are the same to the kernel.
  [[nodiscard]] std::optional<std::string> value(std::string_view name) const;
  /// "add intel_iommu=on to GRUB_CMDLINE_LINUX in /etc/default/grub, ..."
  [[nodiscard]] std::string how_to_add(const std::string& parameter) const;
  [[nodiscard]] std::string how_to_remove(const std::string& parameter) const;

 private:
  const Host& host_;
  bool is_known_ = false;
  std::vector<std::string> words_;
};

}  // namespace anybind
