#pragma once

#include <cstdint>
#include <string_view>

#include "drivercore/core/state.h"

namespace anybind::race {

/// 128 bits that stand for everything that was fed: two states of a search are taken for one when
/// theirs are equal. With a million states the chance of one mistake is about 1e-27.
class Hash {
 public:
  void add(std::uint64_t value) {
    a_ = mix(a_ ^ value, 0x9E3779B97F4A7C15);
    b_ = mix(b_ + value, 0xC2B2AE3D27D4EB4F);
  }
  void add(std::string_view text);
  void add(const Hash& other) {
    add(other.a_);
    add(other.b_);
  }
  friend bool operator==(const Hash&, const Hash&) = default;
  /// For a table of a power of two of slots.
  [[nodiscard]] std::uint64_t low_bits() const { return a_ ^ (a_ >> 32U); }

 private:
  static std::uint64_t mix(std::uint64_t value, std::uint64_t factor) {
    value *= factor;
    return (value ^ (value >> 29U)) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB;
  }
  std::uint64_t a_ = 0x243F6A8885A308D3;
  std::uint64_t b_ = 0x13198A2E03707344;
};

/// Of all that an operation of the modelled kernel can change or that sets two devices apart.
[[nodiscard]] Hash hash_of(const drivercore::State& state);

}  // namespace anybind::race
