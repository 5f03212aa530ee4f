#include "policy/promise.h"

#include <algorithm>

#include "engine/hold.h"

namespace anybind {

PromiseKept promise_kept(const Host& host, const Spec& spec) {
  if (std::ranges::none_of(spec.rules, &Rule::before_probe)) return PromiseKept::kNobodyAsks;
  if (!can_hold(host)) return PromiseKept::kKernelCannot;
  const auto hold = read_hold(host);
  return hold && *hold && (*hold)->is_alive ? PromiseKept::kHeld : PromiseKept::kNotHeld;
}

std::string words_of(PromiseKept kept) {
  switch (kept) {
    case PromiseKept::kNobodyAsks:
      return "";
    case PromiseKept::kHeld:
      return "before-probe is kept for cards that come: the bus is held";
    case PromiseKept::kNotHeld:
      return "before-probe is not kept for cards that come: the service does not run";
    case PromiseKept::kKernelCannot:
      return "before-probe is not kept for cards that come: this kernel cannot (Linux 6.19 can)";
  }
  return "";
}

}  // namespace anybind
