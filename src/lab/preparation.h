#pragma once

#include <string>
#include <vector>

#include "host/descriptor.h"

namespace anybind::lab {

/// What is to be run in the lab, and what it finds there.
struct Inside {
  std::vector<std::string> command{};
  std::string control{};  ///< socket of this lab, outside; empty: none
  /// Directories of the real /sys that are passed through, read only: "fs", "devices/system".
  std::vector<std::string> passed{};
  /// Directories of the machine that the command may change, beside those where it works.
  std::vector<std::string> writable{};
};

/// How a lab's first process was made.
struct Birth {
  bool own_ids = false;        ///< in a user namespace whose ids are not mapped yet
  bool own_processes = false;  ///< as the first of a process namespace
  bool has_rights = false;     ///< over the machine's own mounts
  bool own_group = false;      ///< the command shall lead a process group
};

/// What is said to have failed when the lab cannot have a /proc for its own processes.
inline constexpr const char* kNoProc = "mount /proc";

/// What a lab's first process does before it starts the command. It runs in namespaces for mounts,
/// and perhaps for users and processes; whoever made it listens at the other end of the talk.
class Preparation {
 public:
  Preparation(int talk, const Inside& inside, const Birth& birth)
      : talk_(talk), inside_(inside), birth_(birth) {}

  /// Builds the lab, locks it, starts the command and ends with it. Whatever fails is said, and
  /// this process ends.
  [[noreturn]] void run();

 private:
  /// A part of a mount tree, not yet anywhere.
  struct Tree {
    std::string at;  ///< where it shall come
    Descriptor fd;
  };
  enum class Writes { kNo, kYes };
  enum class Nodes { kNo, kYes };

  [[noreturn]] void give_up(const std::string& what, int error) const;
  void check(long result, const char* operation, const std::string& object) const;
  void make_dir(const std::string& path, mode_t mode = 0755) const;
  void make_file(const std::string& path, const std::string& text, mode_t mode = 0644) const;
  void mount_private(const std::string& at, const char* options) const;
  void bind(const std::string& from, const std::string& to) const;

  void get_ids() const;
  void take_along();
  void take_proc();
  void take_work();
  /// Holds on to what the mounts to come would hide. What cannot be taken along will be missing.
  bool take(std::vector<Tree>& to, const std::string& from, std::string at, Writes writes,
            Nodes nodes = Nodes::kNo) const;
  void put(const Tree& tree) const;
  void close_machine() const;
  void private_run() const;
  void mount_sys(const Descriptor& fuse) const;
  void private_dev() const;
  void copy_on_write(const std::string& directory) const;
  void private_files();
  void proc_of_the_lab();
  void cover(const std::string& path) const;
  void cover_strays() const;
  void put_shims() const;
  void lock_in(const Descriptor& limits) const;
  void set_environment() const;

  int talk_;
  const Inside& inside_;
  Birth birth_;
  std::vector<Tree> taken_;
  std::vector<Tree> below_;  ///< what is mounted below /etc and /var
  std::vector<Tree> work_;   ///< directories that stay the machine's
  std::vector<Tree> proc_;
};

}  // namespace anybind::lab
