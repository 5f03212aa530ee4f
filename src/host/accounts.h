#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "host/proc.h"

namespace anybind {

/// Who shall have a device node.
struct Owner {
  std::uint32_t uid = 0;
  std::optional<std::uint32_t> gid{};  ///< nullopt: the group stays
  friend bool operator==(const Owner&, const Owner&) = default;
};

/// The names of users and groups, as /etc/passwd and /etc/group have them. Not those of a directory
/// server: asking it takes the C library's plug-ins, which a static program cannot load. Numbers do
/// for these.
class Accounts {
 public:
  /// Reads etc/passwd and etc/group of a root directory; without them there are only numbers.
  explicit Accounts(const Proc& files);

  /// "alice"; "uid 1000" when it has no name.
  [[nodiscard]] std::string user(std::uint32_t uid) const;
  /// "alice:kvm", with numbers where there are no names.
  [[nodiscard]] std::string owner(std::uint32_t uid, std::uint32_t gid) const;
  /// "USER", "USER:GROUP", by name or by number. kUsage: no such user or group.
  [[nodiscard]] Result<Owner> parse(std::string_view text) const;

 private:
  std::string passwd_;
  std::string group_;
};

}  // namespace anybind
