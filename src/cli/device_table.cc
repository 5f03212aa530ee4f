#include "cli/device_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <span>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/advice.h"
#include "inventory/pci_class.h"

namespace anybind::cli {
namespace {

constexpr std::string_view kDomain = "0000:";  // of an address, when all are in it
constexpr std::string_view kBridgeGuard = "bridge";
constexpr Cell kNothing = {.text = "-", .style = Style::kDim};

Style driver_style(const DriverName& driver) {
  return manages_dma(driver) && driver.str() != "pcieport" ? Style::kNotable : Style::kGood;
}

/// What the kernel did not tell.
constexpr Cell kBusy = {.text = "busy", .style = Style::kNotable};

Cell driver_cell(const Device& device) {
  if (!device.driver) return device.busy ? kBusy : kNothing;
  return {.text = device.driver->str(), .style = driver_style(*device.driver)};
}

/// An override that is not the driver at work will make a difference one day.
Cell override_cell(const Device& device) {
  if (!device.driver_override) return device.busy ? kBusy : kNothing;
  const bool is_met = device.driver && device.driver->str() == *device.driver_override;
  return {.text = *device.driver_override, .style = is_met ? Style::kPlain : Style::kNotable};
}

std::string words(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& word : list) out.append(out.empty() ? "" : " ").append(word);
  return out;
}

enum class Part : std::uint8_t {
  kAddress,
  kClass,
  kNames,
  kProduct,
  kIds,
  kDriver,
  kOverride,
  kGroup,
  kFunction,
  kUse,
};

Column column_of(Part part) {
  switch (part) {
    case Part::kAddress:
      return {.title = "ADDRESS"};
    case Part::kClass:
      return {.title = "CLASS"};
    case Part::kNames:
      return {.title = "NAMES", .shrinks = true, .least = 16};
    case Part::kProduct:
      return {.title = "PRODUCT", .shrinks = true, .cut = Cut::kMiddle, .least = 18};
    case Part::kIds:
      return {.title = "IDS"};
    case Part::kDriver:
      return {.title = "DRIVER"};
    case Part::kOverride:
      return {.title = "OVERRIDE"};
    case Part::kGroup:
      return {.title = "GROUP", .can_go = true};
    case Part::kFunction:
      return {.title = "SR-IOV", .can_go = true};
    case Part::kUse:
      break;
  }
  return {.title = "IN USE", .shrinks = true, .least = 14};
}

std::string function_words(const FunctionRole& role) {
  if (role.is_virtual) return "VF";
  return role.total == 0 ? "" : fmt::format("PF {}/{}", role.enabled, role.total);
}

std::string address_of(const Device& device, bool with_domain) {
  if (device.id.bus.str() != "pci") return device.id.str();
  return device.id.name.str().substr(with_domain ? 0 : kDomain.size());
}

bool is_far(const Device& device) {
  return device.id.bus.str() == "pci" && !device.id.name.str().starts_with(kDomain);
}

/// Turns a device into a row of cells; keeps the text that was made for it.
class RowMaker {
 public:
  RowMaker(const std::vector<Device>& devices, const TableFacts& known, PciNames& names)
      : known_(known), names_(names), with_domain_(std::ranges::any_of(devices, is_far)) {
    for (const Blocker& blocker : known.in_use ? known.in_use->blockers : std::vector<Blocker>{}) {
      if (blocker.name == kBridgeGuard && !known.in_full) continue;  // its class says so
      auto& guards = guards_[blocker.device];
      if (guards.empty() || guards.back() != blocker.name) guards.push_back(blocker.name);
    }
  }

  void fill(const Device& device, std::span<const Part> parts, std::span<Cell> cells) {
    for (std::size_t i = 0; i < parts.size(); ++i) cells[i] = cell(device, parts[i]);
  }

