#include "policy/rule_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using FileState = RuleFile::State;

std::string rule_of(const std::string& name, const std::string& device = "0000:00:03.0",
                    const std::string& driver = "vfio-pci") {
  return "[[rule]]\nname = \"" + name + "\"\nmatch = { device = \"" + device + "\" }\ndriver = \"" +
         driver + "\"\n";
}

/// A machine whose root directory is a tree of the test; everything belongs to who runs it.
class RuleFilesTest : public testing::Test {
 protected:
  RuleFilesTest() {
    host_.files = Proc(root());
    host_.rules_dir = root() + "/etc/anybind.d";
    tree_.dir("root/etc");
  }
  void file(const std::string& path, const std::string& text, mode_t mode = 0644) {
    tree_.put("root/" + path, text);
    ::chmod((root() + "/" + path).c_str(), mode);
  }
  [[nodiscard]] std::string root() const { return tree_.root() + "/root"; }
  [[nodiscard]] std::string own(const std::string& name) const {
    return root() + "/etc/anybind.d/" + name;
  }
  static std::string text_in(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  [[nodiscard]] std::vector<RuleFile> list(Reader reader = Reader::kAnybody) const {
    const auto files = list_rule_files(host_, machine_, reader);
    EXPECT_TRUE(files) << files.error().message();
    return files.value_or(std::vector<RuleFile>{});
  }
  Result<> write(const std::string& name, const std::string& text, const std::string& expected) {
    const auto change = RuleFileChange::plan(host_, machine_, {name, text}, expected);
    if (!change) return fail(change.error());
    return change->carry_out();
  }
  [[nodiscard]] std::vector<std::string> names_there() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(root() + "/etc/anybind.d"))
      out.push_back(entry.path().filename());
    std::ranges::sort(out);
    return out;
  }

  TestTree tree_;
  Host host_{tree_.sysfs()};
  RuleSource machine_;
};

TEST_F(RuleFilesTest, EveryFileIsListedWithWhatBecomesOfIt) {
  EXPECT_THAT(list(), IsEmpty());
  file("etc/anybind.d/20-b.toml", "# mine");
  file("usr/lib/anybind.d/20-b.toml", "# package");
  file("usr/lib/anybind.d/30-c.toml", "# package");
  file("usr/lib/anybind.d/10-a.toml", "");
  tree_.link("root/etc/anybind.d/30-c.toml", "/dev/null");
  file("etc/anybind.d/notes.txt", "");
  file("etc/anybind.d/.x.toml", "");
  const auto files = list();
  ASSERT_EQ(files.size(), 5U);
  EXPECT_EQ(files[0].path, "/usr/lib/anybind.d/10-a.toml");
  EXPECT_EQ(files[0].from, RuleFile::From::kVendor);
  EXPECT_EQ(files[0].text, "");
  EXPECT_EQ(files[1].path, "/etc/anybind.d/20-b.toml");
  EXPECT_EQ(files[1].name(), "20-b");
  EXPECT_EQ(files[1].from, RuleFile::From::kAdministrator);
  EXPECT_EQ(files[1].state, FileState::kCounts);
  EXPECT_EQ(files[1].text, "# mine");
  EXPECT_EQ(files[2].state, FileState::kMasked);
  EXPECT_EQ(files[2].text, "# package");
  EXPECT_EQ(files[3].state, FileState::kMask);
  EXPECT_EQ(files[3].text, std::nullopt);
  EXPECT_EQ(files[4].state, FileState::kMasked);
}

TEST_F(RuleFilesTest, WhatOnlyRootMayReadIsShownToRootAlone) {
  file("etc/anybind.d/a.toml", "# secret", 0600);
  EXPECT_EQ(list()[0].text, std::nullopt);
  EXPECT_EQ(list()[0].why, "only root may read it");
  EXPECT_EQ(list(Reader::kRoot)[0].text, "# secret");
  ::chmod(own("a.toml").c_str(), 0644);
  EXPECT_EQ(list()[0].text, "# secret");
  ::chmod(own("").c_str(), 0700);
  EXPECT_EQ(list()[0].text, std::nullopt) << "nobody gets past the folder";
  EXPECT_EQ(list(Reader::kRoot)[0].text, "# secret");
}

