#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/errno.h"
#include "drivercore/sysfs/tree.h"
#include "lab/machine.h"

namespace anybind::lab {

/// The file system between open(2) and the model's attributes, as fs/kernfs is it in Linux: numbers
/// for what was looked up, modes and owners, what an open file answers. It knows nothing of
/// drivers, and nothing of FUSE, which calls it. All methods may be called from many threads.
///
/// A number stands for one thing as long as the kernel holds it: that of a device's directory never
/// comes to mean another device that got the same address.
class Kernfs {
 public:
  using Number = std::uint64_t;
  static constexpr Number kRoot = 1;

  struct Options {
    /// The root has sys/ (the tree), vfio/ (what stands in /dev/vfio), modules (the text of
    /// /proc/modules) and modules.alias. Else the root is the tree.
    bool whole_lab = false;
    /// Empty directories of the tree on which something else is mounted: "fs", "devices/system".
    std::vector<std::string> mount_points{};
    uid_t uid = 0;
    gid_t gid = 0;
    /// How many things may have another mode or owner than at first. Those that are gone do not
    /// count.
    std::size_t most_changes = 1U << 16;
    /// Is told of each write to an attribute once it has been answered, by the thread whose turn it
    /// is: "write bus/pci/drivers_probe 0000:03:00.0 = EINVAL" (host/tracing_sysfs.h).
    std::function<void(const std::string& line)> on_write{};
  };

  Kernfs(Machine& machine, Options options);

  /// What a name led to. `lasting`: it means the same for as long as the directory that it is in.
  struct Looked {
    Number number = 0;
    struct stat status{};
    bool lasting = false;
  };
  struct Name {
    std::string name;
    ino_t inode = 0;
    mode_t type = 0;
  };
  /// An open attribute. What was read first is given until somebody reads from the start again
  /// (fs/seq_file.c). Used by one thread at a time, as the kernel holds its lock.
  struct File {
    Number number = 0;
    drivercore::Entry entry{};
    drivercore::Place in{};
    std::optional<std::string> text{};
  };

  /// The caller holds one more reference to the number, until forget().
  Reply<Looked> lookup(Number directory, const std::string& name);
  void forget(Number number, std::uint64_t references);
  Reply<struct stat> status(Number number);
  /// Takes modes and owners, as sysfs does; sizes and times are without effect. ENOSPC: see
  /// Options.
  Reply<struct stat> change(Number number, std::optional<mode_t> mode, std::optional<uid_t> uid,
                            std::optional<gid_t> gid);
  Reply<std::string> read_link(Number number);
  Reply<std::vector<Name>> list(Number directory);

  /// `flags` of open(2). EACCES for what the attribute cannot do, also for root.
  Reply<File> open(Number number, int flags);
  /// ENODEV when the attribute is gone.
  Reply<std::string> read(File& file, std::size_t size, off_t offset);
  /// One store, wherever the file position is.
  Reply<std::size_t> write(File& file, std::string_view bytes, off_t offset);

 private:
  /// What a number stands for.
  enum class What {
    kTop,      ///< the root, when it is of a whole lab
    kEntry,    ///< of the tree
    kMount,    ///< an empty directory to mount on
    kModules,  ///< the text of /proc/modules
    kAliases,  ///< the text of modules.alias
    kVfio,     ///< what stands in /dev/vfio
    kVfioNode
  };
  struct Node {
    What what = What::kEntry;
    Number parent = 0;
    std::string name{};
    drivercore::Entry::Kind kind = drivercore::Entry::Kind::kDirectory;
    drivercore::Place place{};  ///< of a directory of the tree
    ino_t inode = 0;
    std::uint64_t references = 0;
    unsigned writers = 0;  ///< in a store now
  };
  struct Found {
    Node node;
    drivercore::Entry entry{};
    bool lasting = false;
  };
  struct Change {
    std::optional<mode_t> mode{};
    std::optional<uid_t> uid{};
    std::optional<gid_t> gid{};
    What what = What::kEntry;
    drivercore::Entry::Kind kind = drivercore::Entry::Kind::kDirectory;
    drivercore::Place place{};  ///< its own if it is a directory, else of the one that it is in
    std::string name{};
  };

  [[nodiscard]] Reply<const Node*> node(Number number) const;
  [[nodiscard]] bool is_there(const drivercore::DriverCore& core, const Node& node) const;
  [[nodiscard]] std::string path(const Node& node) const;
  [[nodiscard]] std::vector<std::string> names_to(const Node& node) const;
  Reply<Found> find(const drivercore::DriverCore& core, Number directory,
                    const std::string& name) const;
  Reply<Found> find_in_tree(const drivercore::DriverCore& core, Number directory, const Node& node,
                            const std::string& name) const;
  Number number_of(Found found, Number directory);
  /// Forgets what was changed of things that are gone. False when there is no room all the same.
  [[nodiscard]] bool make_room(const drivercore::DriverCore& core);
  [[nodiscard]] std::vector<std::string> names_in(const drivercore::DriverCore& core,
                                                  const Node& node) const;
  [[nodiscard]] nlink_t subdirectories(const drivercore::DriverCore& core, const Node& node) const;
  [[nodiscard]] static mode_t type_of(What what, drivercore::Entry::Kind kind);
  struct stat status_of(drivercore::DriverCore& core, const Node& node,
                        const drivercore::Entry& entry) const;
  [[nodiscard]] Reply<drivercore::Entry> entry_of(const drivercore::DriverCore& core,
                                                  const Node& node) const;

  Machine& machine_;
  Options options_;
  std::set<std::string> mount_points_;
  timespec born_{};
  std::unordered_map<Number, Node> nodes_;
  std::map<std::pair<Number, std::string>, Number> numbers_;  ///< by directory and name
  std::map<ino_t, Change> changes_;
  Number next_ = kRoot + 1;
};

/// The text of /proc/modules.
[[nodiscard]] std::string proc_modules(const drivercore::DriverCore& core);

}  // namespace anybind::lab
