#pragma once

namespace anybind::cli {

/// The command `anybind`, with the arguments of main(); the exit code. Once a process.
[[nodiscard]] int run_command(int argc, char** argv);

}  // namespace anybind::cli
