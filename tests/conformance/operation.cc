#include "operation.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace anybind::conformance {
namespace {

using Kind = Operation::Kind;

constexpr int kDefer = 517;
constexpr std::string_view kPlatformDevice = "anybind-test.0";
constexpr std::string_view kPciDrivers[] = {"td0", "td1",      "td2",      "td0",        "td1",
                                            "td2", "vfio-pci", "pci-stub", "pci-pf-stub"};

/// Bytes for printf(1).
std::string for_printf(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) {
    const bool plain = c > ' ' && c < 0x7F && c != '\\' && c != '\'' && c != '%';
    if (plain || c == ' ')
      out += c;
    else
      out += fmt::format("\\{:03o}", static_cast<unsigned char>(c));
  }
  return out;
}

/// What stands around a good word, where a store may be strict or not.
std::string dressed(Dice& dice, std::string word) {
  switch (dice.roll(12)) {
    case 0:
      return word;
    case 1:
      return word + "\n\n";
    case 2:
      return " " + word;
    case 3:
      return word + " ";
    case 4:
      return word + std::string(1, '\0');
    case 5:
      return word + "\nmore\n";
    default:
      return word + "\n";
  }
}

std::string hostile(Dice& dice) {
  static const std::string kWords[] = {
      "",   "\n", "0000:00:99.0", "1", "..",       "../td0", "\0\0x", "%s%s%n", "0",
      "-1", "2",  "yes",          " ", "\xff\xfe", "none",   "(null)"};
  if (dice.once_in(6)) return std::string(1 + dice.roll(4200), dice.once_in(2) ? 'a' : '0');
  return dice.pick(kWords);
}

std::string function(Dice& dice, const Targets& targets) {
  return dice.once_in(12) ? hostile(dice) : dressed(dice, dice.pick(targets.functions));
}

Operation write(std::string path, std::string bytes) {
  return {.kind = Kind::kWrite, .path = std::move(path), .bytes = std::move(bytes)};
}

std::string driver_dir(Dice& dice) {
  return "bus/pci/drivers/" + std::string(dice.pick(kPciDrivers));
}
std::string device_dir(Dice& dice, const Targets& targets) {
  return "bus/pci/devices/" + dice.pick(targets.functions);
}

std::string flag(Dice& dice) {
  static const std::string kFlags[] = {"0", "1", "1", "1", "0\n", "1\n", "y", "n", "2", "01", "-1"};
  return dice.once_in(8) ? hostile(dice) : dice.pick(kFlags);
}

std::string id(Dice& dice) {
  static const std::string kIds[] = {"1234 11e8",
                                     "1234 11e8",
                                     "1234 11e8 1af4 1100",
                                     "1234 11e8 1af4 1100 ff0000 ffffff",
                                     "1234 11e8 1af4 1100 ff0000 ffffff 9",
                                     "1234 11e8 ffffffff ffffffff 0 0 5",
                                     "1234 11e8 ffffffff ffffffff 0 0 6",
                                     "1234 11e8 ffffffff ffffffff 0 0 77",
                                     "0x1234 0x11E8",
                                     "8086 10d3",
                                     "8086 10d3 8086 0",
                                     "1b36 10",
                                     "1b36 0010 1af4 1100 010802 ffffff",
                                     "ffffffff ffffffff",
                                     "dead beef",
                                     "1234",
                                     "1234 ",
                                     "1234 11e8 x",
                                     "12345 11e8",
                                     "1234 11e8 1af4 1100 ff0000 ffffff 9 8",
                                     "123411e8",
                                     "1234:11e8"};
  return dice.once_in(10) ? hostile(dice) : dressed(dice, dice.pick(kIds));
}

std::string override_name(Dice& dice) {
  static const std::string kNames[] = {"td0",    "td1",    "td2",         "vfio-pci", "pci-stub",
                                       "td0",    "td1",    "pci-pf-stub", "e1000e",   "none",
                                       "tdplat", "nosuch", "\n",          "",         "td0 "};
  if (dice.once_in(10)) return hostile(dice);
  const std::string name = dice.pick(kNames);
  return name.size() < 2 ? name : dressed(dice, name);
}

