#pragma once

#include <exception>
#include <new>
#include <type_traits>

#include "base/error.h"

// The last resort around the writes of a plan: what is thrown there, for want of memory mostly,
// becomes an error like any other. As an exception it would leave devices half way.
namespace anybind {

/// The words of the last line are short enough to need no memory themselves.
inline Error error_of(const std::exception& thrown) noexcept {
  Error out;
  try {
    out.operation = "change bindings";
    if (dynamic_cast<const std::bad_alloc*>(&thrown) == nullptr) {
      out.why = thrown.what();
      return out;
    }
    out.why = "there is no memory left";
    out.advice = "free some, or raise the limit (ulimit -v), and try again";
  } catch (const std::exception&) {
    out.why = "out of memory";
  }
  return out;
}

/// The Result of `work`; what it throws is an error.
template <class Work>
std::invoke_result_t<Work> attempt(const Work& work) {
  try {
    return work();
  } catch (const std::exception& thrown) {
    return fail(error_of(thrown));
  }
}

/// The same of work that can be begun again: by the second time there may be memory.
template <class Work>
std::invoke_result_t<Work> attempt_twice(const Work& work) {
  try {
    return work();
  } catch (const std::exception&) {
    return attempt(work);
  }
}

/// Does without `work` when that throws.
template <class Work>
void try_to(const Work& work) {
  (void)attempt([&] {
    work();
    return Result<>();
  });
}

/// Says that recover() is what to do next: the words of an error need memory too.
inline void advise_recovery(Error& error) {
  (void)attempt_twice([&] {
    error.advice = Action::kRecover;
    return Result<>();
  });
}

}  // namespace anybind
