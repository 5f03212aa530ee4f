#include "host/posix_sysfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <future>
#include <stop_token>
#include <thread>

#include "host/descriptor.h"
#include "host/faulty_sysfs.h"
#include "host/tracing_sysfs.h"

namespace anybind {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

/// A small tree in a temporary directory, with a file outside of it that must never be reached.
class PosixSysfsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "anybind-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    fs::create_directories(base_ / "sys/devices/d0");
    fs::create_directories(base_ / "sys/bus/pci/devices");
    put("outside", "secret\n");
    put("sys/devices/d0/uevent", "A=1\n");
    fs::create_symlink("../../../devices/d0", base_ / "sys/bus/pci/devices/d0");
    auto opened = open_sysfs(base_ / "sys");
    ASSERT_TRUE(opened);
    sysfs_ = *std::move(opened);
  }
  void TearDown() override { fs::remove_all(base_); }

  void put(const std::string& path, std::string_view text) {
    std::ofstream(base_ / path, std::ios::binary) << text;
  }
  int read_error(std::string_view path) {
    const auto reply = sysfs_->read(path);
    return reply ? 0 : reply.error().value;
  }

  fs::path base_;
  std::unique_ptr<Sysfs> sysfs_;
};

TEST_F(PosixSysfsTest, ASysfsIsThisMachineByWhateverPath) {
  const std::string none = base_ / "none";
  for (const char* path : {"/sys", "/sys/", "/sys/.", "/sys/bus/..", "/proc/self/root/sys"}) {
    EXPECT_TRUE(is_of_this_machine(path, none)) << path;
  }
  fs::create_symlink("/sys", base_ / "link");
  EXPECT_TRUE(is_of_this_machine(base_ / "link", none));
}

TEST_F(PosixSysfsTest, WhatIsMountedAtSysIsThisMachineToo) {
  fs::create_symlink("sys", base_ / "link");
  for (const char* path : {"sys", "sys/", "sys/bus/..", "link"}) {
    EXPECT_TRUE(is_of_this_machine(base_ / path, base_ / "sys")) << path;
  }
}

TEST_F(PosixSysfsTest, AMadeUpTreeIsNotThisMachine) {
  EXPECT_FALSE(is_of_this_machine(base_ / "sys", "/sys"));
  EXPECT_FALSE(is_of_this_machine(base_ / "sys/bus", base_ / "sys"));
  EXPECT_FALSE(is_of_this_machine(base_ / "none", base_ / "none"));
  EXPECT_FALSE(is_of_this_machine("/proc", "/sys"));
}

TEST_F(PosixSysfsTest, ReadsThroughLinksInsideTheTree) {
  EXPECT_EQ(sysfs_->read("bus/pci/devices/d0/uevent"), "A=1\n");
  EXPECT_EQ(sysfs_->read_link("bus/pci/devices/d0"), "../../../devices/d0");
}

TEST_F(PosixSysfsTest, RenamesElsewhereDoNotDisturbAPathWithDots) {
  // A long way takes as long as a short one through FUSE.
  std::string path;
  for (int i = 0; i < 120; ++i) path += "bus/../";
  path += "devices/d0/uevent";
  fs::create_directory(base_ / "here");
  const std::jthread renamer([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      fs::rename(base_ / "here", base_ / "there");
      fs::rename(base_ / "there", base_ / "here");
    }
  });
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(read_error(path), 0) << i;
}

/// From now on somebody else answers for the kernel when this thread calls openat2: through this.
/// None where a thread may not have that.
Descriptor ask_of_openat2() {
  sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Descriptor();
  return Descriptor(static_cast<int>(
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program)));
}

