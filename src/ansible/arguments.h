#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace anybind::ansible {

using Value = nlohmann::json;

/// The arguments of a task, as Ansible hands them over: an object, in which what somebody wrote as
/// "{{ count }}" has become a text. All errors are kUsage and name the argument.
class Arguments {
 public:
  /// An error: no JSON, no object, more than 8 MiB, or a number where YAML has read an address.
  [[nodiscard]] static Result<Arguments> parse(std::string_view text);

  /// An error that names what is near: there is another argument. Ansible's own, which begin with
  /// "_ansible_", are passed over.
  [[nodiscard]] Result<> only(std::initializer_list<std::string_view> known) const;

  /// It is there, and neither null nor an empty text, which is how a template omits something.
  [[nodiscard]] bool has(const char* key) const;
  /// nullptr: it is not there.
  [[nodiscard]] const Value* value(const char* key) const;

  /// An error: it is missing, or no text.
  [[nodiscard]] Result<std::string> text(const char* key) const;
  [[nodiscard]] Result<std::string> text(const char* key, const std::string& otherwise) const;
  /// One of `words`; without it the first of them.
  [[nodiscard]] Result<std::string> word(const char* key,
                                         std::initializer_list<std::string_view> words) const;
  /// A list of texts, or one text with commas between them; empty when it is not there.
  [[nodiscard]] Result<std::vector<std::string>> texts(const char* key) const;
  /// true, false, and the words that YAML has for them.
  [[nodiscard]] Result<bool> flag(const char* key, bool otherwise) const;
  [[nodiscard]] Result<std::optional<std::uint64_t>> number(const char* key,
                                                            std::uint64_t most) const;

  [[nodiscard]] bool is_check() const { return own_flag("_ansible_check_mode"); }
  [[nodiscard]] bool wants_diff() const { return own_flag("_ansible_diff"); }

 private:
  explicit Arguments(Value value) : value_(std::move(value)) {}
  [[nodiscard]] bool own_flag(const char* key) const;

  Value value_;
};

/// What to do about an address that YAML has read as a number.
inline constexpr std::string_view kInQuotes =
    "put an address in quotes: YAML reads 0000:03:00.0 as a number of base 60";

/// "argument: WHY"
[[nodiscard]] std::unexpected<Error> wrong(const std::string& argument, std::string why,
                                           std::string advice = "");

}  // namespace anybind::ansible
