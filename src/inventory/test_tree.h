#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "host/posix_sysfs.h"
#include "inventory/device.h"

namespace anybind {

/// A sysfs tree made by hand in a temporary directory, for tests: as little of Linux's as each
/// needs.
class TestTree {
 public:
  TestTree() {
    std::string pattern = std::filesystem::temp_directory_path() / "anybind-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    base_ = pattern;
    std::filesystem::create_directories(base_ / "sys/bus/pci/devices");
    std::filesystem::create_directories(base_ / "sys/bus/pci/drivers");
    auto opened = open_sysfs(root());
    if (!opened) throw std::runtime_error("open_sysfs");
    sysfs_ = *std::move(opened);
  }
  TestTree(const TestTree&) = delete;
  TestTree& operator=(const TestTree&) = delete;
  ~TestTree() { std::filesystem::remove_all(base_); }

  [[nodiscard]] Sysfs& sysfs() { return *sysfs_; }
  [[nodiscard]] std::string root() const { return base_ / "sys"; }

  /// A file, with the directories above it.
  void put(const std::string& path, std::string_view text) {
    const auto full = base_ / "sys" / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << text;
  }
  void dir(const std::string& path) { std::filesystem::create_directories(base_ / "sys" / path); }
  void link(const std::string& path, const std::string& target) {
    const auto full = base_ / "sys" / path;
    std::filesystem::create_directories(full.parent_path());
    std::filesystem::create_symlink(target, full);
  }
  /// A link with the text that the kernel would give it: relative, from one path of the tree to
  /// another.
  void link_to(const std::string& path, const std::string& target) {
    link(path, std::filesystem::path(target).lexically_relative(
                   std::filesystem::path(path).parent_path()));
  }
  void remove(const std::string& path) { std::filesystem::remove_all(base_ / "sys" / path); }

  /// A device at a real path, with its link on the bus and its `subsystem`.
  void device(const std::string& bus, const std::string& real, std::string_view uevent) {
    const std::string name = std::filesystem::path(real).filename();
    put(real + "/uevent", uevent);
    dir("bus/" + bus + "/devices");
    link_to("bus/" + bus + "/devices/" + name, real);
    link_to(real + "/subsystem", "bus/" + bus);
  }

  /// A driver that devices can be given to and taken from by hand.
  void driver(const std::string& bus, const std::string& name) {
    for (const char* file : {"/bind", "/unbind"}) put("bus/" + bus + "/drivers/" + name + file, "");
  }

  struct Pci {
    std::string address;
    std::string ids = "8086:10D3";
    std::string class_code = "20000";
    std::string driver{};
    int group = -1;
    std::string behind{};  ///< the bridge above it
  };
  void pci(const Pci& it) {
    const std::string real =
        "devices/pci0000:00/" + (it.behind.empty() ? "" : it.behind + "/") + it.address;
    std::string uevent = it.driver.empty() ? "" : "DRIVER=" + it.driver + "\n";
    uevent += "PCI_CLASS=" + it.class_code + "\nPCI_ID=" + it.ids +
              "\nPCI_SUBSYS_ID=1043:8534\nPCI_SLOT_NAME=" + it.address + "\n";
    device("pci", real, uevent);
    put(real + "/driver_override", "(null)\n");
    if (!it.driver.empty()) {
      driver("pci", it.driver);
      link_to(real + "/driver", "bus/pci/drivers/" + it.driver);
      link_to("bus/pci/drivers/" + it.driver + "/" + it.address, real);
    }
    if (it.group < 0) return;
    const std::string group = "kernel/iommu_groups/" + std::to_string(it.group);
    link_to(real + "/iommu_group", group);
    link_to(group + "/devices/" + it.address, real);
  }

  /// class/KIND/NAME, below the device at a real path.
  void interface(const std::string& kind, const std::string& name, const std::string& real) {
    dir(real + "/" + kind + "/" + name);
    link_to("class/" + kind + "/" + name, real + "/" + kind + "/" + name);
  }

 private:
  std::filesystem::path base_;
  std::unique_ptr<Sysfs> sysfs_;
};

[[nodiscard]] inline DeviceId pci_id(std::string_view address) {
  return {.bus = BusName::literal("pci"), .name = DeviceName::literal(address)};
}

}  // namespace anybind
