#pragma once

#include <cstdio>
#include <string_view>
#include <utility>

#include <fmt/format.h>

// How messages leave. fmt::print throws when a write fails; that a reader has gone must not end a
// change half way, so all of src/cli speaks through these.
namespace anybind::cli {

/// Writes `text`. That it cannot be written is left in the stream's error flag, which main() looks
/// at for standard output, and is no error here.
void put(std::FILE* to, std::string_view text) noexcept;

/// The same while a change runs: a reader that takes nothing (a full pipe, a terminal stopped by
/// Ctrl-S) is waited for a moment, once, and then does without the text.
void put_soon(std::FILE* to, std::string_view text) noexcept;

/// put() of the formatted text. Throws only std::bad_alloc, and then nothing is written.
template <class... Args>
void say(std::FILE* to, fmt::format_string<Args...> format, Args&&... args) {
  put(to, fmt::format(format, std::forward<Args>(args)...));
}

/// put_soon() of the formatted text.
template <class... Args>
void say_soon(std::FILE* to, fmt::format_string<Args...> format, Args&&... args) {
  put_soon(to, fmt::format(format, std::forward<Args>(args)...));
}

/// Columns of the terminal that `to` is; 0: it is none.
[[nodiscard]] unsigned columns_of(std::FILE* to) noexcept;

/// First of all: whatever of descriptors 0 to 2 is closed becomes one that reads as empty and
/// cannot be written to, so that no file opened later takes messages that were not meant for it;
/// and a file that may not grow (RLIMIT_FSIZE) is an error of the write and not the end of the
/// process.
void prepare_output() noexcept;

}  // namespace anybind::cli
