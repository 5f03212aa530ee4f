// Gives devices to a driver, or back to what they were. usage: give DEVICE... DRIVER|restore
#include <anybind/anybind.h>
#include <cstdio>

using namespace anybind;

int complain(const Error& error) {
  std::fprintf(stderr, "give: %s\n", error.message().c_str());
  for (const auto& line : error.details) std::fprintf(stderr, "  %s\n", line.plain().c_str());
  if (error.kind == ErrorKind::kRefused) return std::fputs("nothing was touched\n", stderr), 3;
  return error.kind == ErrorKind::kNotFound ? 6 : 1;
}

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: give DEVICE... DRIVER|restore\n", stderr), 2;
  auto machine = Machine::this_one("give");
  if (!machine) return complain(machine.error());
  const auto devices = machine->select({argv + 1, argv + argc - 1});
  if (!devices) return complain(devices.error());
  const std::string word = argv[argc - 1];
  const auto driver = DriverName::parse(word);
  if (!driver) return complain(driver.error());
  const auto done =
      word == "restore" ? machine->restore(*devices) : machine->bind(*devices, *driver);
  if (!done) return complain(done.error());
  for (const Outcome& one : *done)
    std::printf("%s: %s\n", one.device.str().c_str(), one.changed ? "changed" : "was there");
}
