// Who has a device node open: every process's open files are asked for their device numbers, so it
// does not matter by which name, or in which mount namespace, the node was opened.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "host/accounts.h"
#include "users/guard_target.h"

namespace anybind::guards {
namespace {

std::string user_of(const Proc& proc, const Accounts& accounts, const std::string& pid) {
  std::string out = "uid unknown";
  // "Uid: real effective saved fs". A name cannot pretend to be a line: it is escaped there.
  each_line(proc.read(pid + "/status").value_or(""),
            [&](const std::vector<std::string_view>& words) {
              if (words.size() != 5 || words[0] != "Uid:") return;
              const auto uid = parse_decimal(words[1], UINT32_MAX);
              if (uid) out = accounts.user(static_cast<std::uint32_t>(*uid));
            });
  return out;
}

/// "qemu-system-x86 (process 4711 of alice: qemu-system-x86_64 -name vm)".
std::string describe(const Proc& proc, const Accounts& accounts, const std::string& pid) {
  constexpr std::size_t kLongest = 100;
  std::string command = proc.read(pid + "/cmdline").value_or("").substr(0, kLongest);
  std::ranges::replace(command, '\0', ' ');
  while (command.ends_with(' ')) command.pop_back();
  const std::string name(trim_newline(proc.read(pid + "/comm").value_or("?")));
  return fmt::format("{} (process {} of {}{}{})", name, pid, user_of(proc, accounts, pid),
                     command.empty() ? "" : ": ", command);
}

/// What to do about a process. One of udev has the node of what has just come open for a moment.
/// Anybody may call himself so; then these words do no harm.
std::string way_to_end(const Proc& proc, const std::string& pid) {
  const std::string text = proc.read(pid + "/comm").value_or("");
  const std::string_view name = trim_newline(text);
  const bool is_udev = name == "(udev-worker)" || name == "systemd-udevd" || name == "udevd";
  return is_udev ? "udev is done with it in a moment: udevadm settle, and try again"
                 : "end it: kill " + pid;
}

/// A process that may not be looked at; not one that has ended, nor a thread of the kernel, which
/// has no files (and no command line).
bool is_hidden(const Proc& proc, const std::string& pid, Errno err) {
  if (err.value != EACCES && err.value != EPERM) return false;
  const auto command = proc.read(pid + "/cmdline");
  return !command || !command->empty();
}

/// The names of those of `nodes` that are among `open`, both sorted.
std::vector<std::string> names_of(const std::map<NodeNumber, std::string>& nodes,
                                  const std::vector<NodeNumber>& open) {
  std::vector<std::string> out;
  for (const NodeNumber& number : open) {
    const auto found = nodes.find(number);
    if (found != nodes.end()) out.push_back(found->second);
  }
  return out;
}

/// The major numbers of VFIO's files: "243 vfio"; nullopt when they are not told.
std::optional<std::vector<std::uint32_t>> vfio_majors(const Proc& proc) {
  const auto text = proc.read("devices");
  if (!text) return std::nullopt;
  std::vector<std::uint32_t> out;
  each_line(text->substr(0, text->find("Block devices:")),
            [&](const std::vector<std::string_view>& words) {
              const auto major = words.size() == 2 && words[1].starts_with("vfio")
                                     ? parse_decimal(words[0], UINT32_MAX)
                                     : std::nullopt;
              if (major) out.push_back(static_cast<std::uint32_t>(*major));
            });
  return out;
}

}  // namespace

OpenFiles read_open_files(const Proc& proc) {
  OpenFiles out;
  // Most processes of a machine are the kernel's own and have no files; one call tells that where
  // the kernel counts them (since Linux 6.2), which it does when this process has some.
  const auto files_of = [&](const std::string& pid) {
    const auto status = proc.status(pid + "/fd");
    return status ? std::optional(status->size) : std::nullopt;
  };
  const bool counted = files_of("self").value_or(0) > 0;
  for (std::string& pid : proc.processes()) {
    if (counted && files_of(pid) == 0U) continue;
    auto open = proc.open_nodes(pid);
    const bool hidden = open ? !open->complete : is_hidden(proc, pid, open.error());
    if (hidden) ++out.unseen;
    if (!open || (open->nodes.empty() && open->vfio_devices.empty())) continue;
    out.processes.push_back({.pid = std::move(pid),
                             .nodes = std::move(open->nodes),
                             .vfio_devices = std::move(open->vfio_devices)});
  }
  return out;
}

bool has_vfio_files(const Proc& proc, const OpenFiles& open) {
  if (std::ranges::any_of(open.processes,
                          [](const auto& process) { return !process.vfio_devices.empty(); }))
    return true;
  const auto majors = vfio_majors(proc);
  if (!majors) return true;
  const auto is_vfio = [&](const NodeNumber& node) {
    return !node.is_block && std::ranges::find(*majors, node.major) != majors->end();
  };
  return std::ranges::any_of(open.processes, [&](const OpenFiles::Process& process) {
    return std::ranges::any_of(process.nodes, is_vfio);
  });
}

void look_at_open_nodes(const Proc& proc, const OpenFiles& open, const std::vector<Target>& targets,
                        Findings& out) {
  for (const OpenFiles::Process& process : open.processes) {
    const std::string& pid = process.pid;
    const auto tell = [&](const Target& target, std::string_view name, std::string_view what) {
      out.add(
          target, name,
          fmt::format("{} has {}", describe(proc, Accounts(proc.below("self/root")), pid), what),
          way_to_end(proc, pid));
    };
    for (const Target& target : targets) {
      const auto nodes = names_of(target.nodes, process.nodes);
      if (!nodes.empty()) tell(target, "open", join_words(nodes) + " open");
      const auto vfio = names_of(target.vfio, process.nodes);
      if (contains(process.vfio_devices, target.real)) {
        tell(target, "vfio-user", "it open by VFIO");
      } else if (!vfio.empty()) {
        // The kernel tells of all devices that were opened by their groups, or of none. One that
        // was opened by its own node is among the nodes.
        const bool by_group = std::ranges::none_of(
            vfio, [](const std::string& node) { return node.contains("/vfio/devices/"); });
        const std::string_view but =
            by_group && !process.vfio_devices.empty() ? ", and not this device" : "";
        tell(target, "vfio-user", fmt::format("{} open{}", join_words(vfio), but));
      }
    }
  }
}

}  // namespace anybind::guards
