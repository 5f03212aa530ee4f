#include "ansible/arguments.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "wire/reading.h"

namespace anybind::ansible {
namespace {

constexpr std::size_t kMostBytes = 8U << 20;
constexpr std::string_view kOwn = "_ansible_";

constexpr auto kYes = std::to_array<std::string_view>({"true", "yes", "on", "y", "1"});
constexpr auto kNo = std::to_array<std::string_view>({"false", "no", "off", "n", "0"});

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

template <class Words>
bool is_one_of(const std::string& word, const Words& words) {
  return std::ranges::find(words, word) != words.end();
}

/// YAML 1.1 reads 0000:03:00.0 as a number of base 60: nothing that a task says is a fraction.
Result<> refuse_fractions(const Value& value, const std::string& where) {
  if (value.is_number_float()) {
    return wrong(where, fmt::format("it is the number {}, and not a text", value.dump()),
                 std::string(kInQuotes));
  }
  if (value.is_array()) {
    std::size_t at = 0;
    for (const Value& row : value) TRY(refuse_fractions(row, fmt::format("{}[{}]", where, at++)));
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.items())
      TRY(refuse_fractions(member, where.empty() ? key : fmt::format("{}.{}", where, key)));
  }
  return {};
}

/// What a list with commas, or a list of texts with commas in them, holds.
void add_parts(const std::string& text, std::vector<std::string>& out) {
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, comma - at);
    const auto first = part.find_first_not_of(" \t\n");
    if (first != std::string::npos)
      out.push_back(part.substr(first, part.find_last_not_of(" \t\n") - first + 1));
    at = comma + 1;
  }
}

}  // namespace

std::unexpected<Error> wrong(const std::string& argument, std::string why, std::string advice) {
  return fail({.kind = ErrorKind::kUsage,
               .object = argument,
               .why = std::move(why),
               .advice = Remark(std::move(advice))});
}

Result<Arguments> Arguments::parse(std::string_view text) {
  Value value = TRY(wire::parse(text, kMostBytes, "the arguments"));
  if (!value.is_object()) return wrong("the arguments", "not an object");
  for (const auto& [key, member] : value.items()) {
    if (!key.starts_with(kOwn)) TRY(refuse_fractions(member, key));
  }
  return Arguments(std::move(value));
}

Result<> Arguments::only(std::initializer_list<std::string_view> known) const {
  for (const auto& [key, member] : value_.items()) {
    if (key.starts_with(kOwn) || key == "do" || is_one_of(key, known)) continue;
    const std::vector<std::string> names(known.begin(), known.end());
    const auto near = nearest(key, names);
    return wrong(printable(key), "there is no such argument",
                 near.empty() ? "there are " + join_words(names)
                              : "did you mean " + join_words(near, "or") + "?");
  }
  return {};
}

const Value* Arguments::value(const char* key) const {
  const auto found = value_.find(key);
  if (found == value_.end() || found->is_null()) return nullptr;
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return nullptr;
  return &*found;
}

bool Arguments::has(const char* key) const {
  return value(key) != nullptr;
}

Result<std::string> Arguments::text(const char* key) const {
  const Value* const found = value(key);
  if (found == nullptr) return wrong(key, "it is missing");
  if (!found->is_string()) return wrong(key, "not a text", "put it in quotes");
  return found->get<std::string>();
}

Result<std::string> Arguments::text(const char* key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

Result<std::string> Arguments::word(const char* key,
                                    std::initializer_list<std::string_view> words) const {
  std::string out = TRY(text(key, std::string(*words.begin())));
  if (is_one_of(out, words)) return out;
  return wrong(key, fmt::format("no such word: {}", printable(out)),
               "it is " + join_words(std::vector<std::string>(words.begin(), words.end()), "or"));
}

Result<std::vector<std::string>> Arguments::texts(const char* key) const {
  std::vector<std::string> out;
  const Value* const found = value(key);
  if (found == nullptr) return out;
  if (found->is_string()) {
    add_parts(found->get<std::string>(), out);
    return out;
  }
  if (!found->is_array()) return wrong(key, "neither a text nor a list of texts");
  for (const Value& row : *found) {
    if (!row.is_string())
      return wrong(fmt::format("{}[{}]", key, out.size()), "not a text", "put it in quotes");
    add_parts(row.get<std::string>(), out);
  }
  return out;
}

Result<bool> Arguments::flag(const char* key, bool otherwise) const {
  const Value* const found = value(key);
  if (found == nullptr) return otherwise;
  if (found->is_boolean()) return found->get<bool>();
  const std::string word = found->is_string() ? lower(found->get<std::string>()) : found->dump();
  if (is_one_of(word, kYes)) return true;
  if (is_one_of(word, kNo)) return false;
  return wrong(key, fmt::format("neither true nor false: {}", printable(word)));
}

Result<std::optional<std::uint64_t>> Arguments::number(const char* key, std::uint64_t most) const {
  const Value* const found = value(key);
  if (found == nullptr) return std::nullopt;
  const auto out =
      parse_decimal(found->is_string() ? found->get<std::string>() : found->dump(), most);
  if (!out)
    return wrong(key,
                 fmt::format("not a number from 0 to {}: {}", most, printable(found->dump(), 64)));
  return out;
}

bool Arguments::own_flag(const char* key) const {
  const auto found = value_.find(key);
  return found != value_.end() && found->is_boolean() && found->get<bool>();
}

}  // namespace anybind::ansible
