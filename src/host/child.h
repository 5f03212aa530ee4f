#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/errno.h"

namespace anybind {

struct ChildEnd {
  int status = 0;      ///< its exit code, or 128 and the signal
  std::string output;  ///< the first kilobytes of what it said, on either stream
};

/// Runs a program (`command[0]` is its path) with nothing of ours but the words: an environment of
/// its own, no input, and a process group of its own, so that Ctrl-C does not reach it. `give_up`,
/// which may be empty, is asked several times a second; after true the child is left to itself and
/// the answer is ETIMEDOUT.
[[nodiscard]] Reply<ChildEnd> run_child(const std::vector<std::string>& command,
                                        const std::function<bool()>& give_up);

/// In a child that goes on in our program: closes everything of ours but `file`, as a lock or a
/// pipe that it kept open would outlive us with it, and leaves our terminal, whose Ctrl-C and
/// hang-up do not reach it then. Only system calls.
void keep_only(int file);

}  // namespace anybind
