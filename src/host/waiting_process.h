#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/descriptor.h"
#include "host/sysfs.h"

namespace anybind {

/// A child process that reads and writes for us, so that a call that never returns holds the child
/// and not us: it is then left behind, ends by itself when the call returns, and the next call gets
/// a new one. It is started when it is first needed and serves many calls, as starting one costs
/// more than a write. It has a copy of our memory, and nothing of ours open but its socket: no
/// terminal, no lock; no signal but SIGKILL reaches it. One that was killed is replaced. Where none
/// can be started (a limit of processes), the call is made by us, and waits.
/// Not thread-safe: WaitingProcesses gives each thread one of its own.
class WaitingProcess {
 public:
  WaitingProcess() = default;
  WaitingProcess(const WaitingProcess&) = delete;
  WaitingProcess& operator=(const WaitingProcess&) = delete;
  /// Waits for the child, which is idle.
  ~WaitingProcess();

  /// One write(2) of `bytes`, at most a page, to `file`, which is open. ETIMEDOUT: it was left
  /// behind. EOWNERDEAD: the child was killed meanwhile, and nobody knows whether the write had its
  /// effect; it is over.
  Reply<std::size_t> write(const Descriptor& file, std::string_view bytes, const Patience& patience,
                           Abandoned& abandoned);
  /// One read(2) of at most a page and one byte. The same errors.
  Reply<std::string> read(const Descriptor& file, const Patience& patience, Abandoned& abandoned);

  /// 0: there is none.
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  using Page = std::array<char, Sysfs::kPageSize + 1>;
  struct Done {
    ssize_t count;
    int error;
  };

  static void serve [[noreturn]] (int socket);
  static Done make_call(char kind, int file, Page& bytes, std::size_t size);
  Reply<ssize_t> call(char kind, const Descriptor& file, std::string_view bytes,
                      const Patience& patience, Abandoned& abandoned);
  Reply<void> start();
  Reply<void> send(char kind, const Descriptor& file, std::string_view bytes);
  Reply<void> limit_wait(std::chrono::milliseconds limit);
  Reply<std::optional<Done>> wait(const Patience& patience);
  void stop();

  Descriptor socket_;
  std::chrono::milliseconds limit_{};  ///< how long the socket lets us wait; 0: for ever
  pid_t pid_ = 0;
  Page page_;  ///< what was read
};

/// The idle ones of this process: a thread takes one for a call, so that there are as many as calls
/// that ever waited at one time. Thread-safe.
class WaitingProcesses {
 public:
  static WaitingProcesses& of_this_process();

  /// One that nobody else has until it is given back.
  std::unique_ptr<WaitingProcess> take();
  void give_back(std::unique_ptr<WaitingProcess> one);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<WaitingProcess>> idle_;
  pid_t owner_ = 0;  ///< after a fork() by others these are not the child's
};

}  // namespace anybind
