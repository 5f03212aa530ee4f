#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "change/listener.h"
#include "host/clock.h"
#include "host/host.h"
#include "host/uevents.h"
#include "policy/apply.h"
#include "policy/judge.h"
#include "policy/notice.h"
#include "policy/rule.h"

namespace anybind {

/// What an operator counts, since the start.
struct KeeperCounts {
  std::uint64_t looks = 0;
  std::uint64_t drifts = 0;       ///< a device that was as declared, or was not known, and differs
  std::uint64_t corrections = 0;  ///< devices that were made as declared
  std::uint64_t failures = 0;     ///< changes that failed, or were refused
  std::uint64_t given_up = 0;     ///< devices that somebody else changed back again and again
  std::uint64_t gaps = 0;         ///< the kernel has dropped events
};

/// Keeps the declared state over time: decides when to look, and for which devices something is
/// done about a difference now. Whoever calls brings events, time and rules; every change goes
/// through the engine (policy/apply.h).
///
/// It is slow to act and quick to give way; for a device that has just come there is the Greeter:
/// - what differs is left alone for a second, as somebody may be in the middle of something (not a
///   card that has come to a driver of the host: for that one it is late already);
/// - what failed is tried again after 2, 4, 8 ... 300 seconds;
/// - a device that was corrected twice within a minute, and differs again, is left alone;
/// - so is what somebody has changed by anybind: that is what they want.
/// Both ends when the rules change, by forget(), when another card comes, or it has been as
/// declared for ten minutes.
class Keeper {
 public:
  using Rules = std::function<Result<Spec>()>;

  /// `host.command` is what its changes are called in the journal; another command in there is
  /// somebody else's change. Refers to `host`.
  Keeper(const Host& host, Rules rules, Tell tell);

  /// Reads the rules anew. False: they are broken, which is told, and the old ones go on counting.
  bool load();
  /// Somebody wants everything to be tried again: what failed, and what was left alone.
  void forget() { records_.clear(); }

  /// False: the event is about nothing that rules can mean, and nothing has to be looked at.
  [[nodiscard]] bool concerns(const Uevent& event) const;
  /// Events were lost.
  void hear_gap();

  /// Looks at everything and makes it as declared, as far as that is due. Blocks as apply_spec()
  /// does. The moment at which to look again if nothing happens before; nullopt: none.
  std::optional<Clock::Time> look(Listener& listener);

  /// The rules that count.
  [[nodiscard]] const Spec& spec() const { return spec_; }
  /// The last look; nullopt: no rules, or the machine did not let itself be read.
  [[nodiscard]] const std::optional<Judgement>& judgement() const { return judgement_; }
  /// Of each device that is not as declared: when a look first found it so, in seconds since 1970.
  [[nodiscard]] std::map<DeviceId, std::int64_t> differing_since() const;
  [[nodiscard]] const KeeperCounts& counts() const { return counts_; }
  /// How many devices rules are about, and how many are as declared, at the last look.
  [[nodiscard]] std::size_t declared() const { return declared_; }
  [[nodiscard]] std::size_t met() const { return met_; }

 private:
  /// What is known of one card that a rule is about.
  struct Record {
    Instance instance;
    bool differs = false;
    std::int64_t differs_since = 0;        ///< seconds since 1970
    bool is_left = false;                  ///< until it is as declared
    bool is_given_up = false;              ///< until it has been so for long
    Clock::Time due{};                     ///< while it differs
    Clock::Time met_since{};               ///< while it does not
    std::optional<Clock::Time> recheck{};  ///< whether it is so still
    unsigned failures = 0;                 ///< in a row
    std::string last_failure{};            ///< as it was told
    std::vector<Clock::Time> corrections{};
  };

  void recover(Listener& listener);
  std::optional<Judgement> judge_now();
  void note(const Judgement& judgement);
  void note_met(Record& record, const Standing& standing, bool is_new) const;
  void note_drift(Record& record, const Standing& standing, bool is_new);
  void leave_what_others_want(const Judgement& judgement);
  void tell_problems(const Judgement& judgement);
  [[nodiscard]] bool is_due(const Standing& standing) const;
  void correct(Listener& listener);
  void note_correction(Record& record) const;
  void digest(const Applied& applied);
  void keep_list(const Judgement& judgement, Listener& listener);
  [[nodiscard]] std::optional<Clock::Time> next_time() const;
  [[nodiscard]] Clock::Time now() const { return host_.clock->now(); }
  void say(Notice::Level level, std::string text, const DeviceId& device, const std::string& rule,
           Remark advice = {}) const;

  const Host& host_;
  Rules rules_;
  Tell tell_;
  Spec spec_;
  bool has_rules_ = false;
  std::set<BusName> buses_;
  std::map<DeviceId, Record> records_;
  std::optional<Judgement> judgement_;
  std::set<std::string> problems_;  ///< as they were told
  std::string last_error_;
  std::string last_list_error_;
  std::optional<Clock::Time> retry_;  ///< of what concerns no single device
  bool owes_recovery_ = true;         ///< somebody, we perhaps, was cut off
  std::size_t declared_ = 0;
  std::size_t met_ = 0;
  KeeperCounts counts_;
};

}  // namespace anybind
