// That looking drivers up gives what asking all of them gives.
#include <random>

#include <fmt/format.h>

#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

constexpr unsigned kModules = 40;

/// Drivers with ids that overlap, wildcards among them, and cards of all sorts.
std::string machine(std::mt19937& random) {
  const auto one_of = [&](std::initializer_list<const char*> words) {
    return *(words.begin() + random() % words.size());
  };
  std::string out = "driver = [\n";
  for (unsigned i = 0; i < kModules; ++i) {
    out += fmt::format(
        "{{ name = \"d{}\", ids = [\"1000:000{}\", \"{}\"], async = {}, probe = \"{}\" }},\n", i,
        random() % 4, one_of({"1000:*", "class:02", "*:*", "2000:0001", "*:0002"}),
        one_of({"true", "false", "false", "false"}),
        one_of({"ok", "ENODEV", "ENODEV", "EIO", "ENOMEM", "defer"}));
  }
  out +=
      "{ name = \"vfio-pci\", ids = [\"*:* override_only\"], needs_group = true },\n]\ndevice = "
      "[\n";
  for (unsigned i = 0; i < 24; ++i) {
    out += fmt::format(
        "{{ address = \"0000:00:{:02x}.0\", id = \"{}:000{}\", class = \"{}\", group = {} }},\n", i,
        one_of({"1000", "2000", "3000"}), random() % 4, one_of({"020000", "010802"}), i);
  }
  return out + "]\n";
}

struct Write {
  std::string path;
  std::string text;
};

Write next_write(std::mt19937& random) {
  const std::string driver = fmt::format("bus/pci/drivers/d{}/", random() % kModules);
  const std::string address = fmt::format("0000:00:{:02x}.0", random() % 24);
  const std::string device = "bus/pci/devices/" + address + "/";
  switch (random() % 8) {
    case 0:
      return {driver + "new_id", fmt::format("{}000 {}", 1 + random() % 3, random() % 4)};
    case 1:
      return {driver + "remove_id", fmt::format("{}000 {}", 1 + random() % 3, random() % 4)};
    case 2:
      return {device + "driver_override",
              random() % 2 == 0 ? "\n" : fmt::format("d{}", random() % kModules)};
    case 3:
      return {device + "remove", "1"};
    case 4:
      return {"bus/pci/rescan", "1"};
    case 5:
      return {driver + "bind", address};
    case 6:
      return {driver + "unbind", address};
    default:
      return {"bus/pci/drivers_probe", address};
  }
}

TEST(DriverLookup, ChangesNothingButTheCost) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const State state = load(machine(random));
    DriverCore quick(state);
    DriverCore plain(state);
    plain.walk_over_all_drivers();
    const auto of_quick = model_sysfs(quick);
    const auto of_plain = model_sysfs(plain);
    for (int i = 0; i < 300; ++i) {
      if (random() % 10 == 0) {
        const std::string module = fmt::format("d{}", random() % kModules);
        const bool unload = random() % 2 == 0;
        ASSERT_EQ(unload ? quick.unload_module(module) : quick.load_module(module),
                  unload ? plain.unload_module(module) : plain.load_module(module));
      } else {
        const Write write = next_write(random);
        const auto answer = of_quick->write(write.path, write.text);
        const auto wanted = of_plain->write(write.path, write.text);
        ASSERT_EQ(answer ? 0 : answer.error().value, wanted ? 0 : wanted.error().value)
            << write.path << " " << write.text;
      }
      ASSERT_TRUE(quick.state() == plain.state()) << "seed " << seed << ", operation " << i;
    }
  }
}

TEST(DriverLookup, FindsDevicesByTheIdThatWasWrittenForThem) {
  std::mt19937 random(1);
  const std::string profile = "kernel = \"driver-probe-id\"\n";
  DriverCore core(load(profile + machine(random)));
  const auto sysfs = model_sysfs(core);
  const std::string device = "bus/pci/devices/0000:00:05.0/";
  ASSERT_TRUE(sysfs->write("bus/pci/drivers/d7/new_id", "beef 1"));
  ASSERT_TRUE(core.set_probe("d7", 0));
  (void)sysfs->write(device + "driver/unbind", "0000:00:05.0");
  ASSERT_TRUE(sysfs->write(device + "driver_probe_id", "beef 1"));
  // Wildcards may be faster; without them nobody else has this one.
  for (unsigned i = 0; i < kModules; ++i) {
    if (i != 7) core.set_probe(fmt::format("d{}", i), -ENODEV);
  }
  ASSERT_TRUE(sysfs->write("bus/pci/drivers_probe", "0000:00:05.0"));
  EXPECT_EQ(sysfs->read_link(device + "driver").value_or(""), "../../../bus/pci/drivers/d7");
}

}  // namespace
}  // namespace anybind::drivercore
