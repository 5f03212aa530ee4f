#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <thread>

#include "host/descriptor.h"
#include "host/sysfs.h"

namespace anybind {

/// What write(2) returned in the child, and its errno.
struct Written {
  ssize_t count;
  int error;
};

/// A child process that writes for us, so that a write that never returns holds the child and not
/// us: it is then left behind, and the next write gets a new one. It is started when it is first
/// needed and serves many writes, as starting one costs more than a write. It has nothing of ours
/// open but its socket: no terminal, no lock. Not thread-safe: one a thread.
class WriterProcess {
 public:
  WriterProcess() = default;
  WriterProcess(const WriterProcess&) = delete;
  WriterProcess& operator=(const WriterProcess&) = delete;
  /// Waits for the child, which is idle.
  ~WriterProcess();

  /// One write(2) of `bytes`, at most a page, to `file`, which is open.
  Reply<std::size_t> write(const Descriptor& file, std::string_view bytes, const Patience& patience,
                           Abandoned& abandoned);

 private:
  Reply<void> start();
  Reply<void> send(const Descriptor& file, std::string_view bytes);
  Reply<void> limit_wait(std::chrono::milliseconds limit);
  Reply<std::optional<Written>> wait(const Patience& patience);
  void stop();

  Descriptor socket_;
  std::chrono::milliseconds limit_{};  ///< how long the socket lets us wait; 0: for ever
  int pid_ = 0;
  std::thread starter_;  ///< waits for the child
};

}  // namespace anybind
