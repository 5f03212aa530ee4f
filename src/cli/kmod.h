#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace anybind::cli {

/// modprobe, rmmod or insmod in a lab, as their callers know them (kmod 30): its options, what it
/// prints, its exit code. `lab`: its name; empty: the one that this process is in.
int run_kmod_program(Context& context, const std::string& lab, const std::string& program,
                     const std::vector<std::string>& words);

}  // namespace anybind::cli
