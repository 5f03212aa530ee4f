#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/verb.h"

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

// What is wrong with a command line, in words. The parser knows that something is, and says it in
// its own: these look at the line again, as a person would.
namespace anybind::cli {

[[nodiscard]] Error usage_error(std::string why, Remark next);

/// "anybind bind DEVICE... DRIVER"; of a verb of `lab` that is the first of `words`, its own.
[[nodiscard]] std::string synopsis(const Verb& verb, std::span<const std::string> words);

/// One line about what `anybind lab NAME` is given: "DEVICE"; empty when there is no such name.
[[nodiscard]] std::string_view lab_arguments(std::string_view name);

/// No verb is called so. `before` stood before it: an option there that nobody has is named first.
[[nodiscard]] Error unknown_verb(const std::string& name, std::span<const std::string> before,
                                 std::span<const Verb> verbs, ArgumentReader& reader);

/// There is no verb at all.
[[nodiscard]] Error no_verb(std::span<const std::string> words, std::span<const Verb> verbs,
                            ArgumentReader& reader);

/// `words` of `verb` that `app` refused with `refusal`.
[[nodiscard]] Error wrong_words(const Verb& verb, const CLI::App& app,
                                const std::vector<std::string>& words,
                                const CLI::ParseError& refusal, ArgumentReader& reader);

}  // namespace anybind::cli
