// One thread speaks with the bus and never waits for the machine. What a call asks for is done in a
// thread of its own: first what can be done without a permit (to look, or to find out what a
// change would touch), then, when polkit has said yes to each of its devices, the change. sd-bus
// belongs to the first thread alone; the others leave what they have for it in a queue.
#include "daemon/bus.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "daemon/bus_names.h"
#include "daemon/call.h"
#include "daemon/journal.h"
#include "daemon/owned.h"
#include "daemon/polkit.h"
#include "host/descriptor.h"
#include "host/this_machine.h"
#include "wire/json.h"

namespace anybind::daemon {
namespace {

constexpr std::size_t kMostCalls = 32;          // that are not answered yet
constexpr std::size_t kMostCallsOfAUser = 8;    // but root
constexpr std::size_t kMostChangedAtOnce = 64;  // more: any device
constexpr std::uint64_t kGather =
    100'000;  // microseconds, in which changes of devices make one signal
constexpr std::size_t kMostWords = 1000;
constexpr std::size_t kMostText = 1U << 20;  // bytes of a text in a call
constexpr int kPause = 5000;  // milliseconds between two tries to get back on the bus

const char* error_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      break;
    case ErrorKind::kUsage:
      return "org.anybind.Error.Usage";
    case ErrorKind::kRefused:
      return "org.anybind.Error.Refused";
    case ErrorKind::kIncomplete:
      return "org.anybind.Error.Incomplete";
    case ErrorKind::kNotPermitted:
      return "org.anybind.Error.NotPermitted";
    case ErrorKind::kNotFound:
      return "org.anybind.Error.NotFound";
  }
  return "org.anybind.Error.Failed";
}

/// For people; what programs want of it is the second value of the reply.
std::string error_text(const Error& error) {
  std::string out = error.message();
  for (const Remark& line : error.details) out += "\n" + printable(cli::text_of(line), 1024);
  if (!error.advice.empty()) out += "\n" + printable(cli::text_of(error.advice), 1024);
  return out;
}

Error not_allowed(const Call& call, const Permit& permit, Verdict verdict) {
  Error out{.kind = ErrorKind::kNotPermitted,
            .object = !permit.device.empty() ? permit.device
                      : !permit.rule.empty() ? permit.rule
                                             : permit.file,
            .why = "this user may not change it"};
  if (permit.action == Permit::Action::kOverrule)
    out.why = "this user may not change it against a guard, or by a way that reaches other devices";
  if (verdict == Verdict::kNobodyToAsk)
    out.why = "only root may change it, as polkit is not running here";
  if (call.uid != 0) out.advice = "ask as root, or see docs/dbus.md for how to allow it";
  return out;
}

const char* level_word(Notice::Level level) {
  if (level == Notice::Level::kError) return "error";
  return level == Notice::Level::kWarning ? "warning" : "info";
}

Result<> check_bus(int code, const char* what) {
  if (code >= 0) return {};
  return fail(from_errno(Errno{-code}, what, "the system bus"));
}

/// The words of an array of strings. EINVAL: too many.
int read_words(sd_bus_message* message, std::vector<std::string>& out) {
  if (const int code = ::sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "s"); code < 0)
    return code;
  const char* word = nullptr;
  int code = 0;
  while ((code = ::sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING,
                                             static_cast<void*>(&word))) > 0) {
    if (out.size() == kMostWords || std::strlen(word) > kMostText / kMostWords) return -EINVAL;
    out.emplace_back(word);
  }
  return code < 0 ? code : ::sd_bus_message_exit_container(message);
}

/// EINVAL: too long.
int read_text(sd_bus_message* message, std::string& out) {
  const char* text = nullptr;
  if (const int code = ::sd_bus_message_read(message, "s", &text); code < 0) return code;
  if (std::strlen(text) > kMostText) return -EINVAL;
  out = text;
  return 0;
}

}  // namespace

