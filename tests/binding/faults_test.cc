// The promise of a transaction, put to the test: for every verb, on several machines, every
// operation on sysfs and on the journal is disturbed once, in every way. After each, `recover`;
// then all is as it was before the verb or as it asked, nothing is open, and `restore` still finds
// the way home.
#include <gmock/gmock.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "trial.h"

namespace anybind {
namespace {

/// All errnos that a read, a link, a directory or one of the files can answer with (kernel-facts 2,
/// 9); 512 is the kernel's own ERESTARTSYS, which leaks through `bind`.
constexpr std::array kErrnos = {EIO,    ENODEV, ENOENT, EBUSY,  EACCES, EPERM, EINVAL,
                                EAGAIN, ENOMEM, EINTR,  EMFILE, ENOSPC, ENXIO, 512};

class Faults : public testing::TestWithParam<Case> {
 protected:
  void for_each_verb(const std::function<bool(Trial&, const Verb&)>& body) {
    const State machine = read_machine(GetParam().machine, GetParam().profile);
    std::size_t cases = 0;
    for (const Verb& verb : verbs_of(GetParam())) {
      Trial trial(machine, GetParam(), verb);
      const bool good = body(trial, verb);
      cases += trial.cases;
      if (!good) return;
    }
    const auto& mechanism = GetParam().mechanism;
    std::printf("%s%s%s: %zu cases\n", GetParam().machine.c_str(), mechanism ? ", " : "",
                mechanism ? std::string(name_of(*mechanism)).c_str() : "", cases);
    EXPECT_GT(cases, GetParam().least);
  }
};

TEST_P(Faults, AnyErrorOfAnyOperationLeavesAllOrNothing) {
  for_each_verb([](Trial& trial, const Verb&) {
    for (const int error : kErrnos) {
      for (const bool after : {false, true}) {
        if (!trial.at_every_operation({.kind = Kind::kError, .after = after, .err = {error}}))
          return false;
      }
    }
    return true;
  });
}

TEST_P(Faults, WhenNothingWorksAnyMoreRecoverPutsItRightLater) {
  for_each_verb([](Trial& trial, const Verb&) {
    return trial.at_every_operation({.kind = Kind::kError, .lasting = true, .err = {EIO}}) &&
           trial.at_every_operation(
               {.kind = Kind::kError, .after = true, .lasting = true, .err = {ENOSPC}});
  });
}

TEST_P(Faults, ADeathAtAnyMomentLeavesAllOrNothing) {
  for_each_verb([](Trial& trial, const Verb&) {
    for (const bool after : {false, true}) {
      for (const std::size_t kept : {std::size_t{0}, std::size_t{9}, std::size_t{1} << 20}) {
        trial.kept = kept;
        if (!trial.at_every_operation({.kind = Kind::kCrash, .after = after})) return false;
      }
    }
    return true;
  });
}

TEST_P(Faults, RecoverMayDieTooAndIsCalledAgain) {
  for_each_verb([](Trial& trial, const Verb&) { return trial.dying_twice(); });
}

TEST_P(Faults, AnyErrorInRecoverIsToldAndMovesNothingForward) {
  for_each_verb([](Trial& trial, const Verb&) {
    for (const int error : {EIO, EINVAL, EROFS, ENOSPC}) {
      if (!trial.disturbed_in_recover({.kind = Kind::kError, .err = {error}})) return false;
    }
    return trial.disturbed_in_recover({.kind = Kind::kError, .after = true, .err = {EIO}}) &&
           trial.disturbed_in_recover({.kind = Kind::kError, .lasting = true, .err = {ENOSPC}});
  });
}

TEST_P(Faults, AnErrorWhileRollingBackLeavesAllOrNothingOrSaysSo) {
  for_each_verb([](Trial& trial, const Verb&) {
    for (const int error : {EIO, EINVAL, ENOSPC}) {
      if (!trial.failing_twice({.kind = Kind::kError, .err = {error}})) return false;
    }
    return true;
  });
}

TEST_P(Faults, ACardThatIsUnpluggedTakesNothingWithIt) {
  for_each_verb([](Trial& trial, const Verb& verb) {
    for (const DeviceId& card : verb.devices) {
      const auto prepare = [&](World& world, Disturbance& disturbance) {
        disturbance.act = [&] { EXPECT_TRUE(world.core.unplug(card.str())); };
      };
      if (!trial.at_every_operation({.kind = Kind::kAct}, prepare)) return false;
    }
    return true;
  });
}

TEST_P(Faults, AnotherCardAtTheSameAddressIsTheBussOwn) {
  for_each_verb([](Trial& trial, const Verb& verb) {
    for (const DeviceId& card : verb.devices) {
      const auto prepare = [&](World& world, Disturbance& disturbance) {
        disturbance.act = [&] {
          EXPECT_TRUE(world.core.unplug(card.str()));
          EXPECT_TRUE(world.core.hot_add(card.str()));
        };
      };
      if (!trial.at_every_operation({.kind = Kind::kAct}, prepare)) return false;
    }
    return true;
  });
}

TEST_P(Faults, ACardThatIsPluggedInIsTheBussOwn) {
  for_each_verb([&](Trial& trial, const Verb&) {
    const auto prepare = [&](World& world, Disturbance& disturbance) {
      disturbance.act = [&] { EXPECT_TRUE(world.core.hot_add(GetParam().newcomer.str())); };
    };
    return trial.at_every_operation({.kind = Kind::kAct}, prepare);
  });
}

INSTANTIATE_TEST_SUITE_P(Machines, Faults,
                         testing::Values(Case{.machine = "tests/binding/machine.toml",
                                              .devices = {kNicA, kGpu, kDisk},
                                              .pf = std::nullopt,
                                              .newcomer = pci("0000:07:00.0"),
                                              .default_driver = "igc"},
                                         Case{.machine = "examples/workstation.toml",
                                              .devices = {pci("0000:06:00.0"), pci("0000:03:00.0")},
                                              .pf = std::nullopt,
                                              .newcomer = pci("0000:0b:00.0"),
                                              .default_driver = "igb"},
                                         Case{.machine = "examples/server.toml",
                                              .devices = {pci("0000:04:00.1"), pci("0000:3d:00.0")},
                                              .pf = pci("0000:18:00.0"),
                                              .newcomer = pci("0000:48:00.0"),
                                              .default_driver = "nvme"}),
                         [](const auto& machine) {
                           const std::string& file = machine.param.machine;
                           const auto slash = file.rfind('/');
                           return file.substr(slash + 1, file.rfind('.') - slash - 1);
                         });

/// A network card of the workstation; that of its type which is in the drawer registers for the
/// host driver first.
Case by(Mechanism mechanism, const std::string& profile) {
  const bool has_id = mechanism == Mechanism::kNewId || mechanism == Mechanism::kNewIdWindow;
  return {.machine = "examples/workstation.toml",
          .devices = {pci("0000:06:00.0")},
          .pf = std::nullopt,
          .newcomer = pci("0000:0b:00.0"),
          .default_driver = "igb",
          .profile = profile,
          .mechanism = mechanism,
          .least = 30,
          .takes_others = has_id};
}

DeviceId on(const std::string& bus, const std::string& name) {
  return {.bus = BusName::literal(bus), .name = DeviceName::literal(name)};
}

/// On a bus without driver_override.
Case on_bus(Mechanism mechanism, const DeviceId& device, const DeviceId& newcomer,
            const std::string& host, const std::string& target, const std::string& profile = "") {
  return {.machine = "tests/binding/buses.toml",
          .devices = {device},
          .pf = std::nullopt,
          .newcomer = newcomer,
          .default_driver = host,
          .profile = profile,
          .mechanism = mechanism,
          .target = target,
          .least = 30,
          .takes_others = mechanism == Mechanism::kNewId || mechanism == Mechanism::kNewIdWindow};
}

INSTANTIATE_TEST_SUITE_P(
    Mechanisms, Faults,
    testing::Values(
        by(Mechanism::kPreferredDriver, "preferred-driver"),
        by(Mechanism::kSysfsBindOnly, "sysfs-bind-only"), by(Mechanism::kVfioBind, "vfio-bind"),
        by(Mechanism::kDriverProbeId, "driver-probe-id"),
        by(Mechanism::kAutoprobeFlag, "autoprobe-flag"), by(Mechanism::kNewId, "linux-6.12"),
        by(Mechanism::kNewIdWindow, "linux-3.14"),
        on_bus(Mechanism::kNewId, on("usb", "1-1:1.0"), on("usb", "2-1:1.0"), "usbhid", "option"),
        on_bus(Mechanism::kNewIdWindow, on("usb", "1-1:1.0"), on("usb", "2-1:1.0"), "usbhid",
               "option"),
        on_bus(Mechanism::kBind, on("usb", "1-1:1.0"), on("usb", "2-1:1.0"), "usbhid", "usbmouse"),
        on_bus(Mechanism::kDrvctl, on("serio", "serio0"), on("serio", "serio1"), "atkbd",
               "serio_raw"),
        on_bus(Mechanism::kNewId, on("platform", "pcspkr"), on("platform", "pcspkr.1"), "pcspkr",
               "uio_pdrv_genirq", "platform-new-id")),
    [](const auto& each) {
      std::string name = each.param.devices.front().bus.str() + "_" + each.param.profile + "_" +
                         std::string(name_of(*each.param.mechanism));
      std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
      return name;
    });

}  // namespace
}  // namespace anybind
