#pragma once

#include <expected>
#include <utility>

namespace anybind::internal {
template <class T, class E>
T take(std::expected<T, E>&& result) {
  return *std::move(result);
}
template <class E>
void take(std::expected<void, E>&& /*result*/) {}
}  // namespace anybind::internal

/// The value of a Result or Reply (nothing for a void one); on an error returns it from the
/// enclosing function.
#define TRY(expr)                                            \
  __extension__({                                            \
    auto try_result = (expr);                                \
    if (!try_result.has_value()) {                           \
      return std::unexpected(std::move(try_result).error()); \
    }                                                        \
    ::anybind::internal::take(std::move(try_result));        \
  })
