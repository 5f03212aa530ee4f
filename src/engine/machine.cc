#include "engine/machine.h"

#include <utility>

#include "base/try.h"
#include "engine/engine.h"
#include "host/this_machine.h"
#include "inventory/not_there.h"
#include "inventory/select.h"

namespace anybind {

class Machine::Inside {
 public:
  explicit Inside(std::unique_ptr<ThisMachine> machine) : machine_(std::move(machine)) {}
  [[nodiscard]] const Host& host() const { return machine_->host(); }

 private:
  std::unique_ptr<ThisMachine> machine_;
};

Machine::Machine(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Machine::Machine(Machine&& other) noexcept = default;
Machine& Machine::operator=(Machine&& other) noexcept = default;
Machine::~Machine() = default;

Result<Machine> Machine::this_one(const std::string& command) {
  return at("", "", command);
}

Result<Machine> Machine::at(const std::string& sysfs, const std::string& state,
                            const std::string& command) {
  return Machine(std::make_unique<Inside>(TRY(ThisMachine::open(sysfs, state, command))));
}

Sysfs& Machine::sysfs() {
  return inside_->host().sysfs;
}

Result<std::vector<DeviceId>> Machine::select(const std::vector<std::string>& words) {
  return select_devices_unchecked(sysfs(), words, inside_->host().sysfs_root);
}

Result<Device> Machine::look(const DeviceId& device) {
  const auto dir = TRY(open_device(sysfs(), device));
  if (dir == nullptr) return fail(no_such_device(sysfs(), device, device.str()));
  return read_device(*dir, device);
}

Result<Plan> Machine::plan(const Request& request) {
  const Memory memory = TRY(read_memory(inside_->host()));
  return TRY(plan_change(inside_->host(), request, memory));
}

Result<std::vector<Outcome>> Machine::change(const Request& request) {
  Listener nobody;
  return change(request, nobody);
}

Result<std::vector<Outcome>> Machine::change(const Request& request, Listener& listener) {
  return anybind::change(inside_->host(), request, listener);
}

Result<std::vector<Outcome>> Machine::bind(const std::vector<DeviceId>& devices,
                                           const DriverName& driver) {
  return change({.verb = Request::Verb::kBind, .devices = devices, .driver = driver});
}

Result<std::vector<Outcome>> Machine::unbind(const std::vector<DeviceId>& devices) {
  return change({.verb = Request::Verb::kUnbind, .devices = devices});
}

Result<std::vector<Outcome>> Machine::restore(const std::vector<DeviceId>& devices) {
  return change({.verb = Request::Verb::kRestore, .devices = devices});
}

Result<> Machine::recover() {
  Listener nobody;
  const Recovery ended = TRY(recover_changes(inside_->host(), {}, nobody));
  for (const Recovered& one : ended.changes) {
    if (one.what == Recovered::What::kLeft && one.error) return fail(*one.error);
  }
  return {};
}

}  // namespace anybind
