#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <string>

namespace anybind::wire {

/// Each text that `good` is cut to, and `good` with one byte replaced: `read` takes it or tells
/// what is wrong with it, and what it takes comes back from what `write` makes of it. How many were
/// taken.
template <class Read, class Write>
std::size_t try_damaged(const std::string& good, Read read, Write write) {
  std::size_t taken = 0;
  const auto try_one = [&](const std::string& text) {
    const auto value = read(text);
    if (!value) {
      EXPECT_FALSE(value.error().message().empty());
      return;
    }
    ++taken;
    const auto again = read(write(*value));
    ASSERT_TRUE(again) << again.error().message() << "\n" << text;
    EXPECT_EQ(write(*again), write(*value)) << text;
  };
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto value = read(good.substr(0, size));
    EXPECT_TRUE(!value || size + 1 >= good.size()) << "taken though it is cut at " << size;
  }
  static constexpr auto kBytes =
      std::to_array<char>({'\0', '"', '\\', '{', ']', ',', '-', '1', 'e', '\x7F', '\xFF'});
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (std::size_t i = 0; i < 3; ++i) {  // three of them, others at each place
      std::string text = good;
      text[at] = kBytes.at((7 * at + 4 * i) % kBytes.size());
      try_one(text);
    }
  }
  return taken;
}

}  // namespace anybind::wire
