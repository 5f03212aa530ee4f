// This program is static, so that it runs in an initramfs, and libsystemd is a shared library only.
// So the service's own program is the one that speaks with the bus: it is there when the service
// is.
#include "cli/service.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "cli/signals.h"
#include "host/descriptor.h"
#include "wire/error.h"
#include "wire/outcome.h"
#include "wire/request.h"

namespace anybind::cli {
namespace {

/// Where the service's program is: beside this one, or where packages put it.
std::string service_program() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  std::string here(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  here.resize(here.rfind('/') + 1);
  for (const std::string& program : {here + "anybindd", std::string("/usr/sbin/anybindd")}) {
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

struct Ended {
  int status = 0;  ///< of waitpid(2)
  std::string output;
};

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(file, text.data(), text.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// Ctrl-C and SIGTERM end the child too.
std::string read_to_end(int file, pid_t child) {
  constexpr int kGlance = 200;  // milliseconds
  std::string out;
  std::array<char, 65536> bytes{};
  for (bool told = false;;) {
    pollfd waiting{.fd = file, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, kGlance);
    if (is_interrupted() && !std::exchange(told, true)) ::kill(child, SIGTERM);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t count = ::read(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return out;
    out.append(bytes.data(), static_cast<std::size_t>(count));
  }
}

/// It reads all of its input before it says anything.
std::optional<Ended> run(const std::string& program, const std::string& method,
                         const std::string& text) {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe2(in.data(), O_CLOEXEC) != 0) return std::nullopt;
  Descriptor in_read(in[0]);
  Descriptor in_write(in[1]);
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return std::nullopt;
  const Descriptor out_read(out[0]);
  Descriptor out_write(out[1]);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, in_read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, out_write.get(), STDOUT_FILENO);
  std::string words[] = {program, "--ask", method};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, program.c_str(), &files, nullptr, argv, environ);
  ::posix_spawn_file_actions_destroy(&files);
  if (failed != 0) return std::nullopt;
  in_read = Descriptor();
  out_write = Descriptor();
  static_cast<void>(write_all(in_write.get(), text));
  in_write = Descriptor();
  Ended ended{.output = read_to_end(out_read.get(), child)};
  while (::waitpid(child, &ended.status, 0) < 0 && errno == EINTR) continue;
  return ended;
}

/// What it was about may be done.
Error not_understood() {
  return {.kind = ErrorKind::kIncomplete,
          .operation = "understand",
          .object = "the answer of anybindd",
          .why = "it is of another version, or was cut off",
          .advice = Action::kHistory};
}

/// Of an answer {"error": {...}}.
Error error_of(const std::string& answer) {
  const auto value = wire::Json::parse(answer, nullptr, false);
  if (value.is_object() && value.contains("error")) {
    auto error = wire::error_from_json(value["error"].dump());
    if (error) return *std::move(error);
  }
  return not_understood();
}

}  // namespace

std::optional<Result<std::string>> ask_service(const Context& context, const std::string& method,
                                               const std::string& text) {
  if (!context.may_ask_service) return std::nullopt;
  const std::string program = service_program();
  if (program.empty()) return std::nullopt;
  auto ended = run(program, method, text);
  if (!ended) return std::nullopt;
  if (!WIFEXITED(ended->status)) {
    return fail({.kind = ErrorKind::kIncomplete,
                 .why = "the question was cut off; whether anybindd goes on with the change is not "
                        "known",
                 .advice = Action::kHistory});
  }
  const int code = WEXITSTATUS(ended->status);
  if (code == kNobodyThere || code == 127) return std::nullopt;
  if (code != 0) return fail(error_of(ended->output));
  return std::move(ended->output);
}

std::optional<Result<std::vector<Outcome>>> change_by_service(const Context& context,
                                                              const Wanted& wanted) {
  const auto answer = ask_service(context, "Change", wire::line_of(wire::to_json(wanted)));
  if (!answer) return std::nullopt;
  if (!*answer) return fail(answer->error());
  auto outcomes = wire::outcomes_from_json(**answer);
  if (!outcomes) return fail(not_understood());
  return outcomes;
}

}  // namespace anybind::cli
