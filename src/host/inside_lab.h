#pragma once

namespace anybind {

// What a lab (src/lab) has for the processes in it.
/// The control socket of the lab that a process is in.
inline constexpr const char* kLabControl = "/run/anybind-lab/control";
/// Its modprobe, which loads into the model.
inline constexpr const char* kLabModprobe = "/run/anybind-lab/bin/modprobe";
/// What the lab serves beside its /sys; has modules.alias.
inline constexpr const char* kLabMounted = "/run/anybind-lab/fuse";

/// Whether this process is in a lab (src/lab): its /sys is a model's, and what else it sees of the
/// machine is not that model's.
[[nodiscard]] bool is_inside_lab();

}  // namespace anybind
