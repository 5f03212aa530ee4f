#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/session.h"

namespace anybind::cli {

/// What could be typed.
struct Completion {
  std::string word;  ///< or, behind a colon, what the shell shall look for: ":files"
  std::string what;  ///< a few words about it; may be empty
};

/// The words that there are for what a synopsis or an option calls `kind` ("DEVICE", "GUARD"), of
/// which `current` is typed: of a list of selectors its end. Devices and drivers are those of
/// `machine`; none where it cannot be looked at. Empty for a kind of which nobody knows the words.
[[nodiscard]] std::vector<Completion> words_of_kind(std::string_view kind, std::string_view verb,
                                                    const MachineChoice& machine,
                                                    const std::string& current);

/// Prints those that begin with `current`, each once, a line each (complete.h).
void print_candidates(const std::vector<Completion>& candidates, std::string_view current);

/// The labs that run (lab.cc; none in a build without).
[[nodiscard]] std::vector<std::string> lab_names();

}  // namespace anybind::cli