class Bus::Impl {
 public:
  explicit Impl(RuleSource rules)
      : rules_(std::move(rules)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  Result<> start() {
    TRY(connect());
    thread_ = std::thread([this] { serve(); });
    return {};
  }

  ~Impl() { stop(); }

  void stop() {
    stopping_ = true;
    post([this] { static_cast<void>(::sd_event_exit(loop_.get(), 0)); });  // or end the pause
    if (thread_.joinable()) thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// For the thread of the bus.
  void post(std::function<void()> what) {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(std::move(what));
    ::eventfd_write(wake_.get(), 1);
  }

  void emit(const Notice& notice) {
    const std::string device = notice.device ? notice.device->str() : "";
    static_cast<void>(::sd_bus_emit_signal(
        bus_.get(), kPath, kInterface, "Noticed", "sssss", level_word(notice.level), device.c_str(),
        printable(notice.rule).c_str(), printable(notice.text, 2048).c_str(),
        printable(cli::text_of(notice.advice), 1024).c_str()));
  }

  void emit_rules() {
    static_cast<void>(::sd_bus_emit_signal(bus_.get(), kPath, kInterface, "RulesChanged", nullptr));
  }

  void gather(const std::string& device) {
    if (changed_.empty()) wake_after(gather_, kGather);
    if (changed_.size() <= kMostChangedAtOnce) changed_.insert(device);
  }

  static void wake_after(const Owned<sd_event_source>& timer, std::uint64_t microseconds) {
    static_cast<void>(::sd_event_source_set_time_relative(timer.get(), microseconds));
    static_cast<void>(::sd_event_source_set_enabled(timer.get(), SD_EVENT_ONESHOT));
  }

  void set_since(Since since) {
    const std::scoped_lock lock(since_mutex_);
    since_ = std::move(since);
  }

  void set_counts(std::size_t declared, std::size_t met, bool holds) {
    const auto set = [&](auto& value, auto now, const char* name) {
      if (std::exchange(value, now) == now) return;
      static_cast<void>(
          ::sd_bus_emit_properties_changed(bus_.get(), kPath, kInterface, name, nullptr));
    };
    set(declared_, static_cast<std::uint32_t>(declared), "DevicesDeclared");
    set(met_, static_cast<std::uint32_t>(met), "DevicesMet");
    set(holds_, holds ? 1 : 0, "HoldsAutoprobe");
  }

 private:
  static const sd_bus_vtable* table();

  Since since() {
    const std::scoped_lock lock(since_mutex_);
    return since_;
  }

  Result<> connect() {
    sd_event* loop = nullptr;
    TRY(check_bus(::sd_event_new(&loop), "wait for"));
    loop_.reset(loop);
    sd_bus* bus = nullptr;
    TRY(check_bus(::sd_bus_open_system(&bus), "speak to"));
    bus_.reset(bus);
    TRY(check_bus(::sd_bus_add_object_vtable(bus, nullptr, kPath, kInterface, table(), this),
                  "offer methods on"));
    TRY(check_bus(::sd_bus_request_name(bus, kName, 0), "take the name org.anybind.Manager1 on"));
    TRY(check_bus(::sd_bus_attach_event(bus, loop, SD_EVENT_PRIORITY_NORMAL), "wait for"));
    TRY(check_bus(::sd_bus_set_exit_on_disconnect(bus, 1), "wait for"));
    TRY(check_bus(::sd_event_add_io(loop, nullptr, wake_.get(), EPOLLIN, on_wake, this),
                  "wait for"));
    TRY(add_timer(gather_, on_gathered));
    return add_timer(progress_, on_progress);
  }

  Result<> add_timer(Owned<sd_event_source>& timer, sd_event_time_handler_t handler) {
    sd_event_source* made = nullptr;
    TRY(check_bus(
        ::sd_event_add_time_relative(loop_.get(), &made, CLOCK_MONOTONIC, 0, 0, handler, this),
        "wait for"));
    timer.reset(made);
    return check_bus(::sd_event_source_set_enabled(made, SD_EVENT_OFF), "wait for");
  }

  void disconnect() {
    gather_.reset();
    progress_.reset();
    bus_.reset();
    loop_.reset();
  }

  void serve() {
    for (;;) {
      static_cast<void>(::sd_event_loop(loop_.get()));
      end_calls();
      disconnect();
      if (stopping_) return;
      daemon::tell(
          {.level = Notice::Level::kWarning,
           .text = "the system bus has gone: nobody can ask for changes until it is back"});
      while (!connect()) {
        disconnect();
        pollfd file{.fd = wake_.get(), .events = POLLIN, .revents = 0};
        static_cast<void>(::poll(&file, 1, stopping_ ? 0 : kPause));
        if (stopping_) return;
        forget_queue();
      }
      daemon::tell({.text = "the system bus is back"});
    }
  }

  /// The last step of each change that goes on, ten times a second at most.
  void note_progress(Call& call, const Progress& now) {
    const bool is_first =
        std::ranges::none_of(calls_, [](const Call& one) { return one.progress.has_value(); });
    call.progress = now;
    if (is_first) wake_after(progress_, kGather);
  }

  static int on_progress(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* data) {
    auto& self = *static_cast<Impl*>(data);
    for (Call& call : self.calls_) {
      const auto now = std::exchange(call.progress, std::nullopt);
      if (!now) continue;
      static_cast<void>(::sd_bus_emit_signal(self.bus_.get(), kPath, kInterface, "Progress", "sss",
                                             printable(call.command(), 1024).c_str(),
                                             now->device.c_str(), now->text.c_str()));
    }
    return 0;
  }

  /// What they had to say nobody can hear.
  void end_calls() {
    for (Call& call : calls_) {
      call.question.reset();
      if (call.worker.joinable()) call.worker.join();
    }
    forget_queue();
    calls_.clear();
    changed_.clear();
  }

  void forget_queue() {
    eventfd_t count = 0;
    ::eventfd_read(wake_.get(), &count);
    const std::scoped_lock lock(mutex_);
    queue_.clear();
  }

  // ---- from the bus

  static int on_wake(sd_event_source* /*source*/, int fd, std::uint32_t /*what*/, void* data) {
    auto& self = *static_cast<Impl*>(data);
    eventfd_t count = 0;
    ::eventfd_read(fd, &count);
    std::deque<std::function<void()>> now;
    {
      const std::scoped_lock lock(self.mutex_);
      now.swap(self.queue_);
    }
    for (const auto& what : now) what();
    return 0;
  }

  static int on_gathered(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* data) {
    static_cast<Impl*>(data)->emit_changed();
    return 0;
  }

  void emit_changed() {
    const bool is_any = changed_.contains("") || changed_.size() > kMostChangedAtOnce;
    std::vector<char*> words;
    for (const std::string& device : changed_)
      if (!is_any)
        words.push_back(const_cast<char*>(device.c_str()));  // NOLINT(*-const-cast): only read
    words.push_back(nullptr);
    sd_bus_message* made = nullptr;
    if (::sd_bus_message_new_signal(bus_.get(), &made, kPath, kInterface, "DevicesChanged") >= 0) {
      const Owned<sd_bus_message> signal(made);
      if (::sd_bus_message_append_strv(made, words.data()) >= 0)
        static_cast<void>(::sd_bus_send(bus_.get(), made, nullptr));
    }
    changed_.clear();
  }

  static int on_call(sd_bus_message* message, void* data, sd_bus_error* error) {
    return static_cast<Impl*>(data)->begin(message, error);
  }

  int begin(sd_bus_message* message, sd_bus_error* error) {
    Call call{.method = ::sd_bus_message_get_member(message)};
    if (const int code = read_arguments(message, call); code < 0) return code;
    sd_bus_creds* made = nullptr;
    if (const int code = ::sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &made); code < 0)
      return code;
    const Owned<sd_bus_creds> creds(made);
    if (const int code = ::sd_bus_creds_get_euid(made, &call.uid); code < 0) return code;
    const auto of_this_user = std::ranges::count(calls_, call.uid, &Call::uid);
    if (call.uid != 0 && (calls_.size() >= kMostCalls ||
                          static_cast<std::size_t>(of_this_user) >= kMostCallsOfAUser))
      return ::sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                "too many calls of this user are not answered yet");
    call.message.reset(::sd_bus_message_ref(message));
    calls_.push_back(std::move(call));
    const auto at = std::prev(calls_.end());
    if (only_looks(*at)) {
      work(at, [at, this](const Host& host) { return look(host, *at, rules_, since()); });
    } else {
      prepare_change(at);
    }
    return 1;
  }

