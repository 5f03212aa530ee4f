#include "inventory/virtual_functions.h"

#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/device.h"

namespace anybind {

Result<std::optional<unsigned>> read_functions(Sysfs& dir, const DeviceId& device) {
  const auto text = dir.read("sriov_numvfs");
  if (!text && text.error().value == ENOENT) return std::nullopt;
  if (!text) return fail(read_error(text.error(), "read sriov_numvfs of", device));
  const auto count = parse_decimal(trim_newline(*text));
  if (count && *count <= 0xFFFF) return static_cast<unsigned>(*count);
  return fail({.kind = ErrorKind::kFailed,
               .operation = "read sriov_numvfs of",
               .object = device.str(),
               .why = "not a number: " + printable(trim_newline(*text))});
}

FunctionRole read_function_role(Sysfs& root, const DeviceId& device) {
  const auto number = [&](const char* attribute) {
    const auto text = root.read(fmt::format("{}/{}", device.path(), attribute));
    const auto value = text ? parse_decimal(trim_newline(*text), 0xFFFF) : std::nullopt;
    return static_cast<unsigned>(value.value_or(0));
  };
  if (root.read_link(device.path() + "/physfn")) return {.is_virtual = true};
  FunctionRole out{.total = number("sriov_totalvfs")};
  if (out.total != 0) out.enabled = number("sriov_numvfs");
  return out;
}

Result<std::vector<DeviceId>> virtual_functions(Sysfs& root, const DeviceId& pf, unsigned count) {
  std::vector<DeviceId> out;
  for (unsigned i = 0; i < count; ++i) {
    const auto link = root.read_link(fmt::format("{}/virtfn{}", pf.path(), i));
    if (!link) {
      return fail({.kind = ErrorKind::kFailed,
                   .operation = "find the virtual functions of",
                   .object = pf.str(),
                   .why = fmt::format("virtfn{} is not there: {}", i, link.error().text()),
                   .advice = {Action::kShow, {pf.str()}}});
    }
    out.push_back({.bus = pf.bus, .name = TRY(DeviceName::parse(std::string(link_name(*link))))});
  }
  return out;
}

}  // namespace anybind
