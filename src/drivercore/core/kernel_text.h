#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/errno.h"

namespace anybind::drivercore {

// How the kernel reads what is written to an attribute (lib/kstrtox.c, lib/vsprintf.c,
// lib/string_helpers.c). Each takes the raw bytes of the write.

/// What a store function sees: up to the first NUL.
[[nodiscard]] std::string_view c_string(std::string_view bytes);

/// A name as sysfs_streq() compares it: without one newline at its end.
[[nodiscard]] std::string_view name_in(std::string_view bytes);

/// kstrtoul(base 0): a whole number, one newline allowed. EINVAL, ERANGE.
[[nodiscard]] Reply<std::uint64_t> kstrtoul(std::string_view bytes);

/// kstrtou16(base 0), the same up to 65535.
[[nodiscard]] Reply<unsigned> kstrtou16(std::string_view bytes);

/// kstrtoint(base 0), the same with a sign.
[[nodiscard]] Reply<int> kstrtoint(std::string_view bytes);

/// kstrtobool: y, Y, t, T, 1, on, On ... or n, N, f, F, 0, off; only the first letters count.
[[nodiscard]] Reply<bool> kstrtobool(std::string_view bytes);

/// What sscanf("%x %x %x %x %x %x %lx") takes: as many fields as there are, silently up to the
/// first junk; the first six cut to 32 bits.
struct HexFields {
  std::size_t count = 0;
  std::array<std::uint64_t, 7> value{};
};
[[nodiscard]] HexFields scan_hex(std::string_view bytes);

}  // namespace anybind::drivercore
