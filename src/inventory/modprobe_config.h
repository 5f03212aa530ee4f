#pragma once

#include <string>
#include <vector>

#include "host/host.h"

namespace anybind {

/// A line of a file of modprobe.d, by words, without comments.
struct ConfigLine {
  std::string file;  ///< as a person opens it: "/etc/modprobe.d/vfio.conf"
  std::vector<std::string> words;
};

/// The lines of modprobe.d(5) that count: a file hides those of the same name in later directories.
[[nodiscard]] std::vector<ConfigLine> read_modprobe(const Host& host);

}  // namespace anybind
