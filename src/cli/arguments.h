#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/verb.h"

namespace anybind::cli {

/// The words of a command line, sorted: options may stand anywhere.
struct Arguments {
  std::optional<std::string> verb{};  ///< the first word that is neither an option nor its value
  std::vector<std::string> words{};   ///< all others; options that stood before the verb come first
};

/// Whether `app` knows `option`, or one of its subcommands does; then `takes` becomes true if it
/// takes a value.
[[nodiscard]] bool knows_option(const CLI::App& app, const std::string& option, bool& takes);

/// Tells the values of options from other words. Which options take one, the setups of the verbs
/// say; they are asked only if there is an option that `add_globals` does not know.
class ArgumentReader {
 public:
  ArgumentReader(std::span<const Verb> verbs, void (*add_globals)(CLI::App&));
  ArgumentReader(const ArgumentReader&) = delete;
  ArgumentReader& operator=(const ArgumentReader&) = delete;
  ~ArgumentReader();

  /// Takes the verb out of `words`.
  [[nodiscard]] Arguments split(std::vector<std::string> words);

  /// Whether any verb has `option`, or all have.
  [[nodiscard]] bool knows(const std::string& option);
  /// The verbs that have `option`.
  [[nodiscard]] std::vector<std::string> verbs_with(const std::string& option);

  /// Puts the options that stand before the word of a verb of `app` itself (`lab --name N exec`)
  /// behind it, where they are looked for.
  [[nodiscard]] std::vector<std::string> ordered(const CLI::App& app,
                                                 std::vector<std::string> words);

 private:
  [[nodiscard]] std::size_t find_word(std::span<const std::string> words);
  [[nodiscard]] bool takes_value(const std::string& option);
  void ask_all_verbs();

  std::span<const Verb> verbs_;
  void (*add_globals_)(CLI::App&);
  std::vector<std::unique_ptr<CLI::App>> apps_;  ///< the globals, then each verb
};

}  // namespace anybind::cli
