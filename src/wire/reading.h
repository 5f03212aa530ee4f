#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/advice.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/try.h"
#include "inventory/device.h"
#include "plan/mechanism.h"

// What the readers of this folder share. Their text is taken to be hostile: it is bounded, nothing
// in it is taken for granted, and what is wrong with it becomes an error (kUsage) that says where.
namespace anybind::wire {

/// Sorted, as looking keys up one after the other would take the square of their number.
using Value = nlohmann::json;

inline constexpr std::size_t kLongestText = 4096;  ///< of one string: a page, as in sysfs
inline constexpr std::size_t kMostDepth = 16;
inline constexpr std::uint64_t kMostFunctions = 0xFFFF;  // linux include/uapi/linux/pci_regs.h

/// The one value that `text` is. An error: more than `limit` bytes, no JSON, deeper than
/// kMostDepth, or a key twice in an object, which two programs could understand in two ways.
[[nodiscard]] Result<Value> parse(std::string_view text, std::size_t limit,
                                  const std::string& what);

/// "read plan.devices[3]: WHY"
[[nodiscard]] std::unexpected<Error> fail_at(const std::string& where, std::string why);

/// A name whose bytes were no UTF-8 was written with U+FFFD for them; it must not be taken for
/// another name. An error: holds that, or is too long.
[[nodiscard]] Result<std::string> exact_text(const Value& value, const std::string& where);

/// An object, whose members are asked for one by one. Lives no longer than the value.
class Members {
 public:
  enum class Others : std::uint8_t { kRefused, kPassedOver };

  /// An error: no object; or it has a member that is not in `known`, and others are kRefused.
  [[nodiscard]] static Result<Members> of(const Value& value, std::string where,
                                          std::initializer_list<std::string_view> known,
                                          Others others = Others::kRefused);

  /// It is there, and not null.
  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] std::string where(const char* key) const { return where_ + "." + key; }

  // Each is an error when the member is missing, or is something else.
  [[nodiscard]] Result<const Value*> at(const char* key) const;
  [[nodiscard]] Result<bool> flag(const char* key) const;
  [[nodiscard]] Result<std::uint64_t> number(const char* key, std::uint64_t most) const;
  /// For people.
  [[nodiscard]] Result<std::string> text(const char* key) const;
  [[nodiscard]] Result<std::vector<std::string>> texts(const char* key) const;
  /// For the kernel: exact_text().
  [[nodiscard]] Result<std::string> exact(const char* key) const;
  template <class Kind>
  [[nodiscard]] Result<Kind> name(const char* key) const {
    auto name = Kind::parse(TRY(exact(key)));
    if (!name) return fail_at(where(key), name.error().why);
    return *std::move(name);
  }
  template <class Table>
  [[nodiscard]] auto word(const char* key, const Table& table) const
      -> Result<typename decltype(table.named(""))::value_type> {
    const auto found = table.named(TRY(text(key)));
    if (!found) return fail_at(where(key), "unknown");
    return *found;
  }

  // The same of members that may be null, or missing.
  [[nodiscard]] Result<std::optional<std::string>> exact_or_null(const char* key) const;
  template <class Kind>
  [[nodiscard]] Result<std::optional<Kind>> name_or_null(const char* key) const {
    if (!has(key)) return std::nullopt;
    return TRY(name<Kind>(key));
  }

  /// What `read` makes of a member; it is told where that stands.
  template <class Read>
  [[nodiscard]] auto one(const char* key, Read read) const
      -> std::invoke_result_t<Read, const Value&, std::string> {
    const Value* const value = TRY(at(key));
    return read(*value, where(key));
  }

  /// `read` makes each element of an array, and is told where it stands.
  template <class Read>
  [[nodiscard]] auto list(const char* key, Read read) const -> Result<
      std::vector<typename std::invoke_result_t<Read, const Value&, std::string>::value_type>> {
    const Value& rows = *TRY(at(key));
    if (!rows.is_array()) return fail_at(where(key), "not an array");
    std::vector<typename std::invoke_result_t<Read, const Value&, std::string>::value_type> out;
    for (const Value& row : rows) {
      out.push_back(TRY(read(row, where(key) + "[" + std::to_string(out.size()) + "]")));
    }
    return out;
  }

 private:
  Members(const Value& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const Value* value_;
  std::string where_;
};

[[nodiscard]] Result<Remark> remark_from(const Value& value, const std::string& where);

/// For Members::word().
struct MechanismWords {
  [[nodiscard]] static std::optional<Mechanism> named(std::string_view word) {
    return mechanism_named(word);
  }
};

/// The members "bus" and "address".
[[nodiscard]] Result<DeviceId> device_of(const Members& in);
/// An object with nothing else.
[[nodiscard]] Result<DeviceId> device_from(const Value& value, const std::string& where);
/// The number of a virtual function, and its driver.
[[nodiscard]] Result<std::pair<unsigned, DriverName>> driver_of_function(const Value& value,
                                                                         const std::string& where);
[[nodiscard]] Result<Instance> instance_from(const Value& value, const std::string& where);
[[nodiscard]] Result<Binding> binding_from(const Value& value, const std::string& where,
                                           Members::Others others);

}  // namespace anybind::wire
