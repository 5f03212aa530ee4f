#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "cli/verb.h"

namespace CLI {
class App;
}

namespace anybind::cli {

/// How wide a page of help is on `columns` of a terminal; 0: none.
[[nodiscard]] std::size_t page_width(unsigned columns);

/// The page of `anybind --help`; `globals` has the options that all verbs share.
[[nodiscard]] std::string main_page(std::span<const Verb> verbs, const CLI::App& globals,
                                    std::size_t width);

/// The page of `anybind VERB --help`, or of that verb of `lab` which `app` has parsed. `shared` has
/// the options that all verbs share, which are told once, by main_page().
[[nodiscard]] std::string verb_page(const Verb& verb, const CLI::App& app, const CLI::App& shared,
                                    std::size_t width);

}  // namespace anybind::cli
