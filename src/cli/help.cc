// The pages of --help: what a person needs who sees the command for the first time, in 80 columns.
#include "cli/help.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"
#include "cli/table.h"
#include "cli/usage.h"

namespace anybind::cli {
namespace {

constexpr std::size_t kWidest = 80;
constexpr std::size_t kNarrowest = 40;
constexpr std::size_t kTextAt = 24;  // where the right column begins

struct Pair {
  std::string_view left;
  std::string_view right;
};

constexpr auto kDeviceForms = std::to_array<Pair>({
    {"03:00.0, 03:00", "a PCI address; all functions of a slot"},
    {"eth0, /dev/nvme0n1", "what is behind an interface, a disk, a card"},
    {"usb/3-2:1.0", "BUS/NAME; or a path in /sys"},
    {"8086:10d3, id:8086:*", "ids of PCI; usb:046d:c52b of usb"},
    {"class:network", "a class, as list prints it; or its hex digits"},
    {"group:13", "an IOMMU group, without its bridges"},
    {"driver:e1000e", "what a driver has; driver:none has none"},
    {"override:vfio-pci", "whose driver_override says so"},
    {"vfs:eth0", "the virtual functions of eth0"},
    {"numa:1", "what is on NUMA node 1"},
    {"'03:*', 'nvme*'", "a shell glob over addresses, names, or BUS/NAME"},
    {"nvme1-23, 18:10.0-7", "a range; several of all these with commas: eth0,eth1"},
});

constexpr auto kExits = std::to_array<std::string_view>(
    {"0 done or nothing to do", "1 failed and all as before", "2 usage", "3 refused",
     "4 incomplete (anybind recover)", "5 not permitted", "6 no such device or driver"});

constexpr std::string_view kSpec =
    "A SPEC is a file of rules, or a directory of such files; without any, those of this "
    "machine: see anybind.d(5).";

struct Example {
  std::string_view verb;
  std::string_view line;
  std::string_view what;
};

constexpr auto kExamples = std::to_array<Example>({
    {"list", "anybind list", "all PCI devices"},
    {"list", "anybind list class:network", "the network cards"},
    {"list", "anybind list --groups", "by IOMMU group, viable or not"},
    {"list", "anybind list 'platform/*'", "another bus"},
    {"show", "anybind show eth0", "the card behind eth0, and its users"},
    {"explain", "anybind explain 03:00.0 vfio-pci", "what stops vfio-pci"},
    {"doctor", "anybind doctor", "a verdict and a fix a line"},
    {"bind", "anybind bind 03:00.0 vfio-pci", "to a virtual machine, or to DPDK"},
    {"bind", "anybind bind --group 03:00.0 vfio-pci", "with its whole IOMMU group"},
    {"bind", "anybind bind --dry-run eth0 vfio-pci", "what would happen"},
    {"bind", "anybind bind class:nvme vfio-pci --skip-in-use", ""},
    {"bind", "anybind bind 03:00.0 default", "whichever driver the bus chooses"},
    {"unbind", "anybind unbind eth0", "no driver, and none shall take it"},
    {"restore", "anybind restore 03:00.0", "as it was before anybind"},
    {"restore", "anybind restore --all", "all that anybind has changed"},
    {"undo", "anybind undo", "the last change"},
    {"vfs", "anybind vfs eth0 8 --driver vfio-pci", "eight, for virtual machines"},
    {"vfs", "anybind vfs eth0 8 --driver vfio-pci=0-3 --driver ixgbevf=4-7", ""},
    {"vfs", "anybind vfs eth0 16 --recreate", "where there are 8 by now"},
    {"vfs", "anybind vfs eth0 0", "none any more"},
    {"import", "anybind import driverctl", "its overrides as rules"},
    {"capture", "anybind capture machine.toml", "this machine, to try things on"},
    {"lab", "anybind lab exec machine.toml -- lspci", "with a modelled /sys"},
    {"lab", "anybind lab shell machine.toml", "a shell with one"},
    {"race", "anybind race", "the whole table"},
    {"race", "anybind race replay TOKEN", "one ordering, step by step"},
});

/// "  left    right", the right column wrapped.
void add_pair(std::string& out, std::string_view left, std::string_view right, std::size_t width) {
  out += reflowed(fmt::format("  {}", left), width);
  std::size_t at = 2 + display_width(left);
  if (at + 2 > kTextAt) {
    out += "\n";
    at = 0;
  }
  for (const std::string& line : wrapped(right, width - kTextAt)) {
    out.append(kTextAt - at, ' ');
    out += line + "\n";
    at = 0;
  }
}

void add_paragraph(std::string& out, std::string_view text, std::size_t width) {
  for (const std::string& line : wrapped(text, width)) out += line + "\n";
}

/// Not broken within one.
void add_exits(std::string& out, std::size_t width) {
  std::string line = "Exit:";
  for (const std::string_view exit : kExits) {
    if (line.size() + exit.size() + 2 > width) out += std::exchange(line, "") + "\n";
    line.append(line.empty() ? "" : " ").append(exit).append(exit == kExits.back() ? "" : ",");
  }
  out += line + "\n";
}

std::string left_of(const CLI::Option& option) {
  std::string out;
  for (const std::string& name : option.get_snames()) out += (out.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) out += (out.empty() ? "--" : ", --") + name;
  if (option.get_items_expected_max() > 0) out += " " + option.get_type_name();
  return out;
}

/// Those that `without` has too are left out.
void add_options(std::string& out, const CLI::App& app, const CLI::App* without,
                 std::size_t width) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional() || option->get_group().empty()) continue;
    const std::string name =
        option->get_lnames().empty() ? "" : "--" + option->get_lnames().front();
    if (without != nullptr && without->get_option_no_throw(name) != nullptr) continue;
    add_pair(out, left_of(*option), option->get_description(), width);
  }
}

