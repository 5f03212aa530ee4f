#include "cli/device_table.h"

#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <span>

#include <fmt/format.h>

#include "base/text.h"
#include "cli/advice.h"
#include "inventory/pci_class.h"

namespace anybind::cli {
namespace {

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

/// Turns a device into a row of cells; keeps the text that was made for it.
class RowMaker {
 public:
  RowMaker(const Uses* uses, PciNames& names) : uses_(uses), names_(names) {
    if (uses == nullptr) return;
    for (const Blocker& blocker : uses->in_use.blockers) {
      std::string& guards = guards_[blocker.device];
      if (guards.ends_with(blocker.name)) continue;  // several findings of one kind
      guards.append(guards.empty() ? "" : " ").append(blocker.name);
    }
  }

  void fill(const Device& device, std::span<Cell> cells) {
    cells[0] = address(device);
    cells[1] = class_cell(device);
    cells[2] = name(device);
    cells[3] = driver_cell(device);
    cells[4] = override_cell(device);
    cells[5] = group(device);
    if (uses_ == nullptr) return;
    cells[6] = users_of(device);
    cells[7] = guards_of(device);
  }

 private:
  Cell address(const Device& device) {
    if (device.id.bus.str() == "pci") return {.text = device.id.name.str()};
    return {.text = address_ = device.id.str()};
  }
  static Cell class_cell(const Device& device) {
    if (!device.pci) return kNothing;
    return {.text = class_word(device.pci->class_code),
            .style = device.pci->is_bridge() ? Style::kDim : Style::kPlain};
  }
  Cell name(const Device& device) {
    if (device.pci) return {.text = names_.brief(*device.pci)};
    return device.modalias.empty() ? kNothing : Cell{.text = device.modalias};
  }
  Cell group(const Device& device) {
    if (!device.iommu_group) return kNothing;
    const auto end = std::to_chars(group_.begin(), group_.end(), *device.iommu_group).ptr;
    return {.text = {group_.begin(), end}};
  }
  Cell users_of(const Device& device) {
    const auto found = uses_->users.find(device.id);
    if (found == uses_->users.end()) return kNothing;
    return {.text = users_text_ = words(found->second)};
  }
  [[nodiscard]] Cell guards_of(const Device& device) const {
    const auto found = guards_.find(device.id);
    if (found == guards_.end()) return kNothing;
    return {.text = found->second, .style = Style::kNotable};
  }

  const Uses* uses_;
  std::map<DeviceId, std::string> guards_;
  PciNames& names_;
  std::string address_;
  std::string users_text_;
  std::array<char, 16> group_{};
};

/// Lines of "  label        text", for what is not empty.
class Page {
 public:
  explicit Page(const Look& look) : look_(look) {}

  void title(std::string_view text) { out_ += styled(text, Style::kHead, look_.color) + "\n"; }
  void line(std::string_view label, std::string_view text, Style style = Style::kPlain) {
    if (text.empty()) return;
    fmt::format_to(std::back_inserter(out_), "  {:<12}{}\n", label,
                   styled(printable(text, kLongest), style, look_.color));
  }
  [[nodiscard]] std::string text() const { return out_; }

 private:
  static constexpr std::size_t kLongest = 4096;
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
    page.line("board", fmt::format("{:04x}:{:04x}  {} {}", pci->subvendor, pci->subdevice,
                                   short_vendor(maker), board));
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

void print_devices(const std::vector<Device>& devices, const Uses* uses, PciNames& names,
                   const Look& look, const Sink& sink) {
  static constexpr auto kColumns = std::to_array<Column>({{.title = "ADDRESS"},
                                                          {.title = "CLASS"},
                                                          {.title = "NAME", .shrinks = true},
                                                          {.title = "DRIVER"},
                                                          {.title = "OVERRIDE"},
                                                          {.title = "GROUP"},
                                                          {.title = "USERS"},
                                                          {.title = "IN USE"}});
  RowMaker rows(uses, names);
  print_table(
      std::span(kColumns).first(uses == nullptr ? 6 : 8), devices.size(),
      [&](std::size_t row, std::span<Cell> cells) { rows.fill(devices[row], cells); }, look, sink);
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
