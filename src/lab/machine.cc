#include "lab/machine.h"

namespace anybind::lab {

using drivercore::KernelStep;

Machine::Machine(drivercore::State state, Listener listener)
    : core_(std::move(state)), listener_(std::move(listener)) {
  core_.set_workers_run_by_themselves(false);
  core_.set_on_step([this](const KernelStep& step) { on_step(step); });
  core_.set_on_blocked([this](const drivercore::Blocked&) { return on_blocked(); });
  (void)core_.take_uevents();          // those of its boot, which nobody saw
  const std::unique_lock turn(turn_);  // the worker asks who it is
  worker_ = std::thread([this] { work(); });
}

Machine::~Machine() {
  {
    const std::unique_lock turn(turn_);
    stopping_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void Machine::set_probe_time(const std::string& driver, std::chrono::milliseconds time) {
  const std::unique_lock turn(turn_);
  probe_time_[driver] = time;
}

void Machine::on_step(const KernelStep& step) {
  hand_out_uevents();
  ++steps_;
  changed_.notify_all();
  if (step.kind != KernelStep::Kind::kProbeBegins) return;
  const drivercore::Driver* driver = core_.find_driver(step.driver);
  const auto slow = driver == nullptr ? probe_time_.end() : probe_time_.find(driver->name);
  if (slow != probe_time_.end()) sleep(slow->second);
}

/// Lets the others go on until something has changed.
bool Machine::on_blocked() {
  hand_out_uevents();
  const bool worker = std::this_thread::get_id() == worker_.get_id();
  if (worker) worker_waits_ = true;
  changed_.notify_all();
  const auto seen = steps_;
  changed_.wait(turn_, [&] { return stopping_ || steps_ != seen; });
  if (worker) worker_waits_ = false;
  return !stopping_;
}

void Machine::sleep(std::chrono::milliseconds time) {
  const bool worker = std::this_thread::get_id() == worker_.get_id();
  if (worker) worker_waits_ = true;
  changed_.notify_all();
  changed_.wait_for(turn_, time, [&] { return stopping_; });
  if (worker) worker_waits_ = false;
}

void Machine::finish() {
  hand_out_uevents();
  ++steps_;
  changed_.notify_all();
  changed_.wait(turn_,
                [&] { return stopping_ || worker_waits_ || (!worker_busy_ && !core_.has_work()); });
}

void Machine::hand_out_uevents() {
  for (const drivercore::Uevent& event : core_.take_uevents()) {
    if (listener_) listener_(event);
  }
}

/// The kernel's one worker for deferred and asynchronous probes.
void Machine::work() {
  const std::unique_lock turn(turn_);
  for (;;) {
    changed_.wait(turn_, [&] { return stopping_ || core_.has_work(); });
    if (stopping_) return;
    worker_busy_ = true;
    (void)core_.work();
    worker_busy_ = false;
    hand_out_uevents();
    ++steps_;
    changed_.notify_all();
  }
}

}  // namespace anybind::lab
