#pragma once

#include <chrono>
#include <cstdint>

namespace anybind {

/// The time. May be used from several threads.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  /// To measure with: never goes back.
  virtual Time now() = 0;
  /// Blocks for so long.
  virtual void sleep(std::chrono::milliseconds time) = 0;
  /// Seconds since 1970, for people.
  virtual std::int64_t date() = 0;

  /// This machine's.
  static Clock& real();
};

}  // namespace anybind