/// What the kernel says when a rename or a mount came between, as of itself it does by chance only.
TEST_F(PosixSysfsTest, ACallThatShallBeMadeAgainIsMadeAgain) {
  constexpr int kRefused = 20;
  std::promise<Descriptor> asks;
  std::atomic<bool> done = false;
  int error = -1;
  const std::jthread reader([&] {
    asks.set_value(ask_of_openat2());
    error = read_error("bus/pci/../../devices/d0/uevent");
    done = true;
  });
  const Descriptor listener = asks.get_future().get();
  if (listener.get() < 0) GTEST_SKIP() << "nobody may answer for the kernel here";
  int asked = 0;
  while (!done) {
    pollfd ready{.fd = listener.get(), .events = POLLIN, .revents = 0};
    seccomp_notif call{};
    if (::poll(&ready, 1, 10) != 1 || ::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
      continue;
    const bool refuse = ++asked <= kRefused;
    seccomp_notif_resp answer{
        .id = call.id,
        .val = 0,
        .error = refuse ? -EAGAIN : 0,
        .flags = refuse ? 0U : static_cast<unsigned>(SECCOMP_USER_NOTIF_FLAG_CONTINUE)};
    EXPECT_EQ(::ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
  }
  EXPECT_EQ(error, 0);
  // The kernel itself says so too, when somebody renames a file anywhere meanwhile.
  EXPECT_GE(asked, kRefused + 1);
}

TEST_F(PosixSysfsTest, ReadsBackWhatItWrote) {
  put("sys/devices/d0/driver_override", "(null)\n");
  const auto dir = sysfs_->open_dir("devices/d0");
  ASSERT_TRUE(dir);
  Abandoned abandoned;
  EXPECT_EQ((*dir)->write_and_read_back("driver_override", "vfio-pci\n", {}, abandoned),
            "vfio-pci\n");
  const auto none = (*dir)->write_and_read_back("absent", "x", {}, abandoned);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().value, ENOENT);
  EXPECT_FALSE(fs::exists(base_ / "sys/devices/d0/absent"));
}

TEST_F(PosixSysfsTest, APatientWriteIsOneWrite) {
  put("sys/devices/d0/unbind", "");
  const auto dir = sysfs_->open_dir("devices/d0");
  ASSERT_TRUE(dir);
  Abandoned abandoned;
  EXPECT_EQ((*dir)->write_patiently("unbind", "d0", {}, abandoned), 2U);
  EXPECT_EQ((*dir)->read("unbind"), "d0");
  EXPECT_EQ((*dir)->write_patiently("unbind", "", {}, abandoned), 0U);
  EXPECT_EQ(abandoned.pid, 0);
  const auto none = (*dir)->write_patiently("absent", "x", {}, abandoned);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().value, ENOENT);
}

std::string locked_on(std::string_view release) {
  const LockedAttributes locked = locked_attributes(release);
  return std::string(locked.uevent ? "uevent " : "") +
         (locked.driver_override ? "driver_override " : "") +
         (locked.sriov_numvfs ? "sriov_numvfs" : "");
}

TEST(LockedAttributes, AreThoseOfTheKernel) {
  EXPECT_EQ(locked_on("6.1.0-42-amd64"), "uevent driver_override sriov_numvfs");
  EXPECT_EQ(locked_on("5.15.0"), "uevent driver_override sriov_numvfs");
  EXPECT_EQ(locked_on("6.12.90+deb13-amd64"), "uevent driver_override sriov_numvfs");
  EXPECT_EQ(locked_on("6.12.114"), "uevent sriov_numvfs");
  EXPECT_EQ(locked_on("6.12.117+deb12-amd64"), "sriov_numvfs");
  EXPECT_EQ(locked_on("6.14.3"), "uevent driver_override sriov_numvfs");
  EXPECT_EQ(locked_on("6.18.44-fc"), "driver_override sriov_numvfs");
  EXPECT_EQ(locked_on("7.0.13"), "driver_override sriov_numvfs");
  EXPECT_EQ(locked_on("7.1-rc2"), "sriov_numvfs");
  EXPECT_EQ(locked_on("7.3.4"), "sriov_numvfs");
}

TEST_F(PosixSysfsTest, NothingLeadsOutOfTheTree) {
  fs::create_symlink("../../outside", base_ / "sys/devices/up");
  fs::create_symlink(base_ / "outside", base_ / "sys/devices/absolute");
  fs::create_symlink("../..", base_ / "sys/devices/parent");
  const std::string outside = base_ / "outside";
  for (const std::string& path : {std::string("devices/up"), std::string("devices/absolute"),
                                  std::string("devices/parent/outside"), std::string("../outside"),
                                  std::string("devices/../../outside"), outside}) {
    EXPECT_EQ(read_error(path), EXDEV) << path;
    EXPECT_FALSE(sysfs_->write(path, "x")) << path;
  }
  EXPECT_FALSE(sysfs_->read_link("devices/parent/outside"));
  EXPECT_FALSE(sysfs_->list("devices/parent"));
  EXPECT_FALSE(sysfs_->open_dir(".."));
  EXPECT_FALSE(sysfs_->read(".."));
}

TEST_F(PosixSysfsTest, AHeldDirectoryDoesNotFollowALinkAsItsAttribute) {
  fs::create_symlink("../../../outside", base_ / "sys/devices/d0/name");
  const auto dir = sysfs_->open_dir("devices/d0");
  ASSERT_TRUE(dir);
  const auto reply = (*dir)->read("name");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().value, ELOOP);
}

TEST_F(PosixSysfsTest, LinksThatLoopAreEloop) {
  fs::create_symlink("loop2", base_ / "sys/devices/loop1");
  fs::create_symlink("loop1", base_ / "sys/devices/loop2");
  EXPECT_EQ(read_error("devices/loop1"), ELOOP);
}