void add_devices(std::string& out, std::string_view name, std::size_t width) {
  out += fmt::format("\nA {} is\n", name);
  for (const Pair& form : kDeviceForms) add_pair(out, form.left, form.right, width);
}

void add_examples(std::string& out, const Verb& verb, std::size_t width) {
  bool first = true;
  for (const Example& example : kExamples) {
    if (example.verb != verb.name) continue;
    if (std::exchange(first, false)) out += "\nExamples\n";
    std::string line = fmt::format("  {:<39} # {}", example.line, example.what);
    if (display_width(line) > width || example.what.empty())
      line = fmt::format("  {}", example.line);
    out += line + "\n";
  }
}

void add_lab_verbs(std::string& out, const CLI::App& app, std::size_t width) {
  out += "\nVerbs\n";
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (sub->get_group().empty()) continue;
    const std::string_view arguments = lab_arguments(sub->get_name());
    add_pair(out, fmt::format("{}{}{}", sub->get_name(), arguments.empty() ? "" : " ", arguments),
             sub->get_description(), width);
  }
}

std::string capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text + ".";
}

}  // namespace

std::size_t page_width(unsigned columns) {
  if (columns == 0) return kWidest;
  return std::clamp<std::size_t>(columns, kNarrowest, kWidest);
}

std::string main_page(std::span<const Verb> verbs, const CLI::App& globals, std::size_t width) {
  std::string out = "anybind - gives any device to any driver, safely\n\n";
  out += "usage: anybind VERB [ARGUMENTS] [OPTIONS]\n\nVerbs\n";
  for (const Verb& verb : verbs) {
    const std::string left =
        fmt::format("{}{}{}", verb.name, verb.arguments.empty() ? "" : " ", verb.arguments);
    add_pair(out, left, verb.summary, width);
  }
  out += "\n";
  add_paragraph(out, "anybind VERB --help tells the options of a verb, with examples.", width);
  add_devices(out, "DEVICE, or SELECTOR,", width);
  out += "\nOptions of every verb, anywhere on the line\n";
  add_options(out, globals, nullptr, width);
  out += "\n";
  add_exits(out, width);
  add_paragraph(
      out, "Ctrl-C puts things back; a change whose terminal goes away goes on to its end.", width);
  return out;
}

std::string verb_page(const Verb& verb, const CLI::App& app, const CLI::App& shared,
                      std::size_t width) {
  const auto subs = app.get_subcommands();
  const CLI::App* sub = subs.empty() ? nullptr : subs.front();
  std::vector<std::string> words;
  if (sub != nullptr) words.push_back(sub->get_name());
  std::string options;
  add_options(options, sub == nullptr ? app : *sub, &shared, width);
  std::string out = "usage: " + synopsis(verb, words) + (options.empty() ? "" : " [OPTIONS]");
  out = reflowed(out, width) + "\n\n";
  add_paragraph(
      out, capitalized(sub == nullptr ? std::string(verb.summary) : sub->get_description()), width);
  if (!options.empty()) out += "\nOptions\n" + options;
  if (sub == nullptr && verb.name == "lab") add_lab_verbs(out, app, width);
  if (verb.arguments.contains("DEVICE")) add_devices(out, "DEVICE", width);
  if (verb.arguments.contains("SELECTOR")) add_devices(out, "SELECTOR", width);
  if (verb.arguments.contains("SPEC")) {
    out += "\n";
    add_paragraph(out, kSpec, width);
  }
  if (sub == nullptr) add_examples(out, verb, width);
  out += "\n";
  add_exits(out, width);
  add_paragraph(out, "anybind --help tells the options that every verb has.", width);
  return out;
}

}  // namespace anybind::cli