  static int read_arguments(sd_bus_message* message, Call& out) {
    const std::string_view method = out.method;
    if (method == "List" || method == "Bind" || method == "Unbind" || method == "Restore") {
      if (const int code = read_words(message, out.words); code < 0) return code;
    }
    if (method == "Explain") {
      std::string& word = out.words.emplace_back();
      if (const int code = read_text(message, word); code < 0) return code;
      if (word.size() > kMostText / kMostWords) return -EINVAL;
    }
    const bool is_of_rules = method == "CheckRules" || writes_rules(out);
    if (is_of_rules) {
      if (const int code = read_text(message, out.file); code < 0) return code;
    }
    if (method == "Bind" || method == "Explain" || method == "Plan" || method == "Change" ||
        is_of_rules) {
      if (const int code = read_text(message, out.text); code < 0) return code;
    }
    return writes_rules(out) ? read_text(message, out.expected) : 0;
  }

  static int on_get(sd_bus* /*bus*/, const char* /*path*/, const char* /*interface*/,
                    const char* name, sd_bus_message* reply, void* data, sd_bus_error* /*error*/) {
    const auto& self = *static_cast<Impl*>(data);
    const std::string_view what = name;
    if (what == "Version") return ::sd_bus_message_append(reply, "s", ANYBIND_VERSION);
    if (what == "HoldsAutoprobe") return ::sd_bus_message_append(reply, "b", self.holds_);
    return ::sd_bus_message_append(reply, "u", what == "DevicesMet" ? self.met_ : self.declared_);
  }