std::string event(Dice& dice) {
  static const std::string kEvents[] = {"add",
                                        "change",
                                        "remove",
                                        "bind",
                                        "unbind",
                                        "online",
                                        "move",
                                        "addx",
                                        "ADD",
                                        "offline",
                                        "add 12345678-1234-1234-1234-123456789abc",
                                        "change 12345678-1234-1234-1234-123456789abc A=1 B=2",
                                        "change 12345678-1234-1234-1234-123456789abc A=1 B",
                                        "change 12345678-1234-1234-1234-12345678",
                                        "change xyz"};
  return dice.once_in(10) ? hostile(dice) : dressed(dice, dice.pick(kEvents));
}

Operation on_platform(Dice& dice) {
  const std::string name =
      dice.once_in(8) ? hostile(dice) : dressed(dice, std::string(kPlatformDevice));
  switch (dice.roll(5)) {
    case 0:
      return write("bus/platform/drivers/tdplat/bind", name);
    case 1:
      return write("bus/platform/drivers/tdplat/unbind", name);
    case 2:
      return write("bus/platform/drivers_probe", name);
    case 3:
      return write("bus/platform/devices/anybind-test.0/uevent", event(dice));
    default:
      return write("bus/platform/devices/anybind-test.0/driver_override", override_name(dice));
  }
}

Operation probes(Dice& dice) {
  static const int kResults[] = {0, 0, 0, 0, ENODEV, EIO, kDefer, kDefer, ENXIO, ENOMEM, EBUSY};
  return {
      .kind = Kind::kProbes, .driver = dice.roll(kTestDriverCount), .result = dice.pick(kResults)};
}

Operation on_functions(Dice& dice, const Targets& targets) {
  static const std::string kCounts[] = {"0", "1", "2", "0\n", "2\n", "3", "99", "-1", "0x2", "two"};
  if (targets.physical.empty()) return write(device_dir(dice, targets) + "/uevent", event(dice));
  const std::string dir = "bus/pci/devices/" + dice.pick(targets.physical);
  if (dice.once_in(5)) return write(dir + "/sriov_drivers_autoprobe", flag(dice));
  if (dice.once_in(5)) return write("module/vfio_pci/parameters/enable_sriov", flag(dice));
  return write(dir + "/sriov_numvfs", dice.once_in(10) ? hostile(dice) : dice.pick(kCounts));
}

Operation on_hardware(Dice& dice, const Targets& targets) {
  static const std::string kPower[] = {"on", "auto", "on\n", "auto\n", "off", "on ", "\n"};
  const std::string dir = device_dir(dice, targets);
  if (dice.once_in(2)) return write(dir + "/reset", flag(dice));
  return write(dir + "/power/control", dice.once_in(8) ? hostile(dice) : dice.pick(kPower));
}

/// VFIO asks for a token before it opens a virtual function that it has made itself.
Operation hold(Dice& dice, const Targets& targets, const std::string& function) {
  const bool opens = dice.once_in(3) && !targets.virtual_functions.contains(function);
  return {.kind = Kind::kHold, .path = function, .bytes = opens ? Operation::kOpen : ""};
}

Operation plug(const std::string& slot) {
  return {.kind = Kind::kPlug, .path = slot};
}

Operation unplug(Dice& dice, const std::string& slot) {
  return {.kind = Kind::kUnplug, .path = slot, .bytes = dice.once_in(4) ? Operation::kByPower : ""};
}

Operation on_slots(Dice& dice, const Targets& targets) {
  if (targets.cards.empty()) return hold(dice, targets, dice.pick(targets.functions));
  const std::string& slot = dice.pick(targets.cards).slot;
  return dice.once_in(2) ? plug(slot) : unplug(dice, slot);
}

/// "0000:01": who shares its bus, and behind a bridge that isolates nothing its group.
std::string bus_of(const std::string& function) {
  return function.substr(0, function.rfind(':'));
}

}  // namespace

