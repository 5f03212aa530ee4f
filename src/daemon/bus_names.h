#pragma once

namespace anybind::daemon {

inline constexpr const char* kName = "org.anybind.Manager1";
inline constexpr const char* kPath = "/org/anybind/Manager1";
inline constexpr const char* kInterface = "org.anybind.Manager1";

}  // namespace anybind::daemon
