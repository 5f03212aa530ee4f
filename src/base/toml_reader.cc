#include "base/toml_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ids.h"
#include "base/text.h"

namespace anybind {

Error toml_error(TomlFile file, const toml::source_region& where, std::string why) {
  return {.kind = ErrorKind::kUsage,
          .object = fmt::format("{}:{}:{}", file.name, where.begin.line, where.begin.column),
          .why = std::move(why),
          .advice = fmt::format("{} describes the form", file.form)};
}

const toml::node* TomlReader::take(std::string_view key) {
  taken_.emplace(key);
  known_.emplace(key);
  return table_.get(key);
}

void TomlReader::complain(const toml::node& node, std::string_view key, std::string why) {
  if (!fault_) {
    fault_ = toml_error(file_, node.source(), printable(key) + ": " + std::move(why));
  }
}

void TomlReader::complain(std::string_view key, std::string why) {
  const toml::node* node = table_.get(key);
  complain(node != nullptr ? *node : static_cast<const toml::node&>(table_), key, std::move(why));
}

void TomlReader::complain(std::string_view key, std::size_t index, std::string why) {
  const auto* list = table_.get_as<toml::array>(key);
  const toml::node* element = list == nullptr ? nullptr : list->get(index);
  if (element == nullptr) return complain(key, std::move(why));
  complain(*element, key, std::move(why));
}

Result<> TomlReader::finish() {
  for (const auto& [key, node] : table_) {
    if (fault_) break;
    if (taken_.contains(key.str())) continue;
    const std::vector<std::string> known(known_.begin(), known_.end());
    const auto near = nearest(key.str(), known, 1);
    const std::string hint = near.empty() ? "" : "; did you mean " + near[0] + "?";
    fault_ = toml_error(file_, key.source(), printable(key.str()) + ": no such key here" + hint);
  }
  if (fault_) return fail(*fault_);
  return {};
}

std::string TomlReader::text(std::string_view key, std::string otherwise) {
  const toml::node* node = take(key);
  if (node == nullptr) return otherwise;
  if (const auto value = node->value_exact<std::string>()) return *value;
  complain(*node, key, "must be a text");
  return otherwise;
}

std::string TomlReader::name(std::string_view key, std::string otherwise) {
  std::string out = text(key, std::move(otherwise));
  if (has(key) && !is_sysfs_name(out)) complain(key, "is no possible name in sysfs");
  return out;
}

/// toml++ keeps them by the alphabet.
std::vector<std::string> TomlReader::keys_as_written() const {
  std::vector<std::pair<toml::source_position, std::string>> keys;
  for (const auto& [key, node] : table_) {
    keys.emplace_back(key.source().begin, std::string(key.str()));
  }
  std::ranges::sort(keys, [](const auto& a, const auto& b) {
    return a.first == b.first ? a.second < b.second : a.first < b.first;
  });
  std::vector<std::string> out;
  out.reserve(keys.size());
  for (auto& [where, key] : keys) out.push_back(std::move(key));
  return out;
}

bool TomlReader::flag(std::string_view key, bool otherwise) {
  const toml::node* node = take(key);
  if (node == nullptr) return otherwise;
  if (const auto value = node->value_exact<bool>()) return *value;
  complain(*node, key, "must be true or false");
  return otherwise;
}

std::int64_t TomlReader::number(std::string_view key, std::int64_t least, std::int64_t most,
                                std::int64_t otherwise) {
  const toml::node* node = take(key);
  if (node == nullptr) return otherwise;
  const auto value = node->value_exact<std::int64_t>();
  if (value && *value >= least && *value <= most) return *value;
  complain(*node, key, fmt::format("must be a number from {} to {}", least, most));
  return otherwise;
}

std::uint32_t TomlReader::hex(std::string_view key, std::uint32_t most) {
  if (!has(key)) return 0;
  const auto value = parse_hex(text(key), most);
  if (!value) complain(key, fmt::format("must be hex digits in quotes, at most {:x}", most));
  return static_cast<std::uint32_t>(value.value_or(0));
}

std::pair<std::uint16_t, std::uint16_t> TomlReader::id_pair(std::string_view key) {
  if (!has(key)) return {};
  const std::string pair = text(key);
  const auto colon = std::min(pair.find(':'), pair.size());
  const auto first = parse_hex(pair.substr(0, colon), 0xFFFF);
  const auto second = parse_hex(pair.substr(std::min(colon + 1, pair.size())), 0xFFFF);
  if (!first || !second) complain(key, "must be two ids such as \"8086:10d3\"");
  return {static_cast<std::uint16_t>(first.value_or(0)),
          static_cast<std::uint16_t>(second.value_or(0))};
}

const toml::array* TomlReader::list(const toml::node& node, std::string_view key,
                                    const char* what) {
  const toml::array* list = node.as_array();
  if (list == nullptr) complain(node, key, what);
  return list;
}

std::vector<std::string> TomlReader::texts(std::string_view key) {
  static constexpr const char* kWhat = "must be a list of texts";
  const toml::node* node = take(key);
  const toml::array* elements = node == nullptr ? nullptr : list(*node, key, kWhat);
  if (elements == nullptr) return {};
  std::vector<std::string> out;
  for (const toml::node& element : *elements) {
    const auto value = element.value_exact<std::string>();
    if (!value) complain(element, key, kWhat);
    out.push_back(value.value_or(""));
  }
  return out;
}

std::vector<std::string> TomlReader::text_or_texts(std::string_view key) {
  const toml::node* node = table_.get(key);
  if (node != nullptr && node->is_string()) return {text(key)};
  return texts(key);
}

std::vector<const toml::table*> TomlReader::tables(std::string_view key) {
  static constexpr const char* kWhat = "must be a table";
  const toml::node* node = take(key);
  if (node == nullptr) return {};
  if (const toml::table* one = node->as_table()) return {one};
  const toml::array* elements = list(*node, key, kWhat);
  if (elements == nullptr) return {};
  std::vector<const toml::table*> out;
  for (const toml::node& element : *elements) {
    if (!element.is_table()) complain(element, key, kWhat);
    if (element.is_table()) out.push_back(element.as_table());
  }
  return out;
}

}  // namespace anybind
