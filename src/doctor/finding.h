#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/advice.h"

namespace anybind {

enum class Verdict : std::uint8_t {
  kOk,
  kUnknown,  ///< could not be seen: `what` says why
  kWarning,  ///< works, or works for some devices only
  kProblem,  ///< no device of this machine can be used through VFIO as things are
};

/// "ok", "unknown", "warning", "problem".
[[nodiscard]] std::string_view verdict_word(Verdict verdict);

/// One verdict and, unless all is well, one fix. Names in the texts come from outside.
struct Finding {
  std::string check;  ///< stable: docs/doctor.md
  Verdict verdict = Verdict::kOk;
  std::string what;
  Remark fix;  ///< what to do or to change; empty when there is nothing to do
  friend bool operator==(const Finding&, const Finding&) = default;
};

/// The changes of anybind's journal that were cut off.
struct KnownChanges {
  std::vector<std::uint64_t> open{};
  bool seen = true;  ///< the journal could be read
};

}  // namespace anybind