TEST_F(RuleFilesTest, NobodyIsShownWhereALinkLeads) {
  tree_.put("root/shadow", "secret");
  file("etc/anybind.d/b.toml", "");
  tree_.link("root/etc/anybind.d/a.toml", root() + "/shadow");
  std::filesystem::create_directory(own("d.toml"));
  ASSERT_EQ(::mkfifo(own("e.toml").c_str(), 0644), 0);
  const auto files = list(Reader::kRoot);
  ASSERT_EQ(files.size(), 4U);
  EXPECT_EQ(files[0].state, FileState::kRefused);
  EXPECT_EQ(files[0].text, std::nullopt);
  EXPECT_THAT(files[0].why, HasSubstr("symbolic link"));
  EXPECT_EQ(files[2].text, std::nullopt);
  EXPECT_EQ(files[3].text, std::nullopt);
  const RuleSource named{.named = {root() + "/etc/anybind.d"}};
  const auto again = *list_rule_files(host_, named, Reader::kRoot);
  EXPECT_EQ(again[0].state, FileState::kCounts) << "who names a file vouches for it";
  EXPECT_EQ(again[0].text, std::nullopt) << "but that is not for everybody to see";
}

TEST_F(RuleFilesTest, WhatIsNoTextIsNotShown) {
  file("etc/anybind.d/a.toml", std::string("# \xff\xfe", 4));
  file("etc/anybind.d/b.toml", std::string("# \0x", 4));
  file("etc/anybind.d/c.toml",
       "# Gr\xc3\xa4"
       "fin");
  EXPECT_EQ(list()[0].text, std::nullopt);
  EXPECT_THAT(list()[0].why, HasSubstr("UTF-8"));
  EXPECT_EQ(list()[1].text, std::nullopt);
  EXPECT_TRUE(list()[2].text);
}

TEST_F(RuleFilesTest, NamedFilesAreListedToo) {
  tree_.put("named/a.toml", "# a");
  tree_.put("other/b.toml", "# b");
  tree_.put("c.rules", "# c");
  const std::string top = tree_.root();
  const auto files = *list_rule_files(
      host_, {.named = {top + "/named/", top + "/other", top + "/c.rules"}}, Reader::kRoot);
  ASSERT_EQ(files.size(), 3U);
  EXPECT_EQ(files[0].from, RuleFile::From::kAdministrator);
  EXPECT_EQ(files[0].text, "# a");
  EXPECT_EQ(files[1].from, RuleFile::From::kNamed);
  EXPECT_EQ(files[2].path, top + "/c.rules");
  EXPECT_EQ(files[2].text, "# c");
}

