#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "lab/kernfs.h"

namespace anybind::lab {

/// Answers the kernel's FUSE requests from a Kernfs, each in a thread of its own where that is
/// needed: one that waits keeps nobody else waiting.
class FuseServer {
 public:
  /// On an open /dev/fuse that is mounted already. Takes the descriptor.
  [[nodiscard]] static Result<std::unique_ptr<FuseServer>> on_descriptor(Kernfs& files, int fuse);
  /// Mounts it at `directory`; without rights of its own through fusermount3.
  [[nodiscard]] static Result<std::unique_ptr<FuseServer>> mount(Kernfs& files,
                                                                 const std::string& directory);
  FuseServer(const FuseServer&) = delete;
  FuseServer& operator=(const FuseServer&) = delete;
  /// Unmounts what mount() mounted. Only after run() has returned, or before it.
  ~FuseServer();

  /// Until it is unmounted or stop() is called. Requests that wait are not waited for: the process
  /// is expected to end.
  void run();
  /// Makes run() return. From another thread.
  void stop();
  /// What mount() mounted, when run() has returned: whoever is in it can go on no longer. Threads
  /// may still be there, so that the server itself has to stay until the process ends.
  void unmount();

 private:
  struct Session;
  explicit FuseServer(std::unique_ptr<Session> session);
  std::unique_ptr<Session> session_;
};

}  // namespace anybind::lab
