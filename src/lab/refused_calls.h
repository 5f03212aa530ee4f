#pragma once

namespace anybind::lab {

/// From now on this process and its children are refused the system calls whose effect no namespace
/// keeps in: those of the kernel's key rings, and the ioctls that type into a terminal. False, with
/// errno, when the kernel does not do that.
[[nodiscard]] bool refuse_calls();

}  // namespace anybind::lab
