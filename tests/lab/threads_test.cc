// The threads of a lab's server: its files, its control socket and its kernel's worker, all at
// once. Run with ThreadSanitizer too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "drivercore/file/machine.h"
#include "host/descriptor.h"
#include "lab/commands.h"
#include "lab/control.h"
#include "lab/fuse_server.h"
#include "lab/kernfs.h"
#include "lab/machine.h"

namespace anybind::lab {
namespace {

drivercore::State cards() {
  std::stringstream text;
  text << std::ifstream(ANYBIND_SOURCE_DIR "/tests/lab/steadfast.toml").rdbuf();
  auto state = drivercore::load_machine(text.str(), "steadfast.toml");
  EXPECT_TRUE(state);
  return state.value_or(drivercore::State{});
}

bool write_file(const std::string& path, const std::string& bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file.get() >= 0 && ::write(file.get(), bytes.data(), bytes.size()) > 0;
}

std::size_t entries_of(const std::string& path) {
  std::error_code ignored;
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(path, ignored), {}));
}

class Threads : public testing::Test {
 protected:
  Threads() {
    std::string pattern = std::filesystem::temp_directory_path() / "anybind-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    std::filesystem::create_directory(base_ / "sys");
    (void)::setenv("XDG_RUNTIME_DIR", base_.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  }
  ~Threads() override {
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }
  /// One that binds and unbinds a card of its own.
  void bind_again_and_again(int number) {
    const std::string pci = base_ / "sys/bus/pci";
    const std::string card = "0000:0" + std::to_string(number) + ":00.0";
    for (int i = 0; i < 10; ++i) {
      if (write_file(pci + "/drivers/igc/unbind", card)) ++done_;
      if (write_file(pci + "/devices/" + card + "/driver_override", "vfio-pci\n")) ++done_;
      if (write_file(pci + "/drivers/vfio-pci/bind", card)) ++done_;
      if (write_file(pci + "/drivers/vfio-pci/unbind", card)) ++done_;
      if (write_file(pci + "/devices/" + card + "/driver_override", "\n")) ++done_;
      if (write_file(pci + "/drivers/igc/bind", card)) ++done_;
    }
  }
  std::filesystem::path base_;
  std::atomic<int> done_ = 0;
};

TEST_F(Threads, FilesCommandsAndTheWorkerGoTogether) {
  // These live until the process ends, as in a lab: its threads use them to the last.
  auto& machine = *new Machine(cards());
  auto& files = *new Kernfs(machine, {.uid = ::geteuid(), .gid = ::getegid()});
  auto server = FuseServer::mount(files, base_ / "sys");
  if (!server) GTEST_SKIP() << server.error().message();
  std::thread running([&] { (*server)->run(); });
  auto control = ControlSocket::open("threads");
  ASSERT_TRUE(control) << control.error().message();
  ASSERT_TRUE(control->serve([&](const Words& words) { return run_command(machine, words); }));
  std::atomic<int> asked = 0;
  std::atomic<std::size_t> seen = 0;
  {
    std::vector<std::jthread> all;
    for (int number = 1; number <= 3; ++number)
      all.emplace_back([this, number] { bind_again_and_again(number); });
    all.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        if (ask_lab("threads", {"set", "probe-time", "vfio-pci", "1"})) ++asked;
        if (ask_lab("threads", {"remove", "0000:08:00.0"})) ++asked;
        if (ask_lab("threads", {"add", "0000:08:00.0"})) ++asked;
      }
    });
    all.emplace_back([&] {
      for (int i = 0; i < 50; ++i) seen += entries_of(base_ / "sys/bus/pci/devices");
    });
  }
  EXPECT_EQ(done_, 3 * 10 * 6);
  EXPECT_EQ(asked, 60);
  EXPECT_GE(seen, 50U * 8);
  if (::umount2((base_ / "sys").c_str(), MNT_DETACH) != 0) {
    const std::string command = "fusermount3 -u " + (base_ / "sys").string();
    ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT
  }
  (*server)->stop();
  running.join();
  (void)server->release();
}

}  // namespace
}  // namespace anybind::lab