std::uint64_t Dice::next() {  // splitmix64 (Steele, Lea and Flood 2014)
  state_ += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

std::string Operation::shell() const {
  switch (kind) {
    case Kind::kWrite:
      return fmt::format("printf '{}' > '/sys/{}'", for_printf(bytes), path);
    case Kind::kLoad:
      return fmt::format("modprobe {} {}", kTestModule, bytes);
    case Kind::kUnload:
      return fmt::format("rmmod {}", kTestModule);
    case Kind::kHold:
      if (path.empty()) return "# user space lets go of the group that it has";
      return fmt::format(
          "# user space lets go of the group that it has, and takes that of {}, by "
          "VFIO_GROUP_SET_CONTAINER{}",
          path, bytes == kOpen ? "; and opens it" : "");
    case Kind::kPlug:
      return fmt::format("# the card of slot {} is plugged in", path);
    case Kind::kUnplug:
      return bytes == kByPower ? fmt::format(
                                     "for s in /sys/bus/pci/slots/*; do [ $(cat $s/address) = {} ] "
                                     "&& echo 0 > $s/power; done",
                                     path)
                               : fmt::format("# the card of slot {} is taken out", path);
    case Kind::kProbes:
      break;
  }
  return fmt::format("# the probe of {} now returns {}", kTestDrivers[driver], -result);
}

/// A VFIO driver for one function, and none for the others of its bus; then its group is taken, and
/// others come.
void Operations::plan_a_holder() {
  const std::string function = dice_.pick(targets_.functions);
  const std::string bus = bus_of(function);
  for (const std::string& each : targets_.functions) {
    if (bus_of(each) == bus && bus != "0000:00")
      planned_.push_back(write("bus/pci/devices/" + each + "/driver/unbind", each));
  }
  const std::string dir = "bus/pci/devices/" + function;
  planned_.push_back(write(dir + "/driver_override", "vfio-pci"));
  planned_.push_back(write(dir + "/driver/unbind", function));
  planned_.push_back(write("bus/pci/drivers/vfio-pci/bind", function));
  planned_.push_back(hold(dice_, targets_, function));
  for (std::size_t times = 1 + dice_.roll(4); times > 0; --times) {
    const std::string other = dice_.pick(targets_.functions);
    if (bus_of(other) == bus || dice_.once_in(3)) plan_who_comes(other);
  }
}

void Operations::plan_who_comes(const std::string& function) {
  const std::string dir = "bus/pci/devices/" + function;
  const std::string slot = function.substr(0, function.rfind('.'));
  switch (dice_.roll(6)) {
    case 0:
      planned_.push_back(write(dir + "/driver_override", dice_.once_in(2) ? "td0" : "pci-stub"));
      [[fallthrough]];
    case 1:
      planned_.push_back(write("bus/pci/drivers_probe", function));
      return;
    case 2:
      planned_.push_back(write("bus/pci/drivers/td1/bind", function));
      return;
    case 3:
      break;
    default:
      if (std::ranges::find(targets_.cards, slot, &Card::slot) == targets_.cards.end()) break;
      planned_.push_back(unplug(dice_, slot));
      planned_.push_back(plug(slot));
      return;
  }
  planned_.push_back(write(dir + "/remove", "1"));
  planned_.push_back(write("bus/pci/rescan", "1"));
}

Operation Operations::any() {
  Dice& dice = dice_;
  const Targets& targets = targets_;
  const std::size_t what = dice.roll(100);
  if (what < 16) return write(driver_dir(dice) + "/bind", function(dice, targets));
  if (what < 30) return write(driver_dir(dice) + "/unbind", function(dice, targets));
  if (what < 38) return write("bus/pci/drivers_probe", function(dice, targets));
  if (what < 54) return write(device_dir(dice, targets) + "/driver_override", override_name(dice));
  if (what < 58) return write("bus/pci/drivers_autoprobe", flag(dice));
  if (what < 66) return write(driver_dir(dice) + "/new_id", id(dice));
  if (what < 72) return write(driver_dir(dice) + "/remove_id", id(dice));
  if (what < 76) return write(device_dir(dice, targets) + "/remove", flag(dice));
  if (what < 79) return write("bus/pci/rescan", flag(dice));
  if (what < 80) return write(device_dir(dice, targets) + "/rescan", flag(dice));
  if (what < 82) return write(device_dir(dice, targets) + "/uevent", event(dice));
  if (what < 83) return on_hardware(dice, targets);
  if (what < 84) return write(driver_dir(dice) + "/uevent", event(dice));
  if (what < 89) return on_platform(dice);
  if (what < 92) return probes(dice);
  if (what < 93) return hold(dice, targets, dice.once_in(4) ? "" : dice.pick(targets.functions));
  if (what < 94) return on_slots(dice, targets);
  if (what < 98) return on_functions(dice, targets);
  if (dice.once_in(4)) return {.kind = Kind::kUnload};
  return {.kind = Kind::kLoad, .bytes = dice.once_in(3) ? "async=0,0,1,0" : ""};
}

Operation Operations::next() {
  if (planned_.empty() && dice_.once_in(40)) plan_a_holder();
  if (planned_.empty() || dice_.once_in(3)) return any();
  Operation out = std::move(planned_.front());
  planned_.pop_front();
  return out;
}

}  // namespace anybind::conformance
