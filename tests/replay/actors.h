#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace anybind::replay {

/// Operations that are under way at the same time, each on a thread of its own, of which only one
/// runs at a time. An operation runs until it ends, must wait for another, or is as slow as it was
/// asked to be.
class Actors {
 public:
  enum class State { kRunning, kSlow, kWaits, kEnded };

  Actors() = default;
  Actors(const Actors&) = delete;
  Actors& operator=(const Actors&) = delete;
  ~Actors();

  /// Runs it as far as it gets; `action` returns what came of it. One that has this name is
  /// finished first.
  void start(const std::string& name, std::function<std::string()> action);
  /// Lets all go on in turn until each has ended. False: some wait for each other for ever.
  bool finish();

  [[nodiscard]] State state(const std::string& name) const { return actors_.at(name).state; }
  /// What came of it.
  [[nodiscard]] const std::string& result(const std::string& name) const {
    return actors_.at(name).result;
  }
  [[nodiscard]] bool contains(const std::string& name) const { return actors_.contains(name); }

  // Called by an operation; outside of all of them they do nothing, and say false.
  bool pause(State why);

 private:
  struct Actor {
    std::thread thread;
    State state = State::kRunning;
    std::string result;
  };
  void run(Actor& actor);

  std::map<std::string, Actor> actors_;
  std::vector<Actor*> order_;  ///< of their starts
  Actor* turn_ = nullptr;      ///< nullptr: the script's
  bool abandoned_ = false;     ///< nobody is waited for any more
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace anybind::replay
