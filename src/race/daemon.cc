// The service around these decisions (src/daemon/) is a loop over a netlink socket, time and two
// threads; here it is two actors, a queue and a clock for each. The order in which events arrive
// is the kernel's, at the step that sends them. Time is a choice: a moment that somebody waits for
// may come at any point. Were it quite free, no search would end, so there are three bounds, which
// docs/races.md tells: the Keeper, who is in no hurry for a second, looks when what the kernel has
// begun has ended and the Greeter has nothing to do; he looks five times by time alone, as what
// fails would have him look for ever; and of the Greeter's offers that find nobody, the third and
// fourth come while nothing is under way, and then there are no more.
#include "race/daemon.h"

#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "engine/engine.h"
#include "engine/hold.h"
#include "host/uevents.h"
#include "inventory/device.h"
#include "policy/greeter.h"
#include "policy/keeper.h"
#include "policy/spec.h"
#include "race/scenario.h"

namespace anybind::race {
namespace {

constexpr unsigned kMostTries = 5;   // looks of the Keeper by time alone
constexpr unsigned kFreeOffers = 2;  // by time, whatever the kernel is in the middle of
constexpr unsigned kMostOffers = 4;  // by time in all

const Spec& the_rules() {
  static const Spec kSpec = [] {
    auto spec = parse_spec({{.name = "rules.toml", .text = R"([[rule]]
name = "guest"
match = { device = "0000:03:00.0", id = "8086:10d3" }
driver = "vfio-pci"
promise = "before-probe"
)"}});
    CHECK(spec, "these rules are understood");
    return *std::move(spec);
  }();
  return kSpec;
}

/// As the socket would bring it.
std::optional<Uevent> heard(const drivercore::Uevent& event) {
  std::string text = event.action + "@" + event.devpath + '\0';
  for (const std::string& line : event.lines) text += line + '\0';
  return parse_uevent(text);
}

const BusName kPci = BusName::literal("pci");

}  // namespace

/// Each actor has its own, so that the time it sees follows from what it has done.
class Daemon::Clockwork final : public Clock {
 public:
  Time now() override { return now_; }
  void sleep(std::chrono::milliseconds time) override { now_ += time; }
  std::int64_t date() override { return 0; }
  void go_to(Time time) { now_ = std::max(now_, time); }

 private:
  Time now_{std::chrono::hours(1)};
};

class Daemon::Parts {
 public:
  Parts(Stage& stage, Sysfs& sysfs, Storage& storage, KernelVersion kernel, Around around)
      : stage_(stage),
        around_(std::move(around)),
        greeters_host_(host_of(sysfs, storage, kernel, greeters_clock_)),
        keepers_host_(host_of(sysfs, storage, kernel, keepers_clock_)),
        greeter_(greeters_host_, [](const Notice& /*notice*/) {}),
        keeper_(
            keepers_host_, [] { return the_rules(); },
            [this](const Notice& notice) { listen(notice); }) {}

  /// Before the first step, so these are none.
  void hold(KernelVersion kernel) {
    const auto sysfs = drivercore::model_sysfs(stage_.kernel());
    const Host host = host_of(*sysfs, *keepers_host_.storage, kernel, keepers_clock_);
    if (!can_hold(host)) return;
    const auto youngest = youngest_on(*sysfs, kPci);
    CHECK(youngest, "the model lets itself be read");
    held_since_ = *youngest;
    greeter_.use(std::make_shared<Spec>(the_rules()), held_since_);
    CHECK(stage_.kernel().drivers_autoprobe("pci", "0"), "the model has the flag");
  }

  void greet() {
    if (!held_since_) greeter_.use(std::make_shared<Spec>(the_rules()), held_since_);
    while (!stage_.is_ending()) {
      stage_.wait_for([this] { return !events_.empty() || may_offer(); });
      if (stage_.is_ending()) return;
      greeter_works_ = true;
      if (!events_.empty()) {
        const Uevent event = std::move(events_.front());
        events_.pop_front();
        stage_.was_told(event.action + event.devpath);
        heard_bind_ = heard_bind_ || event.action == "bind";
        greeter_.hear(event);
      } else {
        ++offers_;
        stage_.call("time passes", [this] {
          greeters_clock_.go_to(greeter_.next_time().value_or(greeters_clock_.now()));
          return true;
        });
        greeter_.offer_waiting();
      }
      greeter_works_ = false;
      keep_what_is_remembered();
    }
  }

  /// The Greeter remembers nothing of an event but who waits.
  void keep_what_is_remembered() {
    stage_.forget_past();
    const auto now = greeters_clock_.now();
    for (const auto& [id, waiting] : greeter_.waiting()) {
      stage_.was_told(fmt::format("{} {} {} {} {}", id.str(), waiting.offers, waiting.for_group,
                                  (waiting.due - now).count(), (now - waiting.last).count()));
    }
  }

  void keep() {
    bool is_loaded = false;
    while (!stage_.is_ending()) {
      stage_.wait_for([this] { return may_look(); });
      if (stage_.is_ending()) return;
      if (!std::exchange(is_loaded, true)) keeper_.load();
      const bool by_event = std::exchange(concerns_, false);
      stage_.was_told(by_event ? "event" : "time");
      tries_ += by_event ? 0 : 1;
      if (!by_event) {
        stage_.call("time passes", [this] {
          keepers_clock_.go_to(*next_look_);
          return true;
        });
      }
      Listener nobody;
      next_look_ = keeper_.look(nobody);
    }
  }

  void hear(const drivercore::Uevent& event) {
    const auto message = heard(event);
    CHECK(message, "the model sends what the kernel sends");
    const bool of_driver = message->subsystem == "drivers" && message->action == "add";
    const bool of_device = message->subsystem == "pci";
    // Of all others the Greeter does nothing.
    const std::string& action = message->action;
    if (of_driver || (of_device && (action == "add" || action == "bind" || action == "unbind")))
      events_.push_back(*message);
    concerns_ = concerns_ || of_device;
  }

  void recover() {
    Listener nobody;
    if (held_since_) {
      const Hold hold{.bus = kPci, .youngest = *held_since_};
      (void)pay_back(keepers_host_, hold, nobody);
    }
    (void)recover_changes(keepers_host_, {}, nobody);
  }

  [[nodiscard]] Hash key() const {
    Hash hash;
    hash.add(events_.size());
    for (const Uevent& event : events_) {
      hash.add(event.action);
      hash.add(event.devpath);
    }
    hash.add(offers_);
    hash.add((concerns_ ? 1U : 0U) | (greeter_works_ ? 2U : 0U) | (heard_bind_ ? 4U : 0U));
    return hash;
  }

  static Host host_of(Sysfs& sysfs, Storage& storage, KernelVersion kernel, Clock& clock) {
    Host out(sysfs);
    out.storage = &storage;
    out.clock = &clock;
    out.boot = "boot";
    out.command = "anybindd";
    out.release = kernel.str() + ".0";
    return out;
  }

  unsigned greeter_actor = 0;
  unsigned keeper_actor = 0;

  [[nodiscard]] bool may_look() const {
    if (!events_.empty() || greeter_works_ || !around_.quiet()) return false;
    const bool is_soon = greeter_.next_time() && offers_ < kMostOffers;  // within the second
    return concerns_ || (next_look_ && tries_ < kMostTries && !is_soon);
  }

 private:
  [[nodiscard]] bool may_offer() const {
    if (!greeter_.next_time() || offers_ == kMostOffers) return false;
    return offers_ < kFreeOffers || stage_.is_at_rest();
  }

  void listen(const Notice& notice) {
    if (notice.device) around_.says(notice.level == Notice::Level::kInfo);
  }

  Stage& stage_;
  Around around_;
  Clockwork greeters_clock_;
  Clockwork keepers_clock_;
  Host greeters_host_;
  Host keepers_host_;
  Greeter greeter_;
  Keeper keeper_;
  std::optional<Instance> held_since_{};
  std::deque<Uevent> events_;
  bool greeter_works_ = false;
  bool heard_bind_ = false;  ///< so that it remembers none whose probe was deferred before
  unsigned offers_ = 0;
  bool concerns_ = false;
  unsigned tries_ = 0;
  std::optional<Clock::Time> next_look_{};
};

Daemon::Daemon(Stage& stage, Sysfs& sysfs, Storage& storage, KernelVersion kernel, Around around)
    : parts_(std::make_unique<Parts>(stage, sysfs, storage, kernel, std::move(around))) {
  parts_->greeter_actor = stage.add("greeter", [this] { parts_->greet(); });
  parts_->keeper_actor =
      stage.add("keeper", [this] { parts_->keep(); }, [this] { return parts_->may_look(); });
  stage.let_read_at_once(parts_->greeter_actor);
  stage.let_read_at_once(parts_->keeper_actor);
  stage.let_call_at_once(parts_->keeper_actor);
  parts_->hold(kernel);
}

Daemon::~Daemon() = default;

unsigned Daemon::greeter() const {
  return parts_->greeter_actor;
}

unsigned Daemon::keeper() const {
  return parts_->keeper_actor;
}

void Daemon::hear(const drivercore::Uevent& event) {
  parts_->hear(event);
}

Hash Daemon::key() const {
  return parts_->key();
}

void Daemon::recover() {
  parts_->recover();
}

}  // namespace anybind::race