  // ---- the way of one call

  using At = std::list<Call>::iterator;

  /// `job` with a machine of its own, in a thread; its answer is the call's.
  void work(At at, std::function<Result<Answer>(const Host&)> job) {
    run(at, std::move(job), [this, at](const Result<Answer>& answer) { end(at, answer); });
  }

  void run(At at, std::function<Result<Answer>(const Host&)> job,
           const std::function<void(const Result<Answer>&)>& then) {
    if (at->worker.joinable()) at->worker.join();
    try {
      at->worker = std::thread([this, command = at->command(), job = std::move(job), then] {
        auto answer = carried_out(command, job);
        post([then, answer = std::move(answer)] { then(answer); });
      });
    } catch (const std::exception& none) {
      then(fail({.why = fmt::format("no thread can be had: {}", none.what())}));
    }
  }

  static Result<Answer> carried_out(const std::string& command,
                                    const std::function<Result<Answer>(const Host&)>& job) {
    try {
      const auto machine = TRY(ThisMachine::open("", "", command));
      return job(machine->host());
    } catch (const std::exception& thrown) {
      return fail({.why = thrown.what()});
    }
  }

  void prepare_change(At at) {
    run(
        at,
        [this, at](const Host& host) -> Result<Answer> {
          TRY(prepare(host, *at, rules_));
          return Answer{};
        },
        [this, at](const Result<Answer>& prepared) {
          if (!prepared) return end(at, prepared);
          ask_next(at);
        });
  }

  /// Root is allowed. Of others polkit is asked for one permit after another, without a question to
  /// anybody: so it is known at once what is forbidden, and for what a password is wanted.
  void ask_next(At at) {
    if (at->uid == 0) at->allowed = at->permits.size();
    if (at->allowed == at->permits.size()) return ask_people(at);
    const Permit& permit = at->permits[at->allowed];
    ask(at, permit, Asks::kNobody, [this, at](Verdict verdict) {
      const Permit& asked = at->permits[at->allowed];
      if (verdict != Verdict::kYes && verdict != Verdict::kChallenge)
        return end(at, fail(not_allowed(*at, asked, verdict)));
      if (verdict == Verdict::kChallenge) at->challenged.push_back(asked);
      ++at->allowed;
      ask_next(at);
    });
  }

  /// Passwords: one for everything that wants one, where polkit wants one for that too. A rule of
  /// polkit that says yes to it at once was not written with each of these in mind.
  void ask_people(At at) {
    const auto all = together(at->challenged);
    if (!all || !allows_questions(*at->message)) return ask_people_one_by_one(at);
    ask(at, *all, Asks::kNobody, [this, at, all](Verdict verdict) {
      if (verdict != Verdict::kChallenge) return ask_people_one_by_one(at);
      ask(at, *all, Asks::kPeople, [this, at](Verdict answer) {
        if (answer != Verdict::kYes)
          return end(at, fail(not_allowed(*at, at->challenged.front(), answer)));
        at->challenged.clear();
        ask_people_one_by_one(at);
      });
    });
  }

  void ask_people_one_by_one(At at) {
    if (at->challenged.empty()) {
      if (at->uid == 0 || is_there(*at)) return change(at);
      return end(at, fail({.why = "who asked has gone; nothing was changed"}));
    }
    ask(at, at->challenged.front(), Asks::kPeople, [this, at](Verdict verdict) {
      if (verdict != Verdict::kYes)
        return end(at, fail(not_allowed(*at, at->challenged.front(), verdict)));
      at->challenged.erase(at->challenged.begin());
      ask_people_one_by_one(at);
    });
  }

