#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivercore/core/driver_core.h"
#include "host/sysfs.h"
#include "race/fibre.h"
#include "race/state_hash.h"

namespace anybind::race {

/// Several actors on one modelled kernel, each on its own stack. An actor stops before each of its
/// calls (one operation on sysfs, or one thing that the world does) and at each step of the kernel
/// inside it, and goes on when it is advanced.
///
/// What an actor does next follows from what its calls have answered, and inside a call from the
/// steps that the kernel has taken for it there, with their outcomes: it holds nothing else over a
/// stop. So that, and the State, make the key of a point.
class Stage {
 public:
  /// One operation on sysfs, or one thing that the world does, which has only `what`.
  struct Call {
    std::string_view what;  ///< "read", "write", "hot-add 0000:06:00.0"
    std::string_view path{};
    std::string_view bytes{};

    [[nodiscard]] bool writes() const { return what == "write"; }
    [[nodiscard]] bool reads() const { return !path.empty() && !writes(); }
    /// As a person would type it: "echo 1 > bus/pci/rescan".
    [[nodiscard]] std::string text() const;
  };

  /// Is told of each step of the kernel, and of each call at its beginning and its end.
  class Watcher {
   public:
    Watcher() = default;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    virtual ~Watcher() = default;
    virtual void on_step(unsigned actor, const drivercore::KernelStep& step) = 0;
    virtual void on_call(unsigned actor, const Call& call) = 0;
    virtual void on_answer(unsigned actor, const std::string& answer) = 0;
  };

  explicit Stage(const drivercore::DriverCore& kernel, Watcher& watcher);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  struct Actor {
    std::string name;
    std::function<void()> body;
    std::function<bool()> may_go;  ///< asked while it is not inside a call; empty: always
    std::unique_ptr<Fibre> fibre;
    std::optional<drivercore::Blocked> blocked;
    bool reads_at_once = false;  ///< does not stop between two reads
    bool has_read = false;       ///< its last call was a read
    bool whole_calls = false;    ///< does not stop inside a call, but where it is blocked
    Hash past;                   ///< what its calls have answered
    Hash call;                   ///< the steps of the call that it is in
    bool in_call = false;
    bool ended = false;
    bool killed = false;
  };

  unsigned add(std::string name, std::function<void()> body, std::function<bool()> may_go = {});

  [[nodiscard]] std::vector<unsigned> enabled() const;
  /// Of one that has ended, nothing: a search comes to that when a key does not hold all that
  /// decides what follows, and sees it then.
  void advance(unsigned actor);
  /// Ends every actor where it stands: what it is in the middle of in the kernel goes on to its
  /// end, each further call fails, and nobody watches. To be called before anything goes that they
  /// use.
  void end();
  [[nodiscard]] bool is_ending() const { return ending_; }
  /// kill -9: what it is in the middle of in the kernel goes on; then it is no more.
  void kill(unsigned actor);

  [[nodiscard]] const Actor& actor(unsigned number) const { return actors_[number]; }
  [[nodiscard]] std::size_t actors() const { return actors_.size(); }
  [[nodiscard]] unsigned current() const { return current_; }
  [[nodiscard]] drivercore::DriverCore& kernel() { return kernel_; }
  /// What those have done that have ended counts only if it was kept somewhere (`kept`) where
  /// others look.
  [[nodiscard]] Hash key(bool kept) const;

  /// A sysfs whose every operation is a call of the actor that makes it.
  [[nodiscard]] std::unique_ptr<Sysfs> sysfs();
  /// What the current actor learned otherwise than by a call, and goes by.
  void was_told(std::string_view text) { actors_[current_].past.add(text); }
  /// The current actor keeps nothing of what it was told and answered until now.
  void forget_past();
  /// The reads of this actor that follow each other are one step.
  void let_read_at_once(unsigned actor) { actors_[actor].reads_at_once = true; }
  /// So is each of its calls, with all that the kernel does in it.
  void let_call_at_once(unsigned actor) { actors_[actor].whole_calls = true; }
  /// Nobody is in the middle of a call.
  [[nodiscard]] bool is_at_rest() const;
  /// The kernel's events are wanted: DriverCore::take_uevents() has them.
  void listen();
  /// The current actor stops until this is true: what user space waits for.
  void wait_for(std::function<bool()> condition);
  /// One thing that the world does, as a call of the current actor.
  void call(const std::string& text, const std::function<bool()>& action);

  // For the sysfs above: the beginning and the end of a call.
  // False: everything is being ended, and the call shall fail.
  [[nodiscard]] bool begin_call(const Call& call);
  void end_call(std::uint64_t answer, std::string_view text, bool is_write);

 private:
  void stop();
  [[nodiscard]] bool can_go(const Actor& actor) const;
  [[nodiscard]] bool still_blocked(const drivercore::Blocked& blocked) const;
  void on_step(const drivercore::KernelStep& step);
  bool on_blocked(const drivercore::Blocked& blocked);

  drivercore::DriverCore kernel_;
  Watcher& watcher_;
  std::vector<Actor> actors_;
  unsigned current_ = 0;
  bool ending_ = false;
};

}  // namespace anybind::race