TEST_F(RuleFilesTest, AFileIsWrittenAndRemoved) {
  ASSERT_TRUE(write("50-guest", rule_of("a"), ""));
  EXPECT_EQ(text_in(own("50-guest.toml")), rule_of("a"));
  struct stat found{};
  ASSERT_EQ(::stat(own("50-guest.toml").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0644U);
  ASSERT_TRUE(write("50-guest", rule_of("b"), rule_of("a")));
  EXPECT_EQ(text_in(own("50-guest.toml")), rule_of("b"));
  EXPECT_THAT(names_there(), ElementsAre("50-guest.toml"));
  ASSERT_TRUE(write("50-guest", "", rule_of("b")));
  EXPECT_THAT(names_there(), IsEmpty());
  EXPECT_TRUE(write("50-guest", "", "")) << "it is so already";
}

TEST_F(RuleFilesTest, AFileOfRootAloneStaysSo) {
  file("etc/anybind.d/a.toml", rule_of("a"), 0600);
  file("etc/anybind.d/a.toml.new", "left by one that was killed", 0644);
  ASSERT_TRUE(write("a", rule_of("b"), rule_of("a")));
  struct stat found{};
  ASSERT_EQ(::stat(own("a.toml").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(RuleFilesTest, WhoHasReadAnotherTextIsTold) {
  file("etc/anybind.d/a.toml", rule_of("a"));
  const auto why = [&](const std::string& name, const std::string& expected) {
    const auto done = write(name, rule_of("b"), expected);
    EXPECT_EQ(done.error().kind, ErrorKind::kRefused);
    return done.error().why;
  };
  EXPECT_EQ(why("a", rule_of("c")), "it holds another text by now");
  EXPECT_EQ(why("a", ""), "it is there already");
  EXPECT_EQ(why("b", rule_of("a")), "it is not there any more");
  EXPECT_EQ(text_in(own("a.toml")), rule_of("a"));
}

TEST_F(RuleFilesTest, NamesThatLeadElsewhereAreRefused) {
  tree_.dir("root/etc/anybind.d");
  for (const std::string& name :
       {std::string(), std::string("../x"), std::string("a/b"), std::string(".a"),
        std::string("a.toml"), std::string("a\nb"), std::string("a\x1b[1m"), std::string("\xff"),
        std::string("a\0b", 3), std::string(201, 'a')}) {
    const auto done = write(name, rule_of("a"), "");
    ASSERT_FALSE(done) << name;
    EXPECT_EQ(done.error().kind, ErrorKind::kUsage) << name;
  }
  EXPECT_THAT(names_there(), IsEmpty());
  EXPECT_TRUE(write(std::string(200, 'a'), rule_of("a"), ""));
}

TEST_F(RuleFilesTest, ALinkIsNotWrittenOver) {
  tree_.put("root/target", "");
  file("etc/anybind.d/b.toml", "");
  tree_.link("root/etc/anybind.d/mask.toml", "/dev/null");
  EXPECT_THAT(write("mask", rule_of("a"), "").error().why, HasSubstr("symbolic link"));
  tree_.link("root/etc/anybind.d/a.toml", root() + "/target");
  EXPECT_THAT(write("a", rule_of("a"), "").error().why, HasSubstr("symbolic link"));
  EXPECT_EQ(text_in(root() + "/target"), "");
}

TEST_F(RuleFilesTest, ABrokenTextIsNotWritten) {
  file("etc/anybind.d/z.toml", rule_of("z", "0000:00:04.0"));
  const auto broken =
      write("a", "[[rule]]\nname = \"x\"\nmach = {}\n" + rule_of("y") + "oops = 1\n", "");
  EXPECT_EQ(broken.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(broken.error().object, "/etc/anybind.d/a.toml:3:1");
  ASSERT_EQ(broken.error().details.size(), 1U);
  EXPECT_THAT(broken.error().details[0].plain(), HasSubstr("a.toml:8:1: oops"));
  const auto covers = write("a", rule_of("all", "*"), "");
  EXPECT_THAT(covers.error().object, HasSubstr("z.toml")) << "a rule of another file never counts";
  EXPECT_THAT(names_there(), ElementsAre("z.toml"));
}

TEST_F(RuleFilesTest, OneOfTwoBrokenFilesCanBeMended) {
  file("etc/anybind.d/a.toml", "oops");
  file("etc/anybind.d/b.toml", "oops");
  EXPECT_TRUE(write("a", rule_of("a"), "oops"));
  EXPECT_TRUE(write("b", "", "oops"));
  EXPECT_THAT(names_there(), ElementsAre("a.toml"));
}

TEST_F(RuleFilesTest, WhatWasMaskedCountsAgainOnceTheFileIsGone) {
  file("etc/anybind.d/a.toml", rule_of("mine"));
  file("usr/lib/anybind.d/a.toml", rule_of("package"));
  const auto name = [&](const std::string& text) {
    return rules_with(host_, machine_, {"a", text})->rules.at(0).name;
  };
  EXPECT_EQ(name(rule_of("new")), "new");
  EXPECT_EQ(name(""), "package");
}

TEST_F(RuleFilesTest, EachRuleThatBecomesAnotherOneIsNamed) {
  const std::string a = rule_of("a", "0000:00:01.0");
  const std::string b = rule_of("b", "0000:00:02.0");
  const std::string c = rule_of("c", "0000:00:03.0");
  const auto changed = [&](const std::string& before, const std::string& after) {
    file("etc/anybind.d/f.toml", before);
    std::string out;
    const auto change = RuleFileChange::plan(host_, machine_, {"f", after}, before);
    if (!change) return change.error().message();
    for (const ChangedRule& one : change->rules())
      out += (out.empty() ? "" : " ") + one.name + (one.text.empty() ? "-" : "");
    return out;
  };
  EXPECT_EQ(changed(a + b + c, a + rule_of("b", "0000:00:09.0") + c), "b");
  EXPECT_EQ(changed(a + b, a + b + c), "c");
  EXPECT_EQ(changed(a + b + c, a + c), "b-");
  EXPECT_EQ(changed(a + b + c, a + rule_of("d", "0000:00:02.0") + c), "d b-")
      << "a name is a part of a rule";
  EXPECT_EQ(changed(a + b + c, b + a + c), "b a") << "the order is a part of what they say";
  EXPECT_EQ(changed(a + b, ""), "a- b-");
  EXPECT_EQ(changed(a + b, a + "# words\n" + b), "-") << "the file, but none of its rules";
  EXPECT_EQ(changed("oops", a), "a -") << "what went is not known";
}

TEST_F(RuleFilesTest, EveryFaultHasItsPlace) {
  const auto faults =
      faults_of({{.name = "/e/a.toml", .text = "[[rule]]\nname = 3\n"},
                 {.name = "/e/b.toml", .text = "oops"},
                 {.name = "/e/c:1:2.toml", .text = std::string((1U << 20) + 1, '#')}});
  ASSERT_EQ(faults.size(), 3U);
  EXPECT_EQ(faults[0].place.str(), "/e/a.toml:2:8");
  EXPECT_EQ(faults[1].place.file, "/e/b.toml");
  EXPECT_EQ(faults[1].place.line, 1U);
  EXPECT_EQ(faults[2].place.file, "/e/c:1:2.toml");
  EXPECT_EQ(faults[2].place.line, 0U);
  EXPECT_THAT(faults_of({{.name = "a", .text = rule_of("a")}}), IsEmpty());
}

}  // namespace
}  // namespace anybind
