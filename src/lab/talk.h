#pragma once

#include <string>
#include <string_view>

#include "host/descriptor.h"

namespace anybind::lab {

/// What the process outside of a lab and the one inside say to each other until the command runs:
/// one word and a text; a descriptor comes along.
enum class Word : char {
  kUnshared = 'u',  ///< inside: new ids are to be mapped
  kMapped = 'm',
  kFuse = 'd',  ///< inside: /dev/fuse, mounted, comes along
  kServed = 's',
  kUevent = 'e',  ///< inside: the socket for uevents comes along
  kRun = 'r',
  kFailed = 'f'  ///< inside: errno, ':', what failed
};

/// Nobody is told when the other end is gone: the next hear() says so.
void say(int talk, Word word, std::string_view text = "", int descriptor = -1);

/// Waits. The word's character, then its text; empty at the end of the talk.
[[nodiscard]] std::string hear(int talk, Descriptor* descriptor = nullptr);

[[nodiscard]] inline bool is_word(std::string_view heard, Word word) {
  return !heard.empty() && heard[0] == static_cast<char>(word);
}

}  // namespace anybind::lab
