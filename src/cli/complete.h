#pragma once

#include <span>
#include <string>

#include "cli/arguments.h"
#include "cli/verb.h"

namespace anybind::cli {

/// Answers a shell that completes a command line: `words` are those before the cursor, without
/// "anybind", and the last of them is the one to be completed, which may be empty. Printed is a
/// candidate a line, each with a tab and what it is where that can be said; one that ends in ':',
/// ',', '/' or '=' goes on. A line that begins with a colon asks the shell for names of its own:
/// ":files", ":dirs", ":users", ":commands". What cannot be looked at has no candidates; nothing is
/// ever said on standard error. Reads the machine that the words name, and changes nothing.
void complete(std::span<const std::string> words, std::span<const Verb> verbs,
              ArgumentReader& reader, void (*add_globals)(CLI::App& app));

}  // namespace anybind::cli
