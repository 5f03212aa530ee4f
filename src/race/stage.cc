#include "race/stage.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/sysfs/model_sysfs.h"

namespace anybind::race {
namespace {

using drivercore::Blocked;
using drivercore::KernelStep;

/// Ends an actor that was killed inside a call, after it: caught below everything it runs.
struct Ended {};

/// What every call answers once all is being ended.
std::unexpected<Errno> ending() {
  return std::unexpected(Errno{EIO});
}

template <class T>
std::uint64_t number_of(const Reply<T>& reply) {
  return reply ? 0 : static_cast<std::uint64_t>(reply.error().value);
}

class SteppingSysfs final : public Sysfs {
 public:
  SteppingSysfs(Stage& stage, std::unique_ptr<Sysfs> inner)
      : stage_(stage), inner_(std::move(inner)) {}

  Reply<std::string> read(std::string_view path) override {
    if (!stage_.begin_call({.what = "read", .path = path})) return ending();
    auto reply = inner_->read(path);
    stage_.end_call(number_of(reply), reply ? std::string_view(*reply) : "", false);
    return reply;
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    if (!stage_.begin_call({.what = "write", .path = path, .bytes = bytes})) return ending();
    auto reply = inner_->write(path, bytes);
    stage_.end_call(number_of(reply), "", true);
    return reply;
  }
  Reply<std::string> read_link(std::string_view path) override {
    if (!stage_.begin_call({.what = "readlink", .path = path})) return ending();
    auto reply = inner_->read_link(path);
    stage_.end_call(number_of(reply), reply ? std::string_view(*reply) : "", false);
    return reply;
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    if (!stage_.begin_call({.what = "ls", .path = path})) return ending();
    auto reply = inner_->list(path);
    std::string all;
    if (reply) {
      for (const std::string& name : *reply) all += name + "/";
    }
    stage_.end_call(number_of(reply), all, false);
    return reply;
  }
  /// With the directory's instance, which never changes, so that asking for it is no step.
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    if (!stage_.begin_call({.what = "open", .path = path})) return ending();
    auto reply = inner_->open_dir(path);
    std::string text;
    if (reply) text = std::to_string((*reply)->instance().value_or(Instance{}).inode);
    stage_.end_call(number_of(reply), text, false);
    if (!reply) return std::unexpected(reply.error());
    return std::make_unique<SteppingSysfs>(stage_, *std::move(reply));
  }
  Reply<Instance> instance() override { return inner_->instance(); }

 private:
  Stage& stage_;
  std::unique_ptr<Sysfs> inner_;
};

}  // namespace

Stage::Stage(const drivercore::DriverCore& kernel, Watcher& watcher)
    : kernel_(kernel), watcher_(watcher) {
  constexpr std::size_t kUsual = 6;
  actors_.reserve(kUsual);
  kernel_.set_workers_run_by_themselves(false);
  kernel_.send_to_nobody();
  kernel_.set_on_step([this](const KernelStep& step) { on_step(step); });
  kernel_.set_on_blocked([this](const Blocked& blocked) { return on_blocked(blocked); });
}

Stage::~Stage() {
  end();
}

void Stage::end() {
  ending_ = true;
  for (current_ = 0; current_ < actors_.size(); ++current_) {
    const auto& fibre = actors_[current_].fibre;
    if (fibre->begun() && !fibre->ended()) fibre->resume();
  }
}

unsigned Stage::add(std::string name, std::function<void()> body, std::function<bool()> may_go) {
  const auto number = static_cast<unsigned>(actors_.size());
  auto& actor = actors_.emplace_back();
  actor.name = std::move(name);
  actor.body = std::move(body);
  actor.may_go = std::move(may_go);
  actor.fibre = std::make_unique<Fibre>([this, number] {
    try {
      actors_[number].body();
    } catch (const Ended&) {  // nothing of it is left
    }
  });
  return number;
}

std::unique_ptr<Sysfs> Stage::sysfs() {
  return std::make_unique<SteppingSysfs>(*this, drivercore::model_sysfs(kernel_));
}

bool Stage::still_blocked(const Blocked& blocked) const {
  const auto& state = kernel_.state();
  const auto* device = kernel_.find(blocked.device);
  switch (blocked.by) {
    case Blocked::By::kDeviceLock:
      return device != nullptr && device->locked;
    case Blocked::By::kRescanLock:
      return state.rescan_locked;
    case Blocked::By::kDriverUse:
      return state.drivers.at(blocked.driver).users > 0 ||
             std::ranges::any_of(state.async, [&](const drivercore::AsyncProbe& probe) {
               return probe.driver == blocked.driver;
             });
    case Blocked::By::kUser:
      return device != nullptr && device->open;
    case Blocked::By::kModule:
      return !state.modules_coming.empty() || !state.modules_going.empty();
    case Blocked::By::kAsync:
      return !state.async.empty();
  }
  return false;
}

