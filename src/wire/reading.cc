#include "wire/reading.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind::wire {
namespace {

/// Sees what a parser passes by that keeps only the last of two keys, and any depth.
class Watch {
 public:
  bool operator()(int depth, Value::parse_event_t event, Value& parsed) {
    if (static_cast<std::size_t>(depth) > kMostDepth) why_ = "nested too deep";
    switch (event) {
      case Value::parse_event_t::object_start:
        keys_.emplace_back();
        break;
      case Value::parse_event_t::object_end:
        if (!keys_.empty()) keys_.pop_back();
        break;
      case Value::parse_event_t::key:
        if (!keys_.empty() && !keys_.back().insert(parsed.get_ref<const std::string&>()).second)
          why_ = "the same key twice: " + parsed.get_ref<const std::string&>();
        break;
      default:
        break;
    }
    return true;
  }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  std::vector<std::set<std::string>> keys_;
  std::string why_;
};

}  // namespace

std::unexpected<Error> fail_at(const std::string& where, std::string why) {
  return fail(
      {.kind = ErrorKind::kUsage, .operation = "read", .object = where, .why = std::move(why)});
}

Result<Value> parse(std::string_view text, std::size_t limit, const std::string& what) {
  if (text.size() > limit) return fail_at(what, fmt::format("longer than {} bytes", limit));
  Watch watch;
  Value out = Value::parse(
      text,
      [&](int depth, Value::parse_event_t event, Value& parsed) {
        return watch(depth, event, parsed);
      },
      false);
  if (!watch.why().empty()) return fail_at(what, watch.why());
  if (out.is_discarded()) return fail_at(what, "not JSON");
  return out;
}

Result<std::string> exact_text(const Value& value, const std::string& where) {
  if (!value.is_string()) return fail_at(where, "not a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kLongestText)
    return fail_at(where, fmt::format("longer than {} bytes", kLongestText));
  if (text.find("\xEF\xBF\xBD") != std::string::npos)
    return fail_at(where, "holds U+FFFD, which stands for bytes that JSON cannot say");
  return text;
}

Result<Members> Members::of(const Value& value, std::string where,
                            std::initializer_list<std::string_view> known, Others others) {
  if (!value.is_object()) return fail_at(where, "not an object");
  for (const auto& [key, unused] : value.items()) {
    if (others == Others::kRefused && std::ranges::find(known, key) == known.end())
      return fail_at(where, "no such member: " + key);
  }
  return Members(value, std::move(where));
}

bool Members::has(const char* key) const {
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

Result<const Value*> Members::at(const char* key) const {
  const auto found = value_->find(key);
  if (found == value_->end()) return fail_at(where(key), "missing");
  return &*found;
}

Result<bool> Members::flag(const char* key) const {
  const Value& value = *TRY(at(key));
  if (!value.is_boolean()) return fail_at(where(key), "not true or false");
  return value.get<bool>();
}

Result<std::uint64_t> Members::number(const char* key, std::uint64_t most) const {
  const Value& value = *TRY(at(key));
  if (!value.is_number_unsigned()) return fail_at(where(key), "not a number of 0 or more");
  const auto number = value.get<std::uint64_t>();
  if (number > most) return fail_at(where(key), fmt::format("more than {}", most));
  return number;
}

Result<std::string> Members::text(const char* key) const {
  const Value& value = *TRY(at(key));
  if (!value.is_string()) return fail_at(where(key), "not a string");
  return value.get<std::string>();
}

Result<std::vector<std::string>> Members::texts(const char* key) const {
  return list(key, [](const Value& value, const std::string& where) -> Result<std::string> {
    if (!value.is_string()) return fail_at(where, "not a string");
    return value.get<std::string>();
  });
}

Result<std::string> Members::exact(const char* key) const {
  return exact_text(*TRY(at(key)), where(key));
}

Result<std::optional<std::string>> Members::exact_or_null(const char* key) const {
  if (!has(key)) return std::nullopt;
  return TRY(exact(key));
}

Result<DeviceId> device_of(const Members& in) {
  return DeviceId{.bus = TRY(in.name<BusName>("bus")), .name = TRY(in.name<DeviceName>("address"))};
}

Result<DeviceId> device_from(const Value& value, const std::string& where) {
  return device_of(TRY(Members::of(value, where, {"bus", "address"})));
}

Result<std::pair<unsigned, DriverName>> driver_of_function(const Value& value,
                                                           const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"number", "driver"}));
  return std::pair(static_cast<unsigned>(TRY(in.number("number", kMostFunctions))),
                   TRY(in.name<DriverName>("driver")));
}

Result<Instance> instance_from(const Value& value, const std::string& where) {
  const Members in = TRY(Members::of(value, where, {"device", "inode"}));
  return Instance{.device = TRY(in.number("device", UINT64_MAX)),
                  .inode = TRY(in.number("inode", UINT64_MAX))};
}

Result<Binding> binding_from(const Value& value, const std::string& where, Members::Others others) {
  const Members in = TRY(Members::of(
      value, where, {"driver", "driver_override", "has_driver_override", "is_preferred"}, others));
  return Binding{.driver = TRY(in.name_or_null<DriverName>("driver")),
                 .has_override = TRY(in.flag("has_driver_override")),
                 .driver_override = TRY(in.exact_or_null("driver_override")),
                 .is_preferred = TRY(in.flag("is_preferred"))};
}

}  // namespace anybind::wire
