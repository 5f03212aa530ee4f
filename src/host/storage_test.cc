#include "host/storage.h"

#include "host/memory_storage.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

namespace {

/// Told of each descriptor that is synced; false: the disk reports an error.
std::function<bool(int)>& sync_listener() {
  static std::function<bool(int)> listener;
  return listener;
}

}  // namespace

/// In the place of libc's, for the whole program: that something was synced leaves no trace that a
/// test could look for afterwards.
extern "C" int fsync(int file) {
  if (sync_listener() && !sync_listener()(file)) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsync, file));
}

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
    EXPECT_EQ(usable.error().kind, ErrorKind::kNotPermitted);
    EXPECT_TRUE(usable.error().advice.names(Action::kStateDirectory));
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

TEST_F(StorageTest, WhatAnotherUserHasMadeIsNotTrusted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  constexpr uid_t kAnother = 65534;
  fs::create_directory(base_ / "state");
  fs::permissions(base_ / "state", fs::perms::owner_all);
  ASSERT_EQ(::chown((base_ / "state").c_str(), kAnother, 0), 0);
  EXPECT_FALSE(open_storage(base_ / "state")->usable());
  EXPECT_EQ(open_storage(base_ / "state")->replace("x", "1").error().value, EPERM);
  ASSERT_EQ(::chown((base_ / "state").c_str(), 0, 0), 0);
  ASSERT_TRUE(open_storage(base_ / "state")->replace("lock", "1"));
  ASSERT_EQ(::chown((base_ / "state/lock").c_str(), kAnother, 0), 0);
  EXPECT_FALSE(open_storage(base_ / "state")->usable());
  EXPECT_EQ(open_storage(base_ / "state")->read("lock").error().value, EPERM);
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

TEST_F(StorageTest, AFileThatCannotTakeItsNameLeavesNothing) {
  fs::create_directories(base_ / "state/x");
  fs::permissions(base_ / "state", fs::perms::owner_all);
  const auto storage = open_storage(base_ / "state");
  EXPECT_EQ(storage->replace("x", "1").error().value, EISDIR);
  EXPECT_EQ(storage->list().value(), std::vector<std::string>{"x"});
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
  ASSERT_TRUE(first->lock("anybind bind x", kNever));
  std::string owner;
  int asked = 0;
  const auto second = open_storage(base_ / "state")->lock("other", [&](const std::string& who) {
    owner = who;
    return ++asked < 3;
  });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().value, EWOULDBLOCK);
  EXPECT_EQ(owner, std::to_string(::getpid()) + " anybind bind x");
  EXPECT_EQ(asked, 3);
  first->unlock();
  EXPECT_TRUE(open_storage(base_ / "state")->lock("third", kNever)) << "it was given back";
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

/// What was synced, in order, and what it was called and held at that moment: a power cut keeps
/// that, and nothing else for certain.
class StorageSyncTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    storage_ = open_storage(base_ / "state");
    ASSERT_TRUE(storage_->replace("other", ""));
    sync_listener() = [this](int file) {
      const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(file));
      std::string what = path.filename();
      if (fs::is_directory(path)) {
        const auto names = storage_->list().value();
        for (const std::string& name : names) what += " " + name;
      } else {
        what += "=" + storage_->read(what).value().value_or("gone");
      }
      synced_.push_back(what);
      return synced_.size() != fails_at_;
    };
  }
  void TearDown() override {
    sync_listener() = nullptr;
    StorageTest::TearDown();
  }

  using Synced = std::vector<std::string>;
  std::unique_ptr<Storage> storage_;
  Synced synced_;
  std::size_t fails_at_ = 0;  ///< the first sync is 1
};

TEST_F(StorageSyncTest, ANewLogIsOnTheDiskAndInItsDirectory) {
  ASSERT_TRUE(storage_->create("7.open", "head"));
  EXPECT_EQ(synced_, (Synced{"7.open.new=head", "state 7.open other"}));
}

TEST_F(StorageSyncTest, ALogThatTheDiskRefusesIsNotThere) {
  for (const std::size_t at : {1U, 2U}) {
    synced_.clear();
    fails_at_ = at;
    const auto log = storage_->create("7.open", "head");
    ASSERT_FALSE(log) << at;
    EXPECT_EQ(log.error().value, EIO);
    EXPECT_EQ(storage_->read("7.open").value(), std::nullopt) << at;
  }
}

TEST_F(StorageSyncTest, AFileIsReplacedByOneThatIsOnTheDisk) {
  ASSERT_TRUE(storage_->replace("other", "new"));
  EXPECT_EQ(synced_, (Synced{"other.new=new", "state other"}));
}

TEST_F(StorageSyncTest, AFileIsNotReplacedByOneThatTheDiskRefuses) {
  fails_at_ = 1;
  EXPECT_EQ(storage_->replace("other", "new").error().value, EIO);
  EXPECT_EQ(storage_->read("other").value(), "");
  synced_.clear();
  fails_at_ = 2;
  EXPECT_EQ(storage_->replace("other", "new").error().value, EIO);
}

TEST_F(StorageSyncTest, AnotherNameIsInTheDirectory) {
  ASSERT_TRUE(storage_->rename("other", "done"));
  EXPECT_EQ(synced_, (Synced{"state done"}));
  synced_.clear();
  fails_at_ = 1;
  EXPECT_EQ(storage_->rename("done", "other").error().value, EIO);
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