bool Stage::can_go(const Actor& actor) const {
  if (actor.ended) return false;
  if (actor.blocked) return !still_blocked(*actor.blocked);
  return actor.in_call || !actor.may_go || actor.may_go();
}

std::vector<unsigned> Stage::enabled() const {
  std::vector<unsigned> out;
  for (unsigned i = 0; i < actors_.size(); ++i) {
    if (can_go(actors_[i])) out.push_back(i);
  }
  return out;
}

void Stage::advance(unsigned number) {
  current_ = number;
  Actor& actor = actors_[number];
  if (actor.ended) return;
  actor.blocked.reset();
  actor.fibre->resume();
  if (actor.fibre->ended()) actor.ended = true;
}

void Stage::kill(unsigned number) {
  actors_[number].killed = true;
  if (!actors_[number].in_call) actors_[number].ended = true;
}

void Stage::stop() {
  actors_[current_].fibre->suspend();
}

std::string Stage::Call::text() const {
  if (path.empty()) return std::string(what);
  if (!writes()) return fmt::format("{} {}", what, path);
  std::string_view written = bytes;
  while (written.ends_with('\n')) written.remove_suffix(1);
  return fmt::format("echo {}{}> {}", written, written.empty() ? "" : " ", path);
}

bool Stage::begin_call(const Call& call) {
  if (ending_) return false;
  if (!actors_[current_].fibre->begun()) return true;
  const bool goes_on =
      actors_[current_].reads_at_once && actors_[current_].has_read && call.reads();
  actors_[current_].has_read = call.reads();
  // The first call of an actor begins when it is first advanced.
  if (actors_[current_].past != Hash{} && !goes_on) stop();
  if (ending_) return false;
  actors_[current_].in_call = true;
  watcher_.on_call(current_, call);
  return true;
}

void Stage::end_call(std::uint64_t answer, std::string_view text, bool is_write) {
  if (ending_) return;
  Actor& actor = actors_[current_];
  actor.in_call = false;
  actor.call = Hash{};
  actor.past.add(answer);
  actor.past.add(text);
  if (is_write || answer != 0) {
    const Errno error{static_cast<int>(answer)};
    watcher_.on_answer(current_, answer == 0 ? "" : error.name());
  }
  if (actor.killed) throw Ended{};
}

void Stage::forget_past() {
  actors_[current_].past = Hash{};
  actors_[current_].past.add(1);  // it has begun
  actors_[current_].has_read = true;
}

void Stage::listen() {
  kernel_.send_to_somebody();
  (void)kernel_.take_uevents();  // of what was before the first step
}

bool Stage::is_at_rest() const {
  return std::ranges::none_of(actors_, &Actor::in_call);
}

void Stage::wait_for(std::function<bool()> condition) {
  if (ending_) return;
  Actor& actor = actors_[current_];
  actor.past.add(1);  // it has begun
  actor.may_go = std::move(condition);
  if (!actor.may_go()) stop();
  actors_[current_].may_go = nullptr;
}

void Stage::call(const std::string& text, const std::function<bool()>& action) {
  if (!begin_call({.what = text})) return;
  const bool done = action();
  end_call(done ? 0 : 1, "", false);
}

void Stage::on_step(const KernelStep& step) {
  if (ending_) return;
  Actor& actor = actors_[current_];
  actor.call.add((std::uint64_t{step.device} << 32U) | step.driver);
  actor.call.add((static_cast<std::uint64_t>(step.kind) << 32U) |
                 static_cast<std::uint32_t>(step.outcome));
  watcher_.on_step(current_, step);
  if (!actor.whole_calls) stop();
}

bool Stage::on_blocked(const Blocked& blocked) {
  if (ending_) return false;
  actors_[current_].blocked = blocked;
  stop();
  return !ending_;
}

Hash Stage::key(bool kept) const {
  Hash hash = hash_of(kernel_.state());
  hash.add(kernel_.trigger_count());
  for (const Actor& actor : actors_) {
    if (kept || !actor.ended) hash.add(actor.past);
    hash.add(actor.call);
    hash.add((actor.blocked ? 1U : 0U) | (actor.in_call ? 2U : 0U) | (actor.ended ? 4U : 0U) |
             (actor.killed ? 8U : 0U));
    if (!actor.blocked) continue;
    hash.add(static_cast<std::uint64_t>(actor.blocked->by));
    hash.add((std::uint64_t{actor.blocked->device} << 32U) | actor.blocked->driver);
  }
  return hash;
}

}  // namespace anybind::race
