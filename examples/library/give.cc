// Gives a device to a driver through the library. usage: give DEVICE DRIVER
#include <anybind/anybind.h>
#include <cstdio>

using namespace anybind;

int complain(const Error& error) {  // the codes of the library are exit codes
  std::fprintf(stderr, "%s\n%s\n", error.message().c_str(), error.next.c_str());
  for (const auto& line : error.details) std::fprintf(stderr, "%s\n", line.c_str());
  if (error.code == Code::kRefused)
    std::fputs("nothing was touched: the device is in use, or its group is not ours\n", stderr);
  if (error.code == Code::kNotPermitted) std::fputs("root may do that\n", stderr);
  if (error.code == Code::kIncomplete) std::fputs("run `anybind recover`\n", stderr);
  return static_cast<int>(error.code);
}

int main(int argc, char** argv) {
  if (argc != 3) return complain({.code = Code::kUsage, .why = "usage: give DEVICE DRIVER"});
  const Proc proc("/proc");
  const auto storage = open_storage("/run/anybind");
  const auto sysfs = open_sysfs("/sys");
  if (!sysfs) return complain(sysfs.error());
  const auto devices = select_devices(**sysfs, argv[1], "/sys");
  if (!devices) return complain(devices.error());
  const auto driver = DriverName::parse(argv[2]);
  if (!driver) return complain(driver.error());
  auto memory =
      Memory::lock(*storage, boot_id(proc), "give", [](const std::string&) { return false; });
  if (!memory) return complain(memory.error());
  const auto plan = plan_bind(**sysfs, {.devices = *devices, .driver = *driver});
  if (!plan) return complain(plan.error());
  Listener quiet;
  RunOptions how{.proc = "/proc", .vfio = "/dev/vfio"};
  how.check_users = [&](const auto& losing) { return refuse_if_in_use(**sysfs, proc, losing, {}); };
  const auto done = run(**sysfs, *plan, {&memory->origins, &memory->journal}, quiet, how);
  if (!done) return complain(done.error());
  for (const Outcome& one : *done)
    std::printf("%s: %s\n", one.device.str().c_str(), one.changed ? "changed" : "was there");
}
