#include "cli/arguments.h"

#include <algorithm>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace anybind::cli {

bool knows_option(const CLI::App& app, const std::string& option, bool& takes) {
  if (const CLI::Option* found = app.get_option_no_throw(option); found != nullptr) {
    takes = takes || found->get_items_expected_max() > 0;
    return true;
  }
  bool known = false;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    known = knows_option(*sub, option, takes) || known;
  }
  return known;
}

ArgumentReader::ArgumentReader(std::span<const Verb> verbs, void (*add_globals)(CLI::App&))
    : verbs_(verbs), add_globals_(add_globals) {}

ArgumentReader::~ArgumentReader() = default;

bool ArgumentReader::takes_value(const std::string& option) {
  if (option.contains('=')) return false;
  bool takes = false;
  if (apps_.empty()) add_globals_(*apps_.emplace_back(std::make_unique<CLI::App>()));
  if (knows_option(*apps_[0], option, takes)) return takes;
  ask_all_verbs();
  for (const auto& app : apps_) (void)knows_option(*app, option, takes);
  return takes;
}

void ArgumentReader::ask_all_verbs() {
  if (apps_.empty()) add_globals_(*apps_.emplace_back(std::make_unique<CLI::App>()));
  if (apps_.size() > 1) return;
  for (const Verb& verb : verbs_) verb.setup(*apps_.emplace_back(std::make_unique<CLI::App>()));
}

bool ArgumentReader::knows(const std::string& option) {
  ask_all_verbs();
  bool takes = false;
  return std::ranges::any_of(apps_,
                             [&](const auto& app) { return knows_option(*app, option, takes); });
}

std::vector<std::string> ArgumentReader::verbs_with(const std::string& option) {
  ask_all_verbs();
  std::vector<std::string> out;
  for (std::size_t i = 0; i < verbs_.size(); ++i) {
    bool takes = false;
    if (knows_option(*apps_[i + 1], option, takes)) out.emplace_back(verbs_[i].name);
  }
  return out;
}

std::size_t ArgumentReader::find_word(std::span<const std::string> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with('-')) return i;
    if (takes_value(words[i])) ++i;
  }
  return words.size();
}

Arguments ArgumentReader::split(std::vector<std::string> words) {
  Arguments out;
  const std::size_t at = find_word(words);
  if (at < words.size()) {
    out.verb = std::move(words[at]);
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(at));
  }
  out.words = std::move(words);
  return out;
}

std::vector<std::string> ArgumentReader::ordered(const CLI::App& app,
                                                 std::vector<std::string> words) {
  if (app.get_subcommands(nullptr).empty()) return words;
  const std::size_t at = find_word(words);
  if (at < words.size()) {
    const auto word = words.begin() + static_cast<std::ptrdiff_t>(at);
    std::rotate(words.begin(), word, word + 1);
  }
  return words;
}

}  // namespace anybind::cli
