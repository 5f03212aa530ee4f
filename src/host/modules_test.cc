#include "host/modules.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "host/child.h"

namespace anybind {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

/// The module files of a kernel, and a modprobe that writes down how it was called.
class Modules : public testing::Test {
 protected:
  Modules() {
    std::string pattern = fs::temp_directory_path() / "anybind-modules-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    base_ = pattern;
    put("lib/modules.dep",
        "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n"
        "kernel/drivers/vfio/vfio.ko.xz:\n"
        "kernel/drivers/net/igc/igc.ko:\n");
    put("lib/modules.builtin", "kernel/drivers/pci/pcie/pcieportdrv.ko\n");
    put("lib/modules.alias", "alias pci:v1d2 igc\n");
    put("proc/cmdline", "root=/dev/sda1 quiet\n");
    modprobe("exit 0");
    loader_ = open_modules({.directory = base_ / "lib",
                            .config = {base_ / "etc", base_ / "usr"},
                            .proc = base_ / "proc",
                            .programs = {base_ / "none", base_ / "modprobe"}});
  }
  ~Modules() override { fs::remove_all(base_); }

  void put(const std::string& path, std::string_view text) {
    fs::create_directories((base_ / path).parent_path());
    std::ofstream(base_ / path, std::ios::binary) << text;
  }
  void modprobe(const std::string& body) {
    put("modprobe", "#!/bin/sh\necho \"$*\" >>" + (base_ / "calls").string() + "\n" + body + "\n");
    ::chmod((base_ / "modprobe").c_str(), 0755);
  }
  std::string calls() {
    std::stringstream text;
    text << std::ifstream(base_ / "calls").rdbuf();
    return text.str();
  }

  fs::path base_;
  std::unique_ptr<ModuleLoader> loader_;
};

TEST_F(Modules, AreFoundUnderEitherSpelling) {
  EXPECT_EQ(loader_->find("vfio_pci"), (ModuleFacts{.name = "vfio-pci"}));
  EXPECT_EQ(loader_->find("vfio-pci"), (ModuleFacts{.name = "vfio-pci"}));
  EXPECT_EQ(loader_->find("pcieportdrv"), (ModuleFacts{.name = "pcieportdrv", .built_in = true}));
  for (const char* name :
       {"vfio-pc", "vfio-pci.ko", "", "-r", "a b", "../vfio-pci", "vfio-pci\n"}) {
    EXPECT_EQ(loader_->find(name), std::nullopt) << name;
  }
  EXPECT_THAT(loader_->names(), ElementsAre("vfio-pci", "vfio", "igc"));
  EXPECT_EQ(loader_->aliases(), "alias pci:v1d2 igc\n");
}

TEST_F(Modules, ABlacklistIsToldAndTheWeightiestFileOfANameCounts) {
  put("usr/a.conf",
      "# blacklist vfio\n\tblacklist  vfio_pci # no\nblacklist igc2\ninstall x\nblacklist\n");
  EXPECT_EQ(loader_->find("vfio-pci")->blacklisted, base_ / "usr/a.conf");
  EXPECT_EQ(loader_->find("vfio")->blacklisted, "");
  put("etc/a.conf", "");
  EXPECT_EQ(loader_->find("vfio-pci")->blacklisted, "");
  put("etc/b.txt", "blacklist vfio-pci\n");
  EXPECT_EQ(loader_->find("vfio-pci")->blacklisted, "");
  put("proc/cmdline", "modprobe.blacklist=igc,vfio-pci x\n");
  EXPECT_THAT(loader_->find("vfio-pci")->blacklisted, HasSubstr("command line"));
}

TEST_F(Modules, WhatForbidsALoadIsTold) {
  put("etc/x.conf", "install vfio-pci /bin/false\ninstall igc /sbin/modprobe -i igc\n");
  EXPECT_THAT(loader_->find("vfio-pci")->forbidden,
              HasSubstr("x.conf says: install vfio-pci false"));
  EXPECT_EQ(loader_->find("igc")->forbidden, "");
  put("proc/cmdline", "module_blacklist=igc\n");
  EXPECT_THAT(loader_->find("igc")->forbidden, HasSubstr("module_blacklist=igc"));
}

TEST_F(Modules, AreLoadedByModprobe) {
  EXPECT_TRUE(loader_->load("vfio-pci", {}));
  EXPECT_EQ(calls(), "vfio-pci\n");
  EXPECT_FALSE(loader_->load("-r", {}));
  EXPECT_EQ(calls(), "vfio-pci\n");
  modprobe("echo 'modprobe: FATAL: not found' >&2; exit 1");
  const auto failed = loader_->load("vfio-pci", {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().why, "modprobe: FATAL: not found");
  EXPECT_FALSE(open_modules({})->load("x", {}));
}

TEST_F(Modules, ALoadThatDoesNotEndCanBeLeft) {
  modprobe("sleep 3");
  int asked = 0;
  const auto left = loader_->load("vfio-pci", [&] { return ++asked > 1; });
  ASSERT_FALSE(left);
  EXPECT_THAT(left.error().why, HasSubstr("interrupted"));
}

TEST_F(Modules, InALabModprobeIsAsked) {
  modprobe("[ \"$3\" = known ]");
  const auto lab = open_modules({.programs = {base_ / "modprobe"}, .ask_program = true});
  EXPECT_EQ(lab->find("known"), (ModuleFacts{.name = "known"}));
  EXPECT_EQ(lab->find("unknown"), std::nullopt);
}

TEST(Child, TellsItsEndAndTheBeginningOfWhatItSaid) {
  const auto ended = run_child({"/bin/sh", "-c", "read x; echo \"<$x>\"; echo b >&2; exit 3"}, {});
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, 3);
  EXPECT_EQ(ended->output, "<>\nb\n");
  const auto loud = run_child({"/bin/sh", "-c", "head -c 100000 /dev/zero; kill -9 $$"}, {});
  ASSERT_TRUE(loud);
  EXPECT_EQ(loud->status, 128 + 9);
  EXPECT_EQ(loud->output.size(), 4096U);
  EXPECT_FALSE(run_child({"/no/such/program"}, {}));
}

TEST(Child, DoesNotWaitForWhatItLeftBehind) {
  const auto start = std::chrono::steady_clock::now();
  const auto ended = run_child({"/bin/sh", "-c", "sleep 3 & echo done"}, {});
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->output, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

}  // namespace
}  // namespace anybind
