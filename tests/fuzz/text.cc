// Text files that others write. The first letter says which:
//   k  records of /dev/kmsg, apart by an empty line, after a line "BUS DEVICE DRIVER"
//   a  modules.alias, after a line with a modalias and one with the text of modules.builtin.modinfo
//   p  pci.ids, after a line of ids in hex
//   u  a message of the kernel about a device, a NUL written as a line's end
//   m  the files of modules and of modprobe.d: after a line with a name, files that begin with "==
//   "
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "capture/capture.h"
#include "capture/module_aliases.h"
#include "drivercore/core/state.h"
#include "host/kernel_log.h"
#include "host/modules.h"
#include "host/uevents.h"
#include "inventory/match.h"
#include "inventory/names.h"
#include "oracle.h"
#include "plan/plan.h"
#include "scratch.h"

namespace {

using namespace anybind;
using fuzz::require;
using fuzz::take_until;

void kernel_records(std::string_view text) {
  std::string_view words = take_until(text, '\n');
  const auto bus = take_until(words, ' ');
  const auto device = take_until(words, ' ');
  std::vector<KernelMessage> all;
  while (!text.empty()) {
    const auto end = std::min(text.find("\n\n"), text.size());
    const std::string_view record = text.substr(0, end);
    auto message = parse_kernel_record(record);
    if (message) {
      require(message->text.find('\n') == std::string::npos, "a message of several lines", record);
      require(record.contains(message->text), "a message that nobody wrote", record);
      all.push_back(*std::move(message));
    }
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  constexpr std::size_t kMost = 4;
  const auto lines = messages_about(all, bus, device, words, kMost);
  require(lines.size() <= kMost && lines.size() <= all.size(), "too many lines");
  for (const std::string& line : lines) {
    require(printable(line, 1000) == line, "a line that is not printable", line);
    require(line.size() <= 300, "a line that is too long", line);
  }
}

void event(std::string_view text) {
  std::string message(text);
  std::ranges::replace(message, '\n', '\0');
  const auto told = parse_uevent(message);
  if (!told) return;
  require(told->devpath.starts_with('/') && !told->action.empty(), "an event of nothing", text);
  std::string again = told->action + "@" + told->devpath;
  require(message.starts_with(again + '\0'), "an event of something else", text);
}

void aliases(std::string_view text) {
  const std::string modalias(take_until(text, '\n'));
  const std::string builtin = fuzz::unescaped(take_until(text, '\n'));
  for (const Candidate& each : match_aliases(text, modalias)) {
    require(!each.module.empty() && text.contains(each.module), "a module that is not there", text);
    require(each.is_vfio || modalias.empty() || !each.rule.empty(), "no rule", text);
  }
  (void)pci_ids_of_modalias(modalias);
  const std::string variants = vfio_variant_aliases(text);
  require(std::ranges::count(variants, '\n') <= std::ranges::count(text, '\n') + 1,
          "more variants than lines", text);
  const auto parsed = lab::parse_aliases(text, builtin);
  require(parsed.size() <= text.size() + builtin.size(), "more modules than text", text);
  if (const auto id = lab::parse_pci_alias(modalias)) {
    require(id->vendor <= 0xFFFF || id->vendor == UINT32_MAX, "no vendor", modalias);
  }
  (void)drivercore::profile_of_release(modalias);
  (void)group_rule(modalias);
}

std::uint16_t take_id(std::string_view& text) {
  return static_cast<std::uint16_t>(parse_hex(take_until(text, ' '), 0xFFFF).value_or(0));
}

void names(std::string_view text) {
  std::string_view numbers = take_until(text, '\n');
  static fuzz::Scratch scratch;
  scratch.put("pci.ids", text);
  PciNames names(scratch.path() + "/pci.ids");
  while (!numbers.empty()) {
    PciIds ids{
        .vendor = take_id(numbers), .device = take_id(numbers), .subvendor = take_id(numbers)};
    ids.subdevice = take_id(numbers);
    ids.class_code = std::uint32_t{ids.vendor} << 8U | (ids.device & 0xFFU);
    for (const std::string& name :
         {names.vendor(ids.vendor), names.device(ids.vendor, ids.device), names.subsystem(ids),
          names.class_name(ids.class_code), names.full(ids), names.brief(ids)}) {
      fuzz::require_printable(name, "a name that is not printable");
      require(name.find('\n') == std::string::npos, "a name of several lines", name);
    }
    (void)short_vendor(names.vendor(ids.vendor));
  }
}

void modules(std::string_view text) {
  const std::string name(take_until(text, '\n'));
  static fuzz::Scratch scratch;
  scratch.clear();
  scratch.put_all(text);
  const std::string root = scratch.path();
  const auto loader = open_modules({.directory = root + "/modules",
                                    .config = {root + "/etc", root + "/run"},
                                    .proc = root + "/proc",
                                    .programs = {}});
  for (const std::string& module : loader->names()) (void)loader->find(module);
  const auto found = loader->find(name);
  if (found) require(module_key(found->name) == module_key(name), "another module", name);
  const auto loaded = loader->load(name, [] { return true; });
  require(!loaded, "loaded without a program", name);
  fuzz::require_printable(loaded.error().message(), "a message that is not printable");
  (void)match_aliases(loader->aliases(), name);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::as_text(data, size);
  if (text.empty()) return 0;
  const char kind = text[0];
  text.remove_prefix(1);
  if (kind == 'k') kernel_records(text);
  if (kind == 'a') aliases(text);
  if (kind == 'p') names(text);
  if (kind == 'm') modules(text);
  if (kind == 'u') event(text);
  return 0;
}
