#pragma once

namespace anybind::lab {

/// In a lab: the control socket of the lab that a process is in.
inline constexpr const char* kControl = "/run/anybind-lab/control";
/// Its modprobe, which loads into the model.
inline constexpr const char* kModprobe = "/run/anybind-lab/bin/modprobe";

/// What the lab serves beside its /sys; has modules.alias.
inline constexpr const char* kMounted = "/run/anybind-lab/fuse";

/// Whether this process is in a lab: its /sys is a model's, and what else it sees of the machine is
/// not.
[[nodiscard]] bool is_inside();

}  // namespace anybind::lab