  /// Something stands there.
  [[nodiscard]] bool has(const Device& device, Part part) const {
    switch (part) {
      case Part::kNames:
        return known_.names.contains(device.id);
      case Part::kOverride:
        return device.driver_override || device.busy;
      case Part::kGroup:
        return device.iommu_group.has_value();
      case Part::kFunction: {
        const auto found = known_.functions.find(device.id);
        return found != known_.functions.end() && !function_words(found->second).empty();
      }
      case Part::kUse:
        return guards_.contains(device.id);
      case Part::kIds:
        return known_.with_ids && device.pci;
      default:
        return true;
    }
  }

 private:
  Cell cell(const Device& device, Part part) {
    if (!has(device, part)) return part == Part::kDriver ? driver_cell(device) : kNothing;
    switch (part) {
      case Part::kAddress:
        return {.text = address_ = address_of(device, with_domain_)};
      case Part::kClass:
        return class_cell(device);
      case Part::kNames:
        return {.text = named_ = words(known_.names.at(device.id))};
      case Part::kProduct:
        return product(device);
      case Part::kIds:
        return {.text = ids_ =
                    fmt::format("{:04x}:{:04x}", device.pci->vendor, device.pci->device)};
      case Part::kDriver:
        return driver_cell(device);
      case Part::kOverride:
        return override_cell(device);
      case Part::kGroup:
        return {.text = group_ = std::to_string(*device.iommu_group)};
      case Part::kFunction:
        return {.text = function_ = function_words(known_.functions.at(device.id))};
      case Part::kUse:
        break;
    }
    return use(device);
  }
  static Cell class_cell(const Device& device) {
    if (!device.pci) return kNothing;
    return {.text = class_word(device.pci->class_code),
            .style = device.pci->is_bridge() ? Style::kDim : Style::kPlain};
  }
  Cell product(const Device& device) {
    if (device.pci) return {.text = names_.brief(*device.pci)};
    return device.modalias.empty() ? kNothing : Cell{.text = device.modalias};
  }
  Cell use(const Device& device) {
    const auto& guards = guards_.at(device.id);
    if (known_.in_full || guards.size() == 1) {
      use_ = words(guards);
    } else {
      use_ = fmt::format("{} +{}", guards.front(), guards.size() - 1);
    }
    return {.text = use_, .style = Style::kNotable};
  }

  const TableFacts& known_;
  std::map<DeviceId, std::vector<std::string>> guards_;
  PciNames& names_;
  bool with_domain_;
  std::string address_;
  std::string named_;
  std::string ids_;
  std::string group_;
  std::string function_;
  std::string use_;
};

/// Those of `parts` in which something stands.
std::vector<Part> parts_in_use(const std::vector<Device>& devices, const RowMaker& rows,
                               std::span<const Part> parts) {
  std::vector<Part> out;
  for (const Part part : parts) {
    const bool always = part == Part::kAddress || part == Part::kClass || part == Part::kProduct ||
                        part == Part::kDriver;
    if (always ||
        std::ranges::any_of(devices, [&](const Device& device) { return rows.has(device, part); }))
      out.push_back(part);
  }
  return out;
}

void print_parts(const std::vector<Device>& devices, RowMaker& rows, std::span<const Part> wanted,
                 const Look& look, const Sink& sink) {
  const std::vector<Part> parts = parts_in_use(devices, rows, wanted);
  std::vector<Column> columns;
  columns.reserve(parts.size());
  for (const Part part : parts) columns.push_back(column_of(part));
  print_table(
      columns, devices.size(),
      [&](std::size_t row, std::span<Cell> cells) { rows.fill(devices[row], parts, cells); }, look,
      sink);
}

/// "group:13  not viable: amdgpu, snd_hda_intel"
std::string group_heading(const ListedGroup& group, GroupRule rule, const Look& look) {
  if (!group.number) return styled("no IOMMU group", Style::kHead, look.color);
  std::vector<std::string> drivers;
  for (const Device& device : group.members) {
    const GroupMember member = as_member(device);
    if (!member.blocks_user_space(rule)) continue;
    std::string driver = printable(member.driver ? member.driver->str() : "busy");
    if (std::ranges::find(drivers, driver) == drivers.end()) drivers.push_back(std::move(driver));
  }
  const std::string verdict =
      drivers.empty() ? "viable" : "not viable while here: " + join_words(drivers);
  const std::string head = fmt::format("group:{}", *group.number);
  const std::size_t room = look.width == 0
                               ? verdict.size()
                               : look.width - std::min<std::size_t>(look.width, head.size() + 2);
  return styled(head, Style::kHead, look.color) + "  " +
         styled(cut_to_width(verdict, std::max<std::size_t>(room, 1)),
                drivers.empty() ? Style::kGood : Style::kDim, look.color);
}

/// Lines of "  label        text", for what is not empty.
class Page {
 public:
  explicit Page(const Look& look) : look_(look) {}

