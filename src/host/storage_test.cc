#include "host/storage.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace anybind {
namespace {

namespace fs = std::filesystem;

class StorageTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "anybind-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
  }
  void TearDown() override { fs::remove_all(base_); }
  fs::path base_;
};

TEST_F(StorageTest, ReadingTouchesNothing) {
  const auto storage = open_storage(base_ / "state");
  EXPECT_EQ(storage->read("x").value(), std::nullopt);
  EXPECT_FALSE(fs::exists(base_ / "state"));
}

TEST_F(StorageTest, ReplacesAWholeFile) {
  const auto storage = open_storage(base_ / "state");
  ASSERT_TRUE(storage->replace("x", "a long first text"));
  ASSERT_TRUE(storage->replace("x", "two"));
  EXPECT_EQ(storage->read("x").value(), "two");
  EXPECT_FALSE(fs::exists(base_ / "state/x.new"));
  EXPECT_EQ(fs::status(base_ / "state").permissions(), fs::perms::owner_all);
  ASSERT_TRUE(storage->remove("x"));
  ASSERT_TRUE(storage->remove("x"));
  EXPECT_EQ(storage->read("x").value(), std::nullopt);
}

TEST_F(StorageTest, FollowsNoLink) {
  const auto storage = open_storage(base_ / "state");
  ASSERT_TRUE(storage->replace("x", "1"));
  std::ofstream(base_ / "victim") << "untouched";
  fs::create_symlink(base_ / "victim", base_ / "state/x.new");
  EXPECT_EQ(storage->replace("x", "2").error().value, ELOOP);
  EXPECT_EQ(storage->read("x").value(), "1");
  EXPECT_EQ(fs::file_size(base_ / "victim"), 9U);
}

TEST_F(StorageTest, ADirectoryThatCannotBeMadeIsAnError) {
  std::ofstream(base_ / "file") << "";
  EXPECT_EQ(open_storage(base_ / "file")->replace("x", "1").error().value, ENOTDIR);
  EXPECT_FALSE(open_storage(base_ / "no/such")->lock());
}

TEST_F(StorageTest, LockIsFreeAgainWhenItsHolderIsGone) {
  {
    const auto first = open_storage(base_ / "state");
    ASSERT_TRUE(first->lock());
  }
  EXPECT_TRUE(open_storage(base_ / "state")->lock());
}

TEST_F(StorageTest, MemoryKeepsWhatIsWritten) {
  const auto storage = memory_storage();
  EXPECT_EQ(storage->read("x").value(), std::nullopt);
  ASSERT_TRUE(storage->replace("x", "1"));
  EXPECT_EQ(storage->read("x").value(), "1");
  ASSERT_TRUE(storage->remove("x"));
  EXPECT_EQ(storage->read("x").value(), std::nullopt);
}

}  // namespace
}  // namespace anybind
