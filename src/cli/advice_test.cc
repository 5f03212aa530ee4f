#include "cli/advice.h"

#include <gmock/gmock.h>

#include "cli/exit_code.h"

namespace anybind::cli {
namespace {

using testing::ElementsAre;

TEST(AdviceTest, EachActionIsWhatToType) {
  const auto text = [](Action action, std::vector<std::string> operands = {}) {
    return text_of(Remark(action, std::move(operands)));
  };
  EXPECT_EQ(text(Action::kList), "anybind list");
  EXPECT_EQ(text(Action::kList, {"class:network"}), "anybind list class:network");
  EXPECT_EQ(text(Action::kShow, {"0000:03:00.0"}), "anybind show 0000:03:00.0");
  EXPECT_EQ(text(Action::kExplain, {"0000:03:00.0", "igc"}), "anybind explain 0000:03:00.0 igc");
  EXPECT_EQ(text(Action::kBind, {"DEVICE", "vfio-pci"}), "anybind bind DEVICE vfio-pci");
  EXPECT_EQ(text(Action::kBindGroup, {"0000:03:00.0", "DRIVER"}),
            "anybind bind --group 0000:03:00.0 DRIVER");
  EXPECT_EQ(text(Action::kUnbind, {"0000:03:00.0", "0000:03:00.1"}),
            "anybind unbind 0000:03:00.0 0000:03:00.1");
  EXPECT_EQ(text(Action::kUnbindBridge, {"0000:00:02.0"}),
            "anybind unbind 0000:00:02.0, a bridge, which --group leaves alone");
  EXPECT_EQ(text(Action::kRestore, {"DEVICE"}), "anybind restore DEVICE");
  EXPECT_EQ(text(Action::kRecover), "anybind recover");
  EXPECT_EQ(text(Action::kUndo), "anybind undo");
  EXPECT_EQ(text(Action::kHistory), "anybind history");
  EXPECT_EQ(text(Action::kMakeFunctions, {"0000:03:00.0", "8"}), "anybind vfs 0000:03:00.0 8");
  EXPECT_EQ(text(Action::kCheckAsRoot), "sudo anybind doctor");
  EXPECT_EQ(text(Action::kRace, {"new_id"}), "anybind race --mechanism new_id");
  EXPECT_EQ(text(Action::kHelp), "anybind --help");
  EXPECT_EQ(text(Action::kTakeGroup), "add --group to take the whole group");
  EXPECT_EQ(text(Action::kIgnore, {"mounted"}), "--ignore mounted");
  EXPECT_EQ(text(Action::kAllowNoIommu), "--no-iommu");
  EXPECT_EQ(text(Action::kMechanism, {"bind"}), "--mechanism bind");
  EXPECT_EQ(text(Action::kMechanism, {"bind", "new_id"}), "--mechanism bind or new_id");
  EXPECT_EQ(text(Action::kStateDirectory), "--state DIR");
}

TEST(AdviceTest, AnOperandIsOneWordForAShell) {
  EXPECT_EQ(text_of({Action::kList, {"platform/*"}}), "anybind list 'platform/*'");
  EXPECT_EQ(text_of({Action::kShow, {"serio/serio 0"}}), "anybind show 'serio/serio 0'");
}

TEST(AdviceTest, WordsStandAsTheyAreBesideActions) {
  EXPECT_EQ(text_of("free some space, or {}"), "free some space, or {}");
  EXPECT_EQ(text_of("free it, then: " + Remark(Action::kRecover) + ", " + "soon"),
            "free it, then: anybind recover, soon");
  EXPECT_EQ(text_of(Remark()), "");
  EXPECT_THAT(texts_of({"one", Action::kRecover}), ElementsAre("one", "anybind recover"));
}

TEST(AdviceTest, WhereTheOptionsAreOtherOnesTheCommandIsNamed) {
  EXPECT_EQ(text_elsewhere("free it (or " + Remark(Action::kIgnore, {"open"}) + ")"),
            "free it (or anybind bind ... --ignore open)");
  EXPECT_EQ(text_elsewhere(Remark(Action::kTakeGroup)), "anybind bind --group ...");
  EXPECT_EQ(text_elsewhere(Remark(Action::kAllowNoIommu)), "anybind bind ... --no-iommu");
  EXPECT_EQ(text_elsewhere(Remark(Action::kRecover)), "anybind recover");
}

TEST(AdviceTest, WithoutACommandAnActionIsNamed) {
  EXPECT_EQ((Remark(Action::kShow, {"0000:03:00.0"}) + ", then try again").plain(),
            "show 0000:03:00.0, then try again");
  EXPECT_THAT(plain({"one", Action::kRecover}), ElementsAre("one", "recover"));
}

TEST(AdviceTest, WordsBesideWordsAreOnePart) {
  EXPECT_EQ(Remark("a") + "b" + Action::kRecover, "ab" + Remark(Action::kRecover));
  EXPECT_EQ(Remark("a") + "", "a");
  EXPECT_TRUE(Remark("").empty());
  EXPECT_TRUE(("a" + Remark(Action::kUndo)).names(Action::kUndo));
  EXPECT_FALSE(Remark("undo").names(Action::kUndo));
}

/// docs/ and scripts of users count on these.
TEST(ExitCodeTest, IsAContract) {
  EXPECT_EQ(exit_code(ErrorKind::kFailed), 1);
  EXPECT_EQ(exit_code(ErrorKind::kUsage), 2);
  EXPECT_EQ(exit_code(ErrorKind::kRefused), 3);
  EXPECT_EQ(exit_code(ErrorKind::kIncomplete), 4);
  EXPECT_EQ(exit_code(ErrorKind::kNotPermitted), 5);
  EXPECT_EQ(exit_code(ErrorKind::kNotFound), 6);
}

}  // namespace
}  // namespace anybind::cli
