#include "actors.h"

#include <algorithm>
#include <utility>

namespace anybind::replay {

Actors::~Actors() {
  finish();
  abandoned_ = true;
  finish();
  for (auto& [name, actor] : actors_) actor.thread.join();
}

void Actors::start(const std::string& name, std::function<std::string()> action) {
  if (actors_.contains(name)) {
    if (state(name) != State::kEnded) finish();
    actors_.at(name).thread.join();
    std::erase(order_, &actors_.at(name));
    actors_.erase(name);
  }
  Actor& actor = actors_[name];
  order_.push_back(&actor);
  actor.thread = std::thread([this, &actor, action = std::move(action)] {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return turn_ == &actor; });
    lock.unlock();
    std::string result = action();
    lock.lock();
    actor.result = std::move(result);
    actor.state = State::kEnded;
    turn_ = nullptr;
    changed_.notify_all();
  });
  run(actor);
}

/// Hands the turn over, until it comes back.
void Actors::run(Actor& actor) {
  std::unique_lock lock(mutex_);
  turn_ = &actor;
  changed_.notify_all();
  changed_.wait(lock, [&] { return turn_ == nullptr; });
}

bool Actors::pause(State why) {
  std::unique_lock lock(mutex_);
  Actor* const me = turn_;
  if (me == nullptr || abandoned_) return false;
  me->state = why;
  turn_ = nullptr;
  changed_.notify_all();
  changed_.wait(lock, [&] { return turn_ == me; });
  me->state = State::kRunning;
  return true;
}

/// Who was slow goes first: the others wait for it.
bool Actors::finish() {
  constexpr int kMaxRounds = 100;
  const auto ended = [](const Actor* actor) { return actor->state == State::kEnded; };
  for (int round = 0; round < kMaxRounds && !std::ranges::all_of(order_, ended); ++round) {
    for (const State wanted : {State::kSlow, State::kWaits}) {
      for (Actor* actor : order_) {
        if (actor->state == wanted) run(*actor);
      }
    }
  }
  return std::ranges::all_of(order_, ended);
}

}  // namespace anybind::replay
