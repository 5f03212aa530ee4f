#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "host/descriptor.h"
#include "host/posix_sysfs.h"

namespace anybind {
namespace {

using std::chrono::milliseconds;

/// Sysfs::write_patiently over files of a temporary directory. A pipe that is full is a write that
/// waits.
class PatientWrite : public testing::Test {
 protected:
  PatientWrite() {
    std::string pattern = std::filesystem::temp_directory_path() / "anybind-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    std::filesystem::create_directories(base_ / "bus");
    auto opened = open_sysfs(base_);
    EXPECT_TRUE(opened);
    if (opened) sysfs_ = *std::move(opened);
  }
  ~PatientWrite() override { std::filesystem::remove_all(base_); }

  void file(const std::string& name) { std::ofstream(base_ / name).close(); }
  std::string text(const std::string& name) {
    std::stringstream out;
    out << std::ifstream(base_ / name).rdbuf();
    return out.str();
  }
  Reply<std::size_t> write(const std::string& name, const std::string& bytes,
                           milliseconds limit = std::chrono::seconds(20)) {
    return sysfs_->write_patiently(name, bytes, {.limit = limit}, abandoned_);
  }

  std::filesystem::path base_;
  std::unique_ptr<Sysfs> sysfs_;
  Abandoned abandoned_;
};

TEST_F(PatientWrite, WritesAndAnswersLikeAWrite) {
  file("a");
  for (const char* bytes : {"one", "two", "three"}) {
    const auto count = write("a", bytes);
    ASSERT_TRUE(count) << count.error().name();
    EXPECT_EQ(*count, std::string(bytes).size());
    EXPECT_TRUE(text("a").starts_with(bytes));
  }
  EXPECT_EQ(abandoned_.pid, 0);
}

TEST_F(PatientWrite, WhatIsNotThereIsAnError) {
  EXPECT_EQ(write("none", "x").error().value, ENOENT);
  EXPECT_EQ(write("bus", "x").error().value, EISDIR);
  EXPECT_EQ(abandoned_.pid, 0);
}

TEST_F(PatientWrite, AThreadHasItsOwn) {
  constexpr int kThreads = 8;
  constexpr int kWrites = 20;
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      const std::string name = "file" + std::to_string(i);
      file(name);
      threads.emplace_back([this, name, i, &good] {
        Abandoned abandoned;
        for (int n = 0; n < kWrites; ++n) {
          const auto done = sysfs_->write_patiently(name, std::to_string(i * 1000 + n),
                                                    {.limit = std::chrono::seconds(20)}, abandoned);
          if (done && abandoned.pid == 0) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, kThreads * kWrites);
  for (int i = 0; i < kThreads; ++i) {
    EXPECT_TRUE(
        text("file" + std::to_string(i)).starts_with(std::to_string(i * 1000 + kWrites - 1)));
  }
}

}  // namespace
}  // namespace anybind
