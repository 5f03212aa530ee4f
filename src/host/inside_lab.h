#pragma once

namespace anybind {

/// Whether this process is in a lab (src/lab): its /sys is a model's, and what else it sees of the
/// machine is not that model's.
[[nodiscard]] bool is_inside_lab();

}  // namespace anybind
