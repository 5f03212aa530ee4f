// replay_tests: each experiment on the model, under the profile of each kernel that it was made on.
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "replay.h"

namespace anybind::replay {
namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class OneReplay : public testing::Test {
 public:
  OneReplay(const Experiment& experiment, std::string drivers, std::string kernel)
      : experiment_(experiment), drivers_(std::move(drivers)), kernel_(std::move(kernel)) {}
  void TestBody() override {
    const auto outcome = Replay(experiment_, drivers_, kernel_).run();
    for (const std::string& difference : outcome.differences) ADD_FAILURE() << difference;
    EXPECT_GT(outcome.compared, 0U);
    RecordProperty("compared", static_cast<int>(outcome.compared));
    std::printf("%u results compared\n", outcome.compared);
  }

 private:
  const Experiment& experiment_;
  std::string drivers_;
  std::string kernel_;
};

/// A replay that could not fail would prove nothing.
TEST(ReplayItself, SeesWhatIsDifferent) {
  const Experiment experiment{
      .machine = "device = [{ address = \"0000:00:03.0\", id = \"1:1\" }]\n",
      .kernels = {"linux-6.12"},
      .lines = {{.number = 1, .verb = "driver", .words = {"0000:00:03.0"}, .expected = "none"},
                {.number = 2, .verb = "driver", .words = {"0000:00:03.0"}, .expected = "vfio-pci"},
                {.number = 3, .verb = "write", .words = {"no/file", "x"}},
                {.number = 4, .verb = "dirver", .words = {"0000:00:03.0"}, .expected = "none"},
                {.number = 5, .verb = "write", .words = {"rescan"}, .expected = "ok"},
                {.number = 6, .kernel = "linux-6.1", .verb = "go", .expected = "never"}}};
  const auto outcome = Replay(experiment, "", "linux-6.12").run();
  EXPECT_EQ(outcome.compared, 4U);
  EXPECT_EQ(outcome.differences,
            (std::vector<std::string>{"line 2: driver 0000:00:03.0: none, not vfio-pci",
                                      "line 3: write no/file x: ENOENT, not ok",
                                      "line 4: dirver 0000:00:03.0: no such verb, not none",
                                      "line 5: write rescan: too few words, not ok"}));
}

/// One test for each experiment and kernel. False: a file is not of that form, or there is none.
bool register_all(const std::filesystem::path& folder, std::deque<Experiment>& experiments) {
  const std::string drivers = text_of(folder / "drivers.toml");
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "experiments")) {
    files.insert(entry.path());
  }
  for (const auto& file : files) {
    auto read = read_experiment(file);
    if (!read) return false;
    const Experiment& experiment = experiments.emplace_back(*std::move(read));
    for (const std::string& kernel : experiment.kernels) {
      const std::string name = file.stem().string() + "." + kernel;
      testing::RegisterTest(
          "Replay", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
          [&experiment, drivers, kernel] { return new OneReplay(experiment, drivers, kernel); });
    }
  }
  return !experiments.empty();
}

}  // namespace
}  // namespace anybind::replay

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::deque<anybind::replay::Experiment> experiments;
  if (!anybind::replay::register_all(ANYBIND_REPLAY_DIR, experiments)) return 1;
  return RUN_ALL_TESTS();
}