TEST_F(PosixSysfsTest, TextIsBounded) {
  put("sys/devices/d0/page", std::string(4096, 'x'));
  put("sys/devices/d0/long", std::string(4097, 'x'));
  EXPECT_EQ(sysfs_->read("devices/d0/page")->size(), 4096U);
  EXPECT_EQ(read_error("devices/d0/long"), EFBIG);
  EXPECT_EQ(read_error(std::string(5000, 'a')), ENAMETOOLONG);
  EXPECT_EQ(read_error(std::string_view("devices\0x", 9)), EINVAL);
}

TEST_F(PosixSysfsTest, BinaryTextIsKept) {
  put("sys/devices/d0/bin", std::string_view("\0\xff\n\0", 4));
  EXPECT_EQ(sysfs_->read("devices/d0/bin"), std::string("\0\xff\n\0", 4));
}

TEST_F(PosixSysfsTest, AFifoDoesNotHoldUsUp) {
  ASSERT_EQ(::mkfifo((base_ / "sys/devices/d0/fifo").c_str(), 0600), 0);
  EXPECT_EQ(sysfs_->read("devices/d0/fifo"), "");
  EXPECT_EQ(sysfs_->write("devices/d0/fifo", "x").error().value, ENXIO);
}

TEST_F(PosixSysfsTest, WritesNeitherMakeNorEmptyAFile) {
  EXPECT_EQ(sysfs_->write("devices/d0/uevent", "B"), 1U);
  EXPECT_EQ(sysfs_->read("devices/d0/uevent"), "B=1\n");
  EXPECT_EQ(sysfs_->write("devices/d0/new", "x").error().value, ENOENT);
  EXPECT_FALSE(fs::exists(base_ / "sys/devices/d0/new"));
}

TEST_F(PosixSysfsTest, ListsNames) {
  EXPECT_THAT(sysfs_->list("").value(), UnorderedElementsAre("devices", "bus"));
  EXPECT_EQ(sysfs_->list("devices/d0/uevent").error().value, ENOTDIR);
  EXPECT_EQ(sysfs_->list("nosuch").error().value, ENOENT);
}

TEST_F(PosixSysfsTest, InstancesTellDirectoriesOfOneNameApart) {
  const auto before = (*sysfs_->open_dir("bus/pci/devices/d0"))->instance();
  EXPECT_EQ((*sysfs_->open_dir("devices/d0"))->instance(), before);
  fs::rename(base_ / "sys/devices/d0", base_ / "sys/devices/old");
  fs::create_directories(base_ / "sys/devices/d0");
  EXPECT_NE((*sysfs_->open_dir("devices/d0"))->instance(), before);
}

TEST_F(PosixSysfsTest, AHeldDirectoryStaysWithTheInstance) {
  const auto held = sysfs_->open_dir("bus/pci/devices/d0");
  ASSERT_TRUE(held);
  fs::remove_all(base_ / "sys/devices/d0");
  fs::create_directories(base_ / "sys/devices/d0");
  put("sys/devices/d0/uevent", "newcomer");
  EXPECT_EQ((*held)->read("uevent").error().value, ENOENT);
}

TEST_F(PosixSysfsTest, ARootThatIsNoDirectoryIsNotFound) {
  const auto opened = open_sysfs(base_ / "outside");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kNotFound);
}

TEST_F(PosixSysfsTest, TracingSeesEveryCallWithItsFullPath) {
  Trace trace;
  const auto traced = trace_sysfs(*sysfs_, trace);
  const auto dir = traced->open_dir("bus/pci/devices/d0");
  (void)(*dir)->read("uevent");
  (void)(*dir)->write("nosuch", "v\n");
  (void)traced->list("bus");
  std::vector<std::string> lines;
  for (const Operation& operation : trace) lines.push_back(operation.str());
  EXPECT_THAT(lines, ElementsAre("open bus/pci/devices/d0", "read bus/pci/devices/d0/uevent",
                                 "write bus/pci/devices/d0/nosuch v\\x0a = ENOENT", "list bus"));
}

TEST_F(PosixSysfsTest, AFaultHitsTheNthCall) {
  Fault fault{.fail_at = 2, .err = {EIO}};
  const auto faulty = faulty_sysfs(*sysfs_, fault);
  const auto dir = faulty->open_dir("devices/d0");
  ASSERT_TRUE(dir);
  EXPECT_EQ((*dir)->read("uevent").error().value, EIO);
  EXPECT_EQ((*dir)->read("uevent"), "A=1\n");
  EXPECT_EQ(fault.count, 3U);
}

TEST_F(PosixSysfsTest, AFaultCanComeAfterTheEffect) {
  Fault fault{.fail_at = 1, .err = {EINTR}, .only_writes = true, .after = true};
  const auto faulty = faulty_sysfs(*sysfs_, fault);
  EXPECT_TRUE(faulty->read("devices/d0/uevent"));
  EXPECT_EQ(faulty->write("devices/d0/uevent", "Z").error().value, EINTR);
  EXPECT_EQ(sysfs_->read("devices/d0/uevent"), "Z=1\n");
}

}  // namespace
}  // namespace anybind
