#include "ansible/rule_file.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"

namespace anybind::ansible {
namespace {

constexpr std::string_view kHead =
    "# Written by Ansible (anybind.anybind); what is changed here is lost at its next run.\n";
constexpr std::size_t kLongestName = 100;
constexpr std::size_t kMostRules = 10000;

bool is_bare(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::string key_text(const std::string& key) {
  return is_bare(key) ? key : toml_string(key);
}

Result<std::string> value_text(const Value& value, const std::string& where) {
  if (value.is_string()) return toml_string(value.get<std::string>());
  if (value.is_boolean() || value.is_number_integer()) return value.dump();
  if (value.is_array()) {
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i)
      out += (i == 0 ? "" : ", ") + TRY(value_text(value[i], fmt::format("{}[{}]", where, i)));
    return "[" + out + "]";
  }
  if (!value.is_object()) return wrong(where, "neither a text nor a number, a list or conditions");
  std::string out;
  for (const auto& [key, member] : value.items()) {
    if (member.is_null()) continue;
    out += fmt::format("{}{} = {}", out.empty() ? " " : ", ", key_text(key),
                       TRY(value_text(member, fmt::format("{}.{}", where, key))));
  }
  return "{" + out + (out.empty() ? "}" : " }");
}

/// What a template has made a text, and a condition of digits that YAML has made a number.
Value as_meant(const std::string& key, const Value& value) {
  if (key == "vfs" && value.is_string()) {
    if (const auto number = parse_decimal(value.get<std::string>(), UINT32_MAX)) return *number;
  }
  if (key != "match" || !value.is_object()) return value;
  Value out = value;
  for (auto& [name, condition] : out.items()) {
    if (condition.is_number_integer()) condition = condition.dump();
  }
  return out;
}

Result<std::string> rule_text(const Value& rule, const std::string& where) {
  if (!rule.is_object()) return wrong(where, "not a rule, which has a name, match and driver");
  std::string out = "\n[[rule]]\n";
  const auto add = [&](const std::string& key, const Value& value) -> Result<> {
    if (value.is_null()) return {};
    out += fmt::format("{} = {}\n", key_text(key),
                       TRY(value_text(as_meant(key, value), where + "." + key)));
    return {};
  };
  for (const std::string key : {"name", "match"}) {
    if (rule.contains(key)) TRY(add(key, rule[key]));
  }
  for (const auto& [key, value] : rule.items()) {
    if (key != "name" && key != "match") TRY(add(key, value));
  }
  return out;
}

}  // namespace

Result<Value> rules_of_overrides(const Value& overrides, const std::string& argument) {
  if (!overrides.is_object())
    return wrong(argument, "not a table of devices and drivers",
                 "as in {\"0000:06:00.0\": vfio-pci}");
  Value out = Value::array();
  for (const auto& [device, driver] : overrides.items()) {
    if (device.find_first_not_of("0123456789.") == std::string::npos)
      return wrong(argument, fmt::format("it has the number {} in place of a device", device),
                   std::string(kInQuotes));
    if (!driver.is_string())
      return wrong(fmt::format("{}.{}", argument, printable(device)), "the driver is not a text");
    out.push_back(
        {{"name", "override " + device}, {"match", {{"device", device}}}, {"driver", driver}});
  }
  return out;
}

Result<std::string> rule_file(const Value& rules, const std::string& argument) {
  if (!rules.is_array()) return wrong(argument, "not a list of rules");
  if (rules.size() > kMostRules)
    return wrong(argument, fmt::format("more than {} rules", kMostRules));
  std::string out(kHead);
  for (std::size_t i = 0; i < rules.size(); ++i)
    out += TRY(rule_text(rules[i], fmt::format("{}[{}]", argument, i)));
  return out;
}

Result<std::string> rule_file_name(const std::string& name) {
  const bool fits = name.size() <= kLongestName && !name.empty() && name.front() != '.' &&
                    std::ranges::all_of(
                        name, [](char c) { return c == '.' || is_bare(std::string_view(&c, 1)); });
  if (!fits)
    return wrong("name", fmt::format("no name for a file of rules: {}", printable(name)),
                 "letters, digits, '.', '_' and '-', as in 50-guests");
  return name.ends_with(".toml") ? name : name + ".toml";
}

}  // namespace anybind::ansible
