#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "host/declared_users.h"
#include "host/proc.h"
#include "host/sysfs.h"
#include "users/blocker.h"
#include "users/libvirt.h"

// What the files of the guards share; for nobody else.
namespace anybind::guards {

inline constexpr std::string_view kDev = "/dev/";  // told to people, never opened
inline constexpr std::string_view kSysfs =
    "/sys";  // a mount point of another process, never opened

/// A device that is asked about, and what hangs below its directory.
struct Target {
  DeviceId device;
  std::size_t place = 0;         ///< among those asked for
  std::shared_ptr<Sysfs> dir{};  ///< its directory, where the caller holds it
  /// "devices/pci0000:00/0000:00:03.0"; for one on VFIO any path that leads there, until some file
  /// of VFIO is seen to be open
  std::string real{};
  std::optional<DriverName> driver{};
  std::vector<std::string> interfaces{};      ///< class/net
  std::vector<std::string> disks{};           ///< class/block, partitions too
  std::vector<std::string> displays{};        ///< class/graphics
  std::vector<std::string> inputs{};          ///< class/input
  std::vector<std::string> ports{};           ///< class/tty
  std::map<NodeNumber, std::string> nodes{};  ///< its device nodes, with a name for each
  std::map<NodeNumber, std::string> vfio{};   ///< the files of its IOMMU group and of itself
};

/// Collects what is found, each finding once and no flood of one kind.
class Findings {
 public:
  void add(const Target& target, std::string_view name, std::string who, Remark advice);
  [[nodiscard]] std::vector<Blocker> take() &&;

 private:
  static constexpr std::size_t kMostOfAKind = 8;
  struct Found {
    std::vector<Blocker> blockers;
    std::map<std::string, std::size_t> count;  ///< by name
  };
  std::map<std::size_t, Found> by_place_;
};

[[nodiscard]] bool contains(const std::vector<std::string>& list, std::string_view word);
/// Words between blanks.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);
/// Calls `f` with the words of each line.
template <class F>
void each_line(std::string_view text, F&& f) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    f(words_of(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}
/// One line of an attribute; empty when there is none.
[[nodiscard]] std::string attribute(Sysfs& root, const std::string& path);
/// Sorted; empty when there is no such directory.
[[nodiscard]] std::vector<std::string> entries(Sysfs& root, const std::string& path);

/// One file system in one mount namespace.
struct Mount {
  std::string number;  ///< "8:1"; of btrfs and others an invented one
  std::string type;    ///< "ext4"
  std::string source;  ///< "/dev/sda1"
  std::string where;
  std::string pid;   ///< a process that sees it
  bool here = true;  ///< it is in our own mount namespace
  bool read_only = false;
};

/// A process's view of the mounts: linux fs/proc_namespace.c:show_mountinfo.
[[nodiscard]] std::vector<Mount> parse_mounts(std::string_view text);
/// The mounts of every mount namespace that can be seen, each namespace once.
[[nodiscard]] std::vector<Mount> read_mounts(const Proc& proc);

/// The real path that a link of class/ or dev/ tells, as "devices/..."; empty when it is another.
[[nodiscard]] std::string_view real_of(std::string_view link);

/// Which of the targets a real path is at or below.
class Tree {
 public:
  explicit Tree(std::vector<Target>& targets);
  /// Calls `f` with each target that `real` is at or below.
  template <class F>
  void each_above(std::string_view real, F&& f) const {
    for (; !real.empty(); real = real.substr(0, std::min(real.rfind('/'), real.size()))) {
      for (auto [it, end] = by_path_.equal_range(real); it != end; ++it) f(*it->second);
      if (real.find('/') == std::string_view::npos) break;
    }
  }

 private:
  std::multimap<std::string, Target*, std::less<>> by_path_;
};

// Each looks at one kind of use.
/// `login`: an address over which whoever asks is logged in, as people write it; may be empty.
void look_at_interfaces(Sysfs& root, const Proc& proc, const std::vector<Target>& targets,
                        std::string_view login, Findings& out);
/// Uses of a device count for all that it hangs on, as a mounted disk does for its controller.
void look_at_declared(Sysfs& root, const DeclaredUsers& users, const Tree& hosts,
                      const std::vector<Target>& others, Findings& out);
/// Of devices with and without a driver of the host.
void look_at_domains(const std::vector<LibvirtDomain>& domains, const std::vector<Target>& targets,
                     Findings& out);
void look_at_other_namespaces(const Proc& proc, const Tree& tree, Findings& out);
/// Adds the numbers of what stands on the disks to the nodes of their targets.
void look_at_disks(Sysfs& root, const Proc& proc, std::vector<Target>& targets, Findings& out);
void look_at_display(Sysfs& root, const Target& target, Findings& out);
void look_at_functions(Sysfs& root, const Target& target, Findings& out);

/// Which processes have which device nodes open.
struct OpenFiles {
  struct Process {
    std::string pid;
    std::vector<NodeNumber> nodes;
    std::vector<std::string> vfio_devices;  ///< as OpenNodes has them
  };
  std::vector<Process> processes;
  std::size_t unseen = 0;  ///< could not be looked at
};
[[nodiscard]] OpenFiles read_open_files(const Proc& proc);
/// Some file or device of VFIO is among them, or cannot be told from others.
[[nodiscard]] bool has_vfio_files(const Proc& proc, const OpenFiles& open);
void look_at_open_nodes(const Proc& proc, const OpenFiles& open, const std::vector<Target>& targets,
                        Findings& out);

}  // namespace anybind::guards
