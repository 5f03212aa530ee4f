#include "host/accounts.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind {
namespace {

/// (uid_t)-1 means "leave it" to chown(2).
constexpr std::uint64_t kMostId = UINT32_MAX - 1;

/// A field of a line "name:password:number:...".
std::string_view field_of(std::string_view line, std::size_t index) {
  for (; index > 0; --index) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    line.remove_prefix(colon + 1);
  }
  return line.substr(0, line.find(':'));
}

/// The field `want` of the first line whose field `key` is `value`.
std::optional<std::string> look_up(std::string_view text, std::size_t key, std::string_view value,
                                   std::size_t want) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!value.empty() && field_of(line, key) == value) return std::string(field_of(line, want));
  }
  return std::nullopt;
}

constexpr std::size_t kName = 0;
constexpr std::size_t kNumber = 2;

Result<std::uint32_t> number_of(std::string_view table, std::string_view text, const char* kind) {
  const std::string number = look_up(table, kName, text, kNumber).value_or(std::string(text));
  const auto id = parse_decimal(number, kMostId);
  if (id) return static_cast<std::uint32_t>(*id);
  return fail({.kind = ErrorKind::kUsage,
               .object = std::string(text),
               .why = fmt::format("no such {} in /etc/{}", kind,  // never opened
                                  kind == std::string_view("user") ? "passwd" : "group"),
               .advice = "a number does for one that a directory server knows"});
}

}  // namespace

Accounts::Accounts(const Proc& files)
    : passwd_(files.read("etc/passwd").value_or("")),
      group_(files.read("etc/group").value_or("")) {}

std::string Accounts::user(std::uint32_t uid) const {
  const auto name = look_up(passwd_, kNumber, std::to_string(uid), kName);
  return name ? *name : fmt::format("uid {}", uid);
}

std::string Accounts::owner(std::uint32_t uid, std::uint32_t gid) const {
  return fmt::format(
      "{}:{}", look_up(passwd_, kNumber, std::to_string(uid), kName).value_or(std::to_string(uid)),
      look_up(group_, kNumber, std::to_string(gid), kName).value_or(std::to_string(gid)));
}

Result<Owner> Accounts::parse(std::string_view text) const {
  const auto colon = text.find(':');
  Owner out{.uid = TRY(number_of(passwd_, text.substr(0, colon), "user"))};
  if (colon != std::string_view::npos)
    out.gid = TRY(number_of(group_, text.substr(colon + 1), "group"));
  return out;
}

}  // namespace anybind
