// The text of an experiment.
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "replay.h"

namespace anybind::replay {
namespace {

/// "@4094:a" is 4094 times an a and what stands behind it; \n and \0 are what they say.
std::string unescape(std::string_view text) {
  std::string out;
  if (text.starts_with('@')) {
    std::size_t count = 0;
    const auto colon = text.find(':');
    std::from_chars(text.data() + 1, text.data() + colon, count);
    out.assign(count, text[colon + 1]);
    text.remove_prefix(colon + 2);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    ++i;
    out += text[i] == 'n' ? '\n' : text[i] == 't' ? '\t' : text[i] == '0' ? '\0' : text[i];
  }
  return out;
}

/// Takes one word, or one text in quotes.
std::string take_word(std::string_view& rest) {
  const bool quoted = rest.starts_with('"');
  if (quoted) rest.remove_prefix(1);
  const auto end = std::min(rest.find(quoted ? '"' : ' '), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + (quoted ? 1 : 0), rest.size()));
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return quoted ? unescape(word) : std::string(word);
}

Experiment::Line parse_line(std::string_view text, unsigned number) {
  Experiment::Line out{.number = number};
  if (text.starts_with('[')) {
    const auto end = text.find("] ");
    out.kernel = text.substr(1, end - 1);
    text.remove_prefix(end + 2);
  }
  out.verb = take_word(text);
  while (!text.empty() && !text.starts_with("->")) out.words.push_back(take_word(text));
  if (text.starts_with("->")) {
    text.remove_prefix(2);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    out.expected = text.starts_with('"') ? take_word(text) : std::string(text);
  }
  return out;
}

}  // namespace

std::optional<Experiment> read_experiment(const std::string& path) {
  std::ifstream file(path);
  Experiment out;
  bool in_machine = true;
  unsigned number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line == "---") {
      in_machine = false;
    } else if (in_machine) {
      out.machine += line + "\n";
    } else if (line.starts_with("kernels ")) {
      std::istringstream words(line.substr(8));
      for (std::string word; words >> word;) out.kernels.push_back(word);
    } else if (!line.empty() && !line.starts_with('#')) {
      out.lines.push_back(parse_line(line, number));
    }
  }
  if (out.lines.empty() || out.kernels.empty()) {
    std::fprintf(stderr, "%s: no experiment\n", path.c_str());
    return std::nullopt;
  }
  return out;
}

}  // namespace anybind::replay
