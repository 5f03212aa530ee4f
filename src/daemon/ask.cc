#include "daemon/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-bus.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/answer.h"
#include "cli/exit_code.h"
#include "cli/say.h"
#include "cli/service.h"
#include "daemon/bus_names.h"
#include "daemon/owned.h"
#include "host/descriptor.h"
#include "wire/json.h"

namespace anybind::daemon {
namespace {

constexpr const char* kAgent = "pkttyagent";

/// Asks for a password in this terminal when polkit wants one. It goes with this object.
class TerminalAgent {
 public:
  TerminalAgent() {
    std::array<int, 2> ready{};
    if (::isatty(STDIN_FILENO) != 1 && ::isatty(STDERR_FILENO) != 1) return;
    if (::pipe2(ready.data(), O_CLOEXEC) != 0) return;
    const Descriptor heard(ready[0]);
    Descriptor told(ready[1]);
    const std::string number = fmt::format("{}", told.get());
    const pid_t child = ::fork();
    if (child == 0) {
      // It asks in the terminal itself; our output is a pipe that somebody reads to its end.
      ::close(STDIN_FILENO);
      ::close(STDOUT_FILENO);
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      ::fcntl(told.get(), F_SETFD, 0);
      ::execlp(kAgent, kAgent, "--notify-fd", number.c_str(), "--fallback", nullptr);
      ::_exit(1);
    }
    if (child < 0) return;
    child_ = child;
    told = Descriptor();  // the end of the file, when it has registered or died
    pollfd file{.fd = heard.get(), .events = POLLIN, .revents = 0};
    static_cast<void>(::poll(&file, 1, 5000));
  }
  ~TerminalAgent() {
    if (!child_) return;
    ::kill(*child_, SIGTERM);
    ::waitpid(*child_, nullptr, 0);
  }
  TerminalAgent(const TerminalAgent&) = delete;
  TerminalAgent& operator=(const TerminalAgent&) = delete;

 private:
  std::optional<pid_t> child_{};
};

struct Reply {
  Owned<sd_bus_message> message{};
};

int keep_reply(sd_bus_message* message, void* data, sd_bus_error* /*error*/) {
  static_cast<Reply*>(data)->message.reset(::sd_bus_message_ref(message));
  return 1;
}

int answered_with(const Error& error) {
  cli::put(stdout, wire::text_of({{"error", cli::error_value(error)}}));
  return cli::exit_code(error.kind);
}

/// What became of a change cannot be told when its answer does not come.
Error no_answer(std::string why, bool may_have_begun) {
  Error out{.operation = "ask", .object = "anybindd", .why = std::move(why)};
  if (!may_have_begun) return out;
  out.kind = ErrorKind::kIncomplete;
  out.why += "; whether the change goes on is not known";
  out.advice = Action::kHistory;
  return out;
}

bool is_absence(std::string_view name) {
  return name == SD_BUS_ERROR_SERVICE_UNKNOWN || name == SD_BUS_ERROR_NAME_HAS_NO_OWNER;
}

/// Whether a call was refused before it began.
bool never_began(std::string_view name) {
  return name == SD_BUS_ERROR_LIMITS_EXCEEDED || name == SD_BUS_ERROR_ACCESS_DENIED ||
         name == SD_BUS_ERROR_UNKNOWN_METHOD || name == SD_BUS_ERROR_INVALID_ARGS;
}

int tell_refusal(sd_bus_message* message, bool changes) {
  const sd_bus_error* error = ::sd_bus_message_get_error(message);
  if (is_absence(error->name)) return cli::kNobodyThere;
  const char* text = nullptr;
  const char* value = nullptr;
  if (::sd_bus_message_read(message, "ss", &text, &value) > 0) {
    cli::put(stdout, value);
    return 1;  // its kind stands in there
  }
  return answered_with(
      no_answer(printable(error->message == nullptr ? error->name : error->message, 1024),
                changes && !never_began(error->name)));
}

int tell_answer(sd_bus_message* message) {
  const char* value = nullptr;
  if (::sd_bus_message_read(message, "s", &value) <= 0)
    return answered_with(no_answer("its answer is no text", true));
  cli::put(stdout, value);
  if (::sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "s") <= 0) return 0;
  const char* warning = nullptr;
  while (::sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, static_cast<void*>(&warning)) > 0)
    cli::say(stderr, "anybind: warning: {}\n", printable(warning, 1024));
  return 0;
}

bool is_served(sd_bus* bus) {
  sd_bus_creds* made = nullptr;
  const int code = ::sd_bus_get_name_creds(bus, kName, 0, &made);
  const Owned<sd_bus_creds> owner(made);
  return code >= 0;
}

}  // namespace

int ask(const std::string& method, const std::string& text) {
  sd_bus* opened = nullptr;
  if (::sd_bus_open_system(&opened) < 0) return cli::kNobodyThere;
  const Owned<sd_bus> bus(opened);
  if (!is_served(opened)) return cli::kNobodyThere;
  sd_bus_message* made = nullptr;
  if (::sd_bus_message_new_method_call(opened, &made, kName, kPath, kInterface, method.c_str()) < 0)
    return answered_with({.kind = ErrorKind::kUsage, .object = method, .why = "no method"});
  const Owned<sd_bus_message> call(made);
  if (!text.empty() && ::sd_bus_message_append(made, "s", text.c_str()) < 0)
    return answered_with({.kind = ErrorKind::kUsage, .why = "the text cannot be sent"});
  static_cast<void>(::sd_bus_message_set_allow_interactive_authorization(made, 1));
  const bool changes = method == "Apply" || method == "Change";
  std::optional<TerminalAgent> agent;
  if (changes) agent.emplace();
  Reply reply;
  int code = ::sd_bus_call_async(opened, nullptr, made, keep_reply, &reply, UINT64_MAX);
  while (code >= 0 && !reply.message) {
    code = ::sd_bus_process(opened, nullptr);
    if (code == 0) code = ::sd_bus_wait(opened, UINT64_MAX);
  }
  if (!reply.message) return answered_with(no_answer(Errno{-code}.text(), changes));
  if (::sd_bus_message_is_method_error(reply.message.get(), nullptr) > 0)
    return tell_refusal(reply.message.get(), changes);
  return tell_answer(reply.message.get());
}

}  // namespace anybind::daemon
