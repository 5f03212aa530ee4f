#include "lab/control_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

#include "base/threads.h"

namespace anybind::lab {
namespace {

constexpr std::chrono::milliseconds kLack{100};  // until a lack of something may be over

bool may_ask(int socket) {
  ucred who{};
  socklen_t size = sizeof who;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == 0 || who.uid == ::geteuid());
}

bool is_for_later(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

ControlServer::ControlServer(int listening, Answer answer, Limits limits)
    : listening_(listening),
      answer_(std::move(answer)),
      limits_(limits),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ControlServer::run() {
  while (!stopping_) {
    const auto now = Clock::now();
    const bool accepts = clients_.size() < limits_.most && now >= accepts_from_;
    std::vector<pollfd> waits = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = accepts ? listening_ : -1, .events = POLLIN, .revents = 0}};
    for (const auto& client : clients_) {
      const bool writes = client->state == State::kWrites;
      // Of a client whose command runs, nothing is awaited.
      waits.push_back({.fd = client->state == State::kRuns ? -1 : client->socket.get(),
                       .events = static_cast<short>(writes ? POLLOUT : POLLIN),
                       .revents = 0});
    }
    if (::poll(waits.data(), waits.size(), time_to_wait()) < 0 && errno != EINTR) {
      ::usleep(static_cast<useconds_t>(1000 * kLack.count()));
      continue;
    }
    eventfd_t ignored = 0;
    (void)::eventfd_read(wake_.get(), &ignored);
    std::size_t at = 2;
    for (auto it = clients_.begin(); it != clients_.end();) {
      it = serve(*it, waits[at++].revents) ? std::next(it) : clients_.erase(it);
    }
    if ((waits[1].revents & POLLNVAL) != 0 || (waits[1].revents != 0 && !take_client())) return;
  }
}

void ControlServer::stop() {
  stopping_ = true;
  wake();
}

void ControlServer::wake() const {
  (void)::eventfd_write(wake_.get(), 1);
}

int ControlServer::time_to_wait() const {
  auto until = Clock::time_point::max();
  if (accepts_from_ > Clock::now()) until = accepts_from_;
  for (const auto& client : clients_) until = std::min(until, client->deadline);
  if (until == Clock::time_point::max()) return wake_.get() < 0 ? 100 : -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  const std::int64_t most = wake_.get() < 0 ? 100 : INT_MAX;
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, most));
}

/// False when nobody can come any more.
bool ControlServer::take_client() {
  Descriptor socket(::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.get() < 0) {
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) return false;
    if (!is_for_later(errno) && errno != ECONNABORTED) accepts_from_ = Clock::now() + kLack;
    return true;
  }
  if (!may_ask(socket.get())) return true;
  auto client = std::make_shared<Client>();
  client->socket = std::move(socket);
  client->deadline = Clock::now() + limits_.asking;
  clients_.push_back(std::move(client));
  return true;
}

bool ControlServer::serve(const std::shared_ptr<Client>& client, short events) {
  const bool late = Clock::now() >= client->deadline;
  switch (client->state) {
    case State::kReads:
      return events != 0 ? read_request(client) && !late : !late;
    case State::kRuns:
      if (client->done) {
        client->state = State::kWrites;
        client->bytes = std::move(client->answer);
        client->deadline = Clock::now() + limits_.answering;
        return write_answer(*client);
      }
      if (late) {
        (void)::send(client->socket.get(), " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        client->deadline = Clock::now() + limits_.sign_of_life;
      }
      return true;
    case State::kWrites:
      return !late && (events == 0 || write_answer(*client));
  }
  return false;
}

bool ControlServer::read_request(const std::shared_ptr<Client>& client) {
  std::array<char, 4096> bytes{};
  for (;;) {
    const ssize_t got = ::read(client->socket.get(), bytes.data(), bytes.size());
    if (got < 0) return is_for_later(errno);
    if (got == 0) return start_command(client);
    client->bytes.append(bytes.data(), static_cast<std::size_t>(got));
    if (client->bytes.size() > limits_.request) return false;
  }
}

bool ControlServer::start_command(const std::shared_ptr<Client>& client) {
  client->state = State::kRuns;
  client->deadline = Clock::now() + limits_.sign_of_life;
  if (start_detached([self = shared_from_this(), client] {
        client->answer = self->answer_(client->bytes);
        client->done = true;
        self->wake();
      })) {
    return true;
  }
  client->state = State::kWrites;
  client->bytes = "1\nthe lab cannot start a thread for it: too many are running";
  client->deadline = Clock::now() + limits_.answering;
  return true;
}

/// False when all is written, or cannot be.
bool ControlServer::write_answer(Client& client) const {
  while (!client.bytes.empty()) {
    const ssize_t sent = ::send(client.socket.get(), client.bytes.data(), client.bytes.size(),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return is_for_later(errno);
    client.bytes.erase(0, static_cast<std::size_t>(sent));
  }
  return false;
}

}  // namespace anybind::lab