  void ask(At at, const Permit& permit, Asks asks, const std::function<void(Verdict)>& then) {
    at->question.reset();
    const auto later = [this, then](Verdict verdict) {
      // After this call back: it is the question's own.
      post([then, verdict] { then(verdict); });
    };
    at->question = ask_polkit(*at->message, permit, asks, later);
    if (!at->question) later(Verdict::kNobodyToAsk);
  }

  /// A question of polkit may stand long after who asked has given up.
  static bool is_there(const Call& call) {
    sd_bus_message* made = nullptr;
    const int code =
        ::sd_bus_call_method(::sd_bus_message_get_bus(call.message.get()), "org.freedesktop.DBus",
                             "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
                             nullptr, &made, "s", ::sd_bus_message_get_sender(call.message.get()));
    const Owned<sd_bus_message> reply(made);
    int is_owned = 0;
    return code >= 0 && ::sd_bus_message_read(made, "b", &is_owned) > 0 && is_owned != 0;
  }

  void change(At at) {
    work(at, [this, at](const Host& host) {
      const Waiting waiting{
          .stop_requested = [this] { return stopping_.load(); },
          .tell =
              [this, at](Progress now) {
                post([this, at, now = std::move(now)] { note_progress(*at, now); });
              }};
      return carry_out(host, *at, rules_, waiting);
    });
  }

  void end(At at, const Result<Answer>& answer) {
    if (at->worker.joinable()) at->worker.join();
    if (!only_looks(*at)) tell_end(*at, answer);
    if (answer) {
      reply(*at, *answer);
    } else {
      refuse(*at, answer.error());
    }
    calls_.erase(at);
  }

  /// Of what was refused before anything was done only who asked is told: others could fill the
  /// journal with it.
  void tell_end(const Call& call, const Result<Answer>& answer) {
    const bool failed = !answer && (answer.error().kind == ErrorKind::kFailed ||
                                    answer.error().kind == ErrorKind::kIncomplete);
    if (!failed && !(answer && answer->changed)) return;
    const std::string command = call.command();
    const Notice notice{.level = answer ? Notice::Level::kInfo : Notice::Level::kWarning,
                        .text = command + ": " + (answer ? "done" : answer.error().message())};
    daemon::tell(notice);
    emit(notice);
    if (answer)
      static_cast<void>(::sd_bus_emit_signal(bus_.get(), kPath, kInterface, "Changed", "ss",
                                             printable(command, 1024).c_str(),
                                             answer->json.c_str()));
  }

  void reply(const Call& call, const Answer& answer) {
    sd_bus_message* made = nullptr;
    if (::sd_bus_message_new_method_return(call.message.get(), &made) < 0) return;
    const Owned<sd_bus_message> message(made);
    std::vector<char*> warnings;
    warnings.reserve(answer.warnings.size() + 1);
    for (const std::string& warning : answer.warnings)
      warnings.push_back(const_cast<char*>(warning.c_str()));  // NOLINT(*-const-cast): only read
    warnings.push_back(nullptr);
    if (::sd_bus_message_append(made, "s", answer.json.c_str()) < 0) return;
    if (!only_looks(call) && ::sd_bus_message_append_strv(made, warnings.data()) < 0) return;
    static_cast<void>(::sd_bus_send(bus_.get(), made, nullptr));
  }

  void refuse(const Call& call, const Error& error) {
    const std::string text = error_text(error);
    const sd_bus_error named{
        .name = error_name(error.kind), .message = text.c_str(), ._need_free = 0};
    sd_bus_message* made = nullptr;
    if (::sd_bus_message_new_method_error(call.message.get(), &made, &named) < 0) return;
    const Owned<sd_bus_message> message(made);
    const std::string value = wire::text_of({{"error", cli::error_value(error)}});
    if (::sd_bus_message_append(made, "s", value.c_str()) < 0) return;
    static_cast<void>(::sd_bus_send(bus_.get(), made, nullptr));
  }

  RuleSource rules_;
  std::atomic<bool> stopping_ = false;
  Descriptor wake_;
  std::mutex mutex_;
  std::deque<std::function<void()>> queue_;  ///< under mutex_