  void title(std::string_view text) {
    for (const std::string& line : wrapped(text, look_.width))
      out_ += styled(line, Style::kHead, look_.color) + "\n";
  }
  void line(std::string_view label, std::string_view text, Style style = Style::kPlain) {
    if (text.empty()) return;
    const std::size_t width = look_.width < kLabelled + kLeastShown ? 0 : look_.width - kLabelled;
    for (const std::string& line : wrapped(printable(text, kLongest), width)) {
      fmt::format_to(std::back_inserter(out_), "  {:<12}{}\n", label,
                     styled(line, style, look_.color));
      label = "";
    }
  }
  [[nodiscard]] std::string text() const { return out_; }

 private:
  static constexpr std::size_t kLongest = 4096;
  static constexpr std::size_t kLabelled = 14;    // columns before the text
  static constexpr std::size_t kLeastShown = 24;  // where there are fewer, no wrapping
  Look look_;
  std::string out_;
};

void identity_lines(Page& page, const Details& details, PciNames& names) {
  const Device& device = details.device;
  if (const auto& pci = device.pci) {
    const std::string& name = names.class_name(pci->class_code);
    page.line("class", fmt::format("{} ({:06x})", name.empty() ? class_word(pci->class_code) : name,
                                   pci->class_code));
    const std::string& board = names.subsystem(*pci);
    const std::string& maker = names.vendor(pci->subvendor);
    page.line("ids", fmt::format("{:04x}:{:04x}{}", pci->vendor, pci->device,
                                 details.revision ? fmt::format(" rev {:02x}", *details.revision)
                                                  : std::string()));
    if (pci->subvendor != 0 || pci->subdevice != 0)
      page.line("board", fmt::format("{:04x}:{:04x}  {}{}{}", pci->subvendor, pci->subdevice,
                                     short_vendor(maker), board.empty() ? "" : " ", board));
  }
  page.line("modalias", device.modalias);
}

void driver_lines(Page& page, const Details& details, std::string_view why_busy) {
  const Device& device = details.device;
  if (device.busy) page.line("busy", why_busy, Style::kNotable);
  if (!device.driver) {
    page.line("driver", device.busy ? "not known" : "none", Style::kDim);
  } else if (!details.module || *details.module == device.driver->str()) {
    page.line("driver", device.driver->str(), driver_style(*device.driver));
  } else {
    page.line("driver", fmt::format("{} (module {})", device.driver->str(), *details.module),
              driver_style(*device.driver));
  }
  const Cell forced = override_cell(device);
  if (device.driver_override || device.busy)
    page.line("override", device.busy ? "not known" : forced.text, forced.style);
  if (!device.has_override) page.line("override", "not offered by this bus", Style::kDim);
}

void group_lines(Page& page, const Details& details) {
  if (!details.device.iommu_group) {
    page.line("IOMMU group", "none", Style::kDim);
    return;
  }
  page.line("IOMMU group", std::to_string(*details.device.iommu_group));
  for (const GroupMember& member :
       details.group ? details.group->members : std::vector<GroupMember>{}) {
    if (member.id == details.device.id) continue;
    page.line("", fmt::format("with {}  {}", member.id.str(),
                              member.driver ? member.driver->str() : "-"));
  }
}

void function_lines(Page& page, const Details& details) {
  if (details.physical_function) page.line("VF of", details.physical_function->str());
  if (!details.sriov) return;
  const SriovView& sriov = *details.sriov;
  page.line("VFs", fmt::format("{} of {}{}", sriov.enabled, sriov.total,
                               sriov.autoprobe ? "" : ", not probed without an override"));
  for (const DeviceId& function : sriov.functions) page.line("", function.str());
}

void use_lines(Page& page, const DeviceId& id, const InUse& in_use) {
  std::string_view label = "in use";
  for (const Blocker& blocker : in_use.blockers) {
    if (blocker.device != id) continue;
    page.line(label, fmt::format("{}: {}", blocker.name, blocker.who), Style::kNotable);
    page.line("", "  " + text_of(blocker.advice), Style::kDim);
    label = "";
  }
  if (in_use.unseen != 0) page.line(label, unseen_words(in_use.unseen), Style::kDim);
}

}  // namespace

