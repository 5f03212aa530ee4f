#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/descriptor.h"

namespace anybind::lab {

/// Answers the connections of a listening socket. One thread reads and writes for all of them, so
/// that nobody who is slow or silent keeps another waiting; each command runs in its own. Whoever
/// has not asked, or has not taken the answer, in a time is dropped; beyond `most` at once, others
/// wait in the queue of the socket. Users other than this one and root are not answered.
class ControlServer : public std::enable_shared_from_this<ControlServer> {
 public:
  /// What a request's bytes are answered with.
  using Answer = std::function<std::string(const std::string&)>;
  struct Limits {
    std::size_t most = 64;
    std::size_t request = 1U << 16;  ///< bytes
    std::chrono::milliseconds asking{2000};
    std::chrono::milliseconds answering{10000};
    /// While a command runs its client hears a blank this often, and so knows that it is heard.
    std::chrono::milliseconds sign_of_life{1000};
  };

  ControlServer(int listening, Answer answer, Limits limits);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer() = default;

  /// Until stop(), or the end of the socket. Lack of descriptors, memory or threads is waited for.
  void run();
  /// From another thread; run() returns soon.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { kReads, kRuns, kWrites };
  struct Client {
    Descriptor socket;
    State state = State::kReads;
    Clock::time_point deadline;
    std::string bytes{};             ///< the request; then what is left of the answer
    std::string answer{};            ///< set by its thread
    std::atomic<bool> done = false;  ///< the answer is there
  };

  [[nodiscard]] bool take_client();
  /// False: it is to be dropped.
  [[nodiscard]] bool serve(const std::shared_ptr<Client>& client, short events);
  [[nodiscard]] bool read_request(const std::shared_ptr<Client>& client);
  [[nodiscard]] bool start_command(const std::shared_ptr<Client>& client);
  [[nodiscard]] bool write_answer(Client& client) const;
  [[nodiscard]] int time_to_wait() const;
  void wake() const;

  int listening_;
  Answer answer_;
  Limits limits_;
  Descriptor wake_;
  std::atomic<bool> stopping_ = false;
  Clock::time_point accepts_from_{};  ///< after a lack of descriptors
  std::list<std::shared_ptr<Client>> clients_;
};

}  // namespace anybind::lab