  // Of the thread of the bus.
  Owned<sd_event> loop_;
  Owned<sd_bus> bus_;
  Owned<sd_event_source> gather_;
  Owned<sd_event_source> progress_;
  std::list<Call> calls_;
  std::set<std::string> changed_;
  std::uint32_t declared_ = 0;
  std::uint32_t met_ = 0;
  int holds_ = 0;  ///< as sd-bus wants a boolean

  std::mutex since_mutex_;
  Since since_;  ///< under since_mutex_

  std::thread thread_;
};

// docs/dbus.md says what each of them is.
const sd_bus_vtable* Bus::Impl::table() {
  constexpr std::uint64_t kAnybody =
      SD_BUS_VTABLE_UNPRIVILEGED;  // polkit is asked, where it counts
  static const sd_bus_vtable kTable[] = {
      SD_BUS_VTABLE_START(0),
      SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_ARGS("as", selectors), SD_BUS_RESULT("s", devices),
                              on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("s", device, "s", driver),
                              SD_BUS_RESULT("s", explanation), on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_ARGS("s", request), SD_BUS_RESULT("s", plan), on_call,
                              kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Status", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", status), on_call,
                              kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Rules", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", rules), on_call,
                              kAnybody),
      SD_BUS_METHOD_WITH_ARGS("History", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", changes), on_call,
                              kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Bind", SD_BUS_ARGS("as", selectors, "s", driver),
                              SD_BUS_RESULT("s", outcomes, "as", warnings), on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Unbind", SD_BUS_ARGS("as", selectors),
                              SD_BUS_RESULT("s", outcomes, "as", warnings), on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Restore", SD_BUS_ARGS("as", selectors),
                              SD_BUS_RESULT("s", outcomes, "as", warnings), on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Change", SD_BUS_ARGS("s", request),
                              SD_BUS_RESULT("s", outcomes, "as", warnings), on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("Apply", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", changes, "as", warnings),
                              on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("ReadRules", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", files), on_call,
                              kAnybody),
      SD_BUS_METHOD_WITH_ARGS("CheckRules", SD_BUS_ARGS("s", name, "s", text),
                              SD_BUS_RESULT("s", check), on_call, kAnybody),
      SD_BUS_METHOD_WITH_ARGS("WriteRules", SD_BUS_ARGS("s", name, "s", text, "s", expected),
                              SD_BUS_RESULT("s", written, "as", warnings), on_call, kAnybody),
      SD_BUS_SIGNAL_WITH_ARGS("DevicesChanged", SD_BUS_ARGS("as", devices), 0),
      SD_BUS_SIGNAL_WITH_ARGS(
          "Noticed", SD_BUS_ARGS("s", level, "s", device, "s", rule, "s", text, "s", next), 0),
      SD_BUS_SIGNAL_WITH_ARGS("Changed", SD_BUS_ARGS("s", command, "s", outcomes), 0),
      SD_BUS_SIGNAL("RulesChanged", "", 0),
      SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("s", command, "s", device, "s", text), 0),
      SD_BUS_PROPERTY("Version", "s", on_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),
      SD_BUS_PROPERTY("DevicesDeclared", "u", on_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
      SD_BUS_PROPERTY("DevicesMet", "u", on_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
      SD_BUS_PROPERTY("HoldsAutoprobe", "b", on_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
      SD_BUS_VTABLE_END,
  };
  return kTable;
}

Bus::Bus(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Bus::~Bus() = default;

Result<std::unique_ptr<Bus>> Bus::open(RuleSource rules) {
  auto impl = std::make_unique<Impl>(std::move(rules));
  TRY(impl->start());
  return std::unique_ptr<Bus>(new Bus(std::move(impl)));
}

void Bus::stop() {
  impl_->stop();
}

void Bus::tell(const Notice& notice) {
  impl_->post([impl = impl_.get(), notice] { impl->emit(notice); });
}

void Bus::tell_rules() {
  impl_->post([impl = impl_.get()] { impl->emit_rules(); });
}

void Bus::tell_changed(const std::string& device) {
  impl_->post([impl = impl_.get(), device] { impl->gather(device); });
}

void Bus::set_since(Since since) {
  impl_->set_since(std::move(since));
}

void Bus::set_counts(std::size_t declared, std::size_t met, bool holds) {
  impl_->post([=, impl = impl_.get()] { impl->set_counts(declared, met, holds); });
}

}  // namespace anybind::daemon