GroupMember as_member(const Device& device) {
  return {.id = device.id,
          .driver = device.driver,
          .is_bridge = device.pci && device.pci->is_bridge(),
          .pci = device.pci,
          .busy = device.busy};
}

void print_devices(const std::vector<Device>& devices, const TableFacts& known, PciNames& names,
                   const Look& look, const Sink& sink) {
  static constexpr auto kParts = std::to_array<Part>(
      {Part::kAddress, Part::kClass, Part::kNames, Part::kProduct, Part::kIds, Part::kDriver,
       Part::kOverride, Part::kGroup, Part::kFunction, Part::kUse});
  if (devices.empty()) return;
  RowMaker rows(devices, known, names);
  print_parts(devices, rows, kParts, look, sink);
}

void print_groups(const std::vector<ListedGroup>& groups, GroupRule rule, const TableFacts& known,
                  PciNames& names, const Look& look, const Sink& sink) {
  static constexpr auto kParts =
      std::to_array<Part>({Part::kAddress, Part::kClass, Part::kIds, Part::kNames, Part::kProduct,
                           Part::kDriver, Part::kOverride});
  constexpr unsigned kIndent = 2;
  std::vector<Device> all;
  for (const ListedGroup& group : groups)
    all.insert(all.end(), group.members.begin(), group.members.end());
  RowMaker rows(all, known, names);
  std::string table;
  Look within = look;
  within.header = false;
  if (look.width != 0) within.width = std::max(look.width, kIndent + 1) - kIndent;
  print_parts(all, rows, kParts, within, [&](std::string_view text) { table += text; });
  std::string_view rest = table;
  for (const ListedGroup& group : groups) {
    std::string text = group_heading(group, rule, look) + "\n";
    for (std::size_t i = 0; i < group.members.size(); ++i) {
      const std::string_view line = rest.substr(0, rest.find('\n') + 1);
      rest.remove_prefix(line.size());
      text.append(kIndent, ' ').append(line);
    }
    sink(text);
  }
}

std::string device_page(const Details& details, const InUse& in_use, PciNames& names,
                        std::string_view sysfs_root, std::string_view why_busy, const Look& look) {
  Page page(look);
  const Device& device = details.device;
  const std::string name = device.pci ? names.full(*device.pci) : "";
  page.title(printable(device.id.str()) + (name.empty() ? "" : "  " + name));
  identity_lines(page, details, names);
  driver_lines(page, details, why_busy);
  group_lines(page, details);
  function_lines(page, details);
  page.line("users", words(details.users));
  use_lines(page, device.id, in_use);
  if (details.numa_node) page.line("NUMA node", std::to_string(*details.numa_node));
  page.line("power", details.power_state.value_or("") +
                         (details.runtime_status ? " " + *details.runtime_status : ""));
  page.line("path", fmt::format("{}/{}", sysfs_root, details.syspath));
  return page.text();
}

}  // namespace anybind::cli
