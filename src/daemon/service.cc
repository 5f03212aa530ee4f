// One loop: whatever arrives (an event of the kernel, a signal, a change of the rules, a moment
// that was waited for) ends in one look by the Keeper, which decides. So nothing can happen in
// between, and a storm of events is a few looks. Only the first moment of a device that comes
// cannot wait for that: the Greeter hears the same events in a thread of its own. A change may take
// long: the watchdog is then told by the change itself, at each of its steps, and has more patience
// than any single step.
#include "daemon/service.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/try.h"
#include "daemon/bus.h"
#include "daemon/journal.h"
#include "daemon/metrics.h"
#include "daemon/owned.h"
#include "engine/hold.h"
#include "host/descriptor.h"
#include "host/storage.h"
#include "host/uevents.h"
#include "inventory/device.h"
#include "policy/greeter.h"
#include "policy/keeper.h"
#include "policy/rule_files.h"
#include "policy/spec.h"

namespace anybind::daemon {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

constexpr std::size_t kMostAtOnce = 1000;  // events between two looks
constexpr auto kQuiet =
    microseconds(200'000);  // after a change of the rules: an editor writes often
constexpr const char* kMetrics = "metrics.prom";

/// The errno of a call of systemd's.
Result<> check(int code, const char* what) {
  if (code >= 0) return {};
  return fail(from_errno(Errno{-code}, "wait for", what));
}

/// Tells the watchdog that a change goes on, and ends it early when we are to stop.
class Careful final : public Listener {
 public:
  explicit Careful(const Tell& tell) : tell_(tell) {}
  void on_waiting(const std::string& /*owner*/) override { ping(); }
  void on_plan(const Plan& /*plan*/) override { ping(); }
  void on_module(const ModuleLoad& /*load*/) override { ping(); }
  void on_step(const DeviceId& /*device*/, const Step& /*step*/) override { ping(); }
  void on_setting(const Setting& /*setting*/) override { ping(); }
  void on_warning(const std::string& text) override {
    tell_({.level = Notice::Level::kWarning, .text = text});
  }
  /// Who stops us is seen here also while the loop waits for the change.
  [[nodiscard]] bool stop_requested() const override {
    sigset_t waiting;
    return ::sigpending(&waiting) == 0 &&
           (::sigismember(&waiting, SIGTERM) == 1 || ::sigismember(&waiting, SIGINT) == 1);
  }

 private:
  static void ping() { static_cast<void>(::sd_notify(0, "WATCHDOG=1")); }

  const Tell& tell_;
};

class Service {
 public:
  Service(const Host& host, const ServiceOptions& options)
      : host_(host),
        options_(options),
        keeper_(
            host, [this] { return read_rules_of(host_, rules_); }, tell_),
        greeter_(host, tell_),
        metrics_(options.metrics.empty() ? nullptr : open_storage(options.metrics, Readers::kAll)) {
  }

  Result<> run() {
    sd_event* event = nullptr;
    TRY(check(::sd_event_default(&event), "anything"));
    loop_.reset(event);
    auto events = listen_to_uevents();
    if (!events) return fail(from_errno(events.error(), "listen to", "the kernel's events"));
    events_ = *std::move(events);
    TRY(add_sources());
    // Before anything is held: no event may be missed from then on.
    auto greeted = listen_to_uevents();
    if (!greeted) return fail(from_errno(greeted.error(), "listen to", "the kernel's events"));
    open_bus();
    static_cast<void>(::sd_event_set_watchdog(event, 1));  // none where nobody asked for it
    static_cast<void>(::sd_notify(0, "READY=1"));          // a first change may take long
    load();
    const std::jthread greeter([this, events = *std::move(greeted)](const std::stop_token& stop) {
      greet(*events, stop);
    });
    look();
    const auto ended = check(::sd_event_loop(event), "events");
    static_cast<void>(::sd_notify(0, "STOPPING=1"));
    if (bus_ != nullptr) bus_->stop();  // changes hold the lock that letting go wants
    let_go();
    return ended;
  }

 private:
  /// To the journal, and to who listens on the bus.
  Tell teller() {
    return [this](const Notice& notice) {
      daemon::tell(notice);
      if (bus_ != nullptr) bus_->tell(notice);
    };
  }

  /// Without a bus everything else is done all the same.
  void open_bus() {
    auto bus = Bus::open(rules_);
    if (bus) {
      bus_ = *std::move(bus);
      return;
    }
    tell_({.level = Notice::Level::kInfo,
           .text = "nobody can ask for changes over D-Bus: " + bus.error().message()});
  }

  /// The thread of the Greeter.
  void greet(UeventSource& events, const std::stop_token& stop) {
    const Descriptor end(::eventfd(0, EFD_CLOEXEC));
    const std::stop_callback wake(stop, [&] { ::eventfd_write(end.get(), 1); });
    while (!stop.stop_requested()) {
      pollfd files[] = {{.fd = events.descriptor(), .events = POLLIN, .revents = 0},
                        {.fd = end.get(), .events = POLLIN, .revents = 0}};
      const int count = ::poll(files, std::size(files), until(greeter_.next_time()));
      greeter_.offer_waiting();
      if (count <= 0 || files[0].revents == 0) continue;
      const auto event = events.next(std::chrono::milliseconds(0));
      if (event && *event) greeter_.hear(**event);
      if (!event && event.error().value == ENOBUFS) greeter_.offer_all();
    }
  }

  /// For poll(2).
  [[nodiscard]] int until(const std::optional<Clock::Time>& time) const {
    if (!time) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*time - host_.clock->now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
  }

  /// New rules, and with them perhaps another promise.
  void load() {
    keeper_.load();
    told_hold_ = false;
    if (wants_hold()) {
      hold();
    } else {
      let_go();
    }
    use_rules();
  }

  [[nodiscard]] bool wants_hold() const {
    return std::ranges::any_of(keeper_.spec().rules, &Rule::before_probe);
  }
  void use_rules() { greeter_.use(std::make_shared<Spec>(keeper_.spec()), held_since_); }

  /// What comes from the first moment on is offered, hence the Greeter is told before.
  void hold() {
    const auto pci = BusName::literal("pci");
    if (!can_hold(host_)) {
      if (!std::exchange(told_hold_, true))
        tell_({.level = Notice::Level::kWarning,
               .text = "a rule promises before-probe, which this kernel cannot keep for cards that "
                       "come (Linux 6.19 can): they are moved over when the race is lost"});
      return;
    }
    if (!held_since_) held_since_ = youngest_on(host_.sysfs, pci).value_or(Instance{});
    use_rules();
    Careful listener(tell_);
    const auto begun = begin_hold(host_, pci, listener);
    if (begun) return;
    if (!std::exchange(told_hold_, true))
      tell_({.level = Notice::Level::kError,
             .text = "before-probe cannot be kept: " + begun.error().message()});
    let_go();
  }

  void let_go() {
    if (!held_since_) return;
    Careful listener(tell_);
    const auto ended = end_hold(host_, listener);
    if (!ended) {  // it is tried again at each look, and everybody is offered until then
      tell_({.level = Notice::Level::kError,
             .text = "drivers_autoprobe could not be put back: " + ended.error().message()});
      return;
    }
    held_since_.reset();
    use_rules();
  }

  /// Somebody else, a window of another change perhaps, has put the flag back.
  void keep_hold() {
    if (!held_since_) return;
    if (!wants_hold()) return let_go();
    const auto flag = host_.sysfs.read("bus/pci/drivers_autoprobe");
    if (flag && flag->starts_with('1')) hold();
  }

  Result<> add_sources() {
    sd_event_source* source = nullptr;
    TRY(check(
        ::sd_event_add_io(loop_.get(), &source, events_->descriptor(), EPOLLIN, on_events, this),
        "events"));
    sources_.emplace_back(source);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
      const auto handler = signal == SIGHUP ? on_reload : on_stop;
      TRY(check(::sd_event_add_signal(loop_.get(), &source, signal, handler, this), "signals"));
      sources_.emplace_back(source);
    }
    TRY(add_timer(wake_, on_wake));
    TRY(add_timer(quiet_, on_quiet));
    for (const std::string& folder : folders()) watch_with_parent(folder);
    return {};
  }

  Result<> add_timer(Owned<sd_event_source>& timer, sd_event_time_handler_t handler) {
    sd_event_source* source = nullptr;
    TRY(check(
        ::sd_event_add_time_relative(loop_.get(), &source, CLOCK_MONOTONIC, 0, 0, handler, this),
        "time"));
    timer.reset(source);
    return check(::sd_event_source_set_enabled(source, SD_EVENT_OFF), "time");
  }

  [[nodiscard]] std::vector<std::string> folders() const {
    if (!options_.rules.empty()) return options_.rules;
    std::vector<std::string> out;
    for (const char* folder : kRuleFolders) out.push_back(fmt::format("/{}", folder));
    out.push_back(fmt::format("/{}", kDriverctlFolder));
    return out;
  }

  /// Also one that is not there yet, or that will be another one.
  void watch_with_parent(const std::string& folder) {
    watch(folder);
    const std::size_t slash = folder.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : folder.substr(0, slash + 1);
    sd_event_source* source = nullptr;
    if (::sd_event_add_inotify(loop_.get(), &source, parent.c_str(),
                               IN_CREATE | IN_MOVED_TO | IN_ONLYDIR, on_folder, this) < 0)
      return;
    sources_.emplace_back(source);
  }

  static int on_folder(sd_event_source* /*source*/, const inotify_event* event, void* data) {
    const std::string_view name = event->len == 0 ? "" : event->name;
    for (const std::string& folder : self(data).folders()) {
      if (link_name(folder) != name) continue;
      self(data).watch(folder);
      self(data).wait(self(data).quiet_, kQuiet);
    }
    return 0;
  }

  void watch(const std::string& folder) {
    constexpr std::uint32_t kChanges =
        IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_ATTRIB;
    sd_event_source* source = nullptr;
    if (::sd_event_add_inotify(loop_.get(), &source, folder.c_str(), kChanges, on_file, this) >= 0)
      sources_.emplace_back(source);
  }

  static Service& self(void* data) { return *static_cast<Service*>(data); }

  static int on_events(sd_event_source* /*source*/, int /*fd*/, std::uint32_t /*what*/,
                       void* data) {
    self(data).hear();
    return 0;
  }
  static int on_stop(sd_event_source* source, const signalfd_siginfo* /*info*/, void* /*data*/) {
    return ::sd_event_exit(::sd_event_source_get_event(source), 0);
  }
  static int on_reload(sd_event_source* /*source*/, const signalfd_siginfo* /*info*/, void* data) {
    self(data).keeper_.forget();
    self(data).reload();
    return 0;
  }
  static int on_wake(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* data) {
    self(data).look();
    return 0;
  }
  static int on_quiet(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* data) {
    self(data).reload();
    return 0;
  }
  static int on_file(sd_event_source* /*source*/, const inotify_event* event, void* data) {
    const std::string_view name = event->len == 0 ? "" : event->name;
    // The boot list is ours; editors leave files of other names.
    if (name.starts_with("boot.list") || name.starts_with('.')) return 0;
    self(data).wait(self(data).quiet_, kQuiet);
    return 0;
  }

  void wait(const Owned<sd_event_source>& timer, microseconds time) {
    static_cast<void>(::sd_event_source_set_time_relative(
        timer.get(), static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0))));
    static_cast<void>(::sd_event_source_set_enabled(timer.get(), SD_EVENT_ONESHOT));
  }

  /// As many as there are, but never so many that nothing else is done.
  void hear() {
    bool concerns = false;
    for (std::size_t count = 0; count < kMostAtOnce; ++count) {
      const auto event = events_->next(std::chrono::milliseconds(0));
      if (!event && event.error().value == ENOBUFS) {
        keeper_.hear_gap();
        if (bus_ != nullptr) bus_->tell_changed("");
        concerns = true;
      } else if (!event || !*event) {
        break;
      } else {
        concerns = keeper_.concerns(**event) || concerns;
        tell_bus(**event);
      }
    }
    if (concerns) look();
  }

  void tell_bus(const Uevent& event) {
    if (bus_ == nullptr || event.is_synthetic) return;
    const auto bus = BusName::parse(event.subsystem);
    const auto name = DeviceName::parse(event.devpath.substr(event.devpath.rfind('/') + 1));
    if (bus && name && host_.sysfs.open_dir("bus/" + event.subsystem).has_value())
      bus_->tell_changed(DeviceId{.bus = *bus, .name = *name}.str());
  }

  void reload() {
    static_cast<void>(::sd_event_source_set_enabled(quiet_.get(), SD_EVENT_OFF));
    static_cast<void>(::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", monotonic()));
    load();
    if (bus_ != nullptr) bus_->tell_rules();
    look();
    static_cast<void>(::sd_notify(0, "READY=1"));
  }

  static unsigned long long monotonic() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<unsigned long long>(now.tv_sec) * 1'000'000U +
           static_cast<unsigned long long>(now.tv_nsec) / 1'000U;
  }

  void look() {
    keep_hold();
    Careful listener(tell_);
    const auto next = keeper_.look(listener);
    if (keeper_.judgement()) greeter_.take_back(*keeper_.judgement(), listener);
    static_cast<void>(::sd_event_source_set_enabled(wake_.get(), SD_EVENT_OFF));
    if (next) wait(wake_, duration_cast<microseconds>(*next - host_.clock->now()));
    static_cast<void>(::sd_notify(0, fmt::format("WATCHDOG=1\nSTATUS={} of {} devices as declared",
                                                 keeper_.met(), keeper_.declared())
                                         .c_str()));
    if (bus_ != nullptr)
      bus_->set_counts(keeper_.declared(), keeper_.met(), held_since_.has_value());
    if (bus_ != nullptr) bus_->set_since(keeper_.differing_since());
    write_metrics();
  }

  void write_metrics() {
    if (metrics_ == nullptr) return;
    const auto written =
        metrics_->replace(kMetrics, metrics_of(keeper_, greeter_, held_since_.has_value()));
    if (written || std::exchange(told_metrics_, true)) return;
    tell_({.level = Notice::Level::kWarning,
           .text = from_errno(written.error(), "write", options_.metrics).message()});
  }

  const Host& host_;
  const ServiceOptions& options_;
  const RuleSource rules_{.named = options_.rules};
  const Tell tell_ = teller();
  Keeper keeper_;
  Greeter greeter_;
  std::unique_ptr<Bus> bus_;  ///< before the threads begin that tell it something
  std::optional<Instance> held_since_{};
  bool told_hold_ = false;
  std::unique_ptr<Storage> metrics_;
  bool told_metrics_ = false;
  Owned<sd_event> loop_;
  std::unique_ptr<UeventSource> events_;
  std::vector<Owned<sd_event_source>> sources_;
  Owned<sd_event_source> wake_;
  Owned<sd_event_source> quiet_;
};

}  // namespace

Result<> serve(const Host& host, const ServiceOptions& options) {
  return Service(host, options).run();
}

}  // namespace anybind::daemon
