#include "host/storage.h"

#include "host/memory_storage.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>

namespace anybind {
namespace {

namespace fs = std::filesystem;

const Storage::Wait kNever = [](const std::string&) { return false; };

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
  EXPECT_FALSE(open_storage(base_ / "no/such")->lock("me", kNever));
}

TEST_F(StorageTest, WhatOthersMayWriteIsNotTrusted) {
  fs::create_directory(base_ / "state");
  for (const auto mode : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(base_ / "state", fs::perms::owner_all | mode);
    const auto storage = open_storage(base_ / "state");
    const auto usable = storage->usable();
    ASSERT_FALSE(usable);
    EXPECT_EQ(usable.error().code, Code::kNotPermitted);
    EXPECT_FALSE(usable.error().next.empty());
    EXPECT_EQ(storage->replace("x", "1").error().value, EPERM);
    EXPECT_EQ(storage->read("x").error().value, EPERM);
    EXPECT_EQ(storage->lock("me", kNever).error().value, EPERM);
  }
  fs::permissions(base_ / "state", fs::perms::owner_all);
  const auto storage = open_storage(base_ / "state");
  ASSERT_TRUE(storage->replace("lock", "1"));
  EXPECT_TRUE(storage->usable());
  fs::permissions(base_ / "state/lock", fs::perms::owner_all | fs::perms::others_write);
  EXPECT_FALSE(storage->usable());
  EXPECT_EQ(storage->read("lock").error().value, EPERM);
}

TEST_F(StorageTest, AFifoIsNotWaitedFor) {
  const auto storage = open_storage(base_ / "state");
  ASSERT_TRUE(storage->replace("x", "1"));
  ASSERT_EQ(::mkfifo((base_ / "state/lock").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((base_ / "state/origins.json").c_str(), 0600), 0);
  EXPECT_FALSE(storage->usable());
  EXPECT_EQ(storage->read("origins.json").error().value, EPERM);
  EXPECT_FALSE(storage->lock("me", kNever));
  EXPECT_FALSE(storage->open_log("origins.json"));
}

TEST_F(StorageTest, TheDirectoryIsHeld) {
  const auto storage = open_storage(base_ / "state");
  ASSERT_TRUE(storage->replace("x", "1"));
  fs::rename(base_ / "state", base_ / "moved");
  fs::create_directory(base_ / "state");
  ASSERT_TRUE(storage->replace("x", "2"));
  EXPECT_TRUE(fs::is_empty(base_ / "state"));
  EXPECT_EQ(open_storage(base_ / "moved")->read("x").value(), "2");
}

TEST_F(StorageTest, WhatCannotBeWrittenLeavesNothing) {
  const auto storage = open_storage(base_ / "state");
  ASSERT_TRUE(storage->replace("x", "1"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto replaced = storage->replace("x", "too long");
  const auto created = storage->create("y", "too long");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(replaced);
  EXPECT_FALSE(created);
  EXPECT_EQ(storage->list().value(), std::vector<std::string>{"x"});
  EXPECT_EQ(storage->read("x").value(), "1");
}

TEST_F(StorageTest, LockIsFreeAgainWhenItsHolderIsGone) {
  {
    const auto first = open_storage(base_ / "state");
    ASSERT_TRUE(first->lock("1 first", kNever));
  }
  EXPECT_TRUE(open_storage(base_ / "state")->lock("2 second", kNever));
}

TEST_F(StorageTest, ALockThatIsTakenNamesItsOwner) {
  const auto first = open_storage(base_ / "state");
  ASSERT_TRUE(first->lock("17 anybind bind x", kNever));
  std::string owner;
  int asked = 0;
  const auto second = open_storage(base_ / "state")->lock("18 other", [&](const std::string& who) {
    owner = who;
    return ++asked < 3;
  });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().value, EWOULDBLOCK);
  EXPECT_EQ(owner, "17 anybind bind x");
  EXPECT_EQ(asked, 3);
}

TEST_F(StorageTest, ALogGrowsAndIsRenamed) {
  const auto storage = open_storage(base_ / "state");
  {
    const auto log = storage->create("7.open", "head\n");
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->append("one\n"));
  }
  EXPECT_EQ(storage->create("7.open", "other").error().value, EEXIST);
  ASSERT_TRUE((*storage->open_log("7.open"))->append("two\n"));
  ASSERT_TRUE(storage->rename("7.open", "7.done"));
  EXPECT_EQ(storage->read("7.done").value(), "head\none\ntwo\n");
  EXPECT_EQ(storage->list().value(), std::vector<std::string>{"7.done"});
  EXPECT_EQ(storage->open_log("7.open").error().value, ENOENT);
}

TEST_F(StorageTest, MemoryLosesWhatIsNotSynced) {
  MemoryStorage storage;
  const auto log = storage.create("x", "head ");
  ASSERT_TRUE((*log)->append("tail"));
  storage.lose_unsynced(2);
  EXPECT_EQ(storage.read("x").value(), "head ta");
  storage.lose_unsynced();
  EXPECT_EQ(storage.read("x").value(), "head ta");
  ASSERT_TRUE(storage.remove("x"));
  storage.lose_unsynced();
  EXPECT_EQ(storage.read("x").value(), "head ta") << "a removal is not synced";
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
