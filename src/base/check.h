#pragma once

#include <string_view>

// What must be so, looked at also in release builds. A change of bindings that goes on with a wrong
// idea of itself does more harm than one that stops: the journal says what was intended, and
// `recover` puts that right. So a CHECK is for faults of this program only. What the kernel, a
// file, a user or a library's caller may bring is an error, which is returned.
namespace anybind {

/// Writes "anybind: FILE:LINE: not so: WHAT" to standard error, one write(2), and ends the process
/// by abort(). Allocates nothing and takes no lock, so it may be called in any state, in a child of
/// a fork and with threads under way. Nothing is unwound: no destructor runs, nothing is put back.
[[noreturn, gnu::cold]] void check_failed(const char* file, int line, const char* what) noexcept;

namespace internal {
/// From "src/" on, so that no program holds the path of the machine that built it.
consteval const char* short_file(const char* file) {
  const std::string_view all(file);
  const auto src = all.rfind("/src/");
  const auto slash = all.rfind('/');
  if (src != std::string_view::npos) return file + src + 1;
  return slash == std::string_view::npos ? file : file + slash + 1;
}
}  // namespace internal

}  // namespace anybind

/// CHECK(condition, "what must be so"): `what` is evaluated only when it is not so.
#define CHECK(condition, what)  \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::anybind::check_failed(::anybind::internal::short_file(__FILE__), __LINE__, what))
