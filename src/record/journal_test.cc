#include "record/journal.h"

#include <gtest/gtest.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "host/memory_storage.h"

namespace anybind {
namespace {

Plan one_device() {
  return {.settings = {},
          .devices = {{.device = {.bus = BusName::literal("pci"),
                                  .name = DeviceName::literal("0000:03:00.0")},
                       .instance = {.device = 1, .inode = 2},
                       .before = {.driver = DriverName::literal("igc"), .has_override = true},
                       .goal = {.driver = DriverName::literal("vfio-pci")},
                       .steps = {}}},
          .notes = {}};
}

Journal journal_of(Storage& storage) {
  return Journal::load(storage, "boot", "bind", 7).value();
}

TEST(JournalTest, NumbersAreNotUsedAgain) {
  MemoryStorage storage;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    Journal journal = journal_of(storage);
    ASSERT_TRUE(journal.begin(one_device(), {true}));
    EXPECT_EQ(journal.current(), id);
    ASSERT_TRUE(journal.close(Ending::kDone));
  }
  ASSERT_TRUE(journal_of(storage).begin(one_device(), {true}));
  Journal beside = journal_of(storage);
  ASSERT_TRUE(beside.begin(one_device(), {true}));
  EXPECT_EQ(beside.open(), (std::vector<std::uint64_t>{4, 5}));
}

TEST(JournalTest, SoManyClosedOnesAreKeptTheNewest) {
  MemoryStorage storage;
  for (std::uint64_t i = 0; i < Journal::kKept + 2; ++i) {
    Journal journal = journal_of(storage);
    ASSERT_TRUE(journal.begin(one_device(), {true}));
    ASSERT_TRUE(journal.close(Ending::kUndone));
  }
  EXPECT_EQ(storage.files().size(), Journal::kKept);
  const Journal journal = journal_of(storage);
  EXPECT_EQ(journal.closed().front(), 3U);
  EXPECT_EQ(journal.closed().back(), Journal::kKept + 2);
}

/// Whose files cannot be renamed.
class NoRename final : public MemoryStorage {
 public:
  Reply<void> rename(std::string_view /*from*/, std::string_view /*to*/) override {
    return std::unexpected(Errno{EIO});
  }
};

TEST(JournalTest, OneThatCannotBeClosedStillTellsHowItEnded) {
  NoRename storage;
  Journal journal = journal_of(storage);
  ASSERT_TRUE(journal.begin(one_device(), {true}));
  const auto closed = journal.close(Ending::kDone);
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().kind, ErrorKind::kIncomplete);
  const auto entry = journal_of(storage).read(1);
  ASSERT_TRUE(entry && *entry);
  EXPECT_EQ((*entry)->ending, Ending::kDone);
}

TEST(JournalTest, OneOfALaterVersionIsNotGuessedAt) {
  MemoryStorage storage;
  ASSERT_TRUE(journal_of(storage).begin(one_device(), {true}));
  std::string text = storage.read("journal-1.open").value().value();
  ASSERT_TRUE(journal_of(storage).read(1));
  text = text.substr(text.find('{'), text.find('\n') - text.find('{'));
  const std::string version = R"({"version":1,)";
  ASSERT_TRUE(text.starts_with(version));
  text.replace(0, version.size(), R"({"version":2,)");
  ASSERT_TRUE(storage.replace("journal-1.open", fmt::format("{:016x} {}\n", fnv1a(text), text)));
  const auto entry = journal_of(storage).read(1);
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().kind, ErrorKind::kIncomplete);
  EXPECT_NE(entry.error().why.find("version 2"), std::string::npos) << entry.error().why;
}

TEST(JournalTest, ADamagedLineDoesNotHideWhatComesAfterIt) {
  MemoryStorage storage;
  Journal journal = journal_of(storage);
  ASSERT_TRUE(journal.begin(one_device(), {true}));
  ASSERT_TRUE((*storage.open_log("journal-1.open"))->append("0123456789abcdef {\"done\":0}\n"));
  journal.rolling_back("because");
  const auto entry = journal_of(storage).read(1);
  ASSERT_TRUE(entry && *entry);
  EXPECT_FALSE((*entry)->devices.at(0).done);
  EXPECT_TRUE((*entry)->rolling_back);
}

}  // namespace
}  // namespace anybind
