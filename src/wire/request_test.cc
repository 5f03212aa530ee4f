#include "wire/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "users/guards.h"
#include "wire/hostile_test.h"

namespace anybind::wire {
namespace {

DeviceId device(const std::string& bus, const std::string& name) {
  return {.bus = BusName::literal(bus), .name = DeviceName::literal(name)};
}

Request full_request() {
  return {
      .verb = Request::Verb::kBind,
      .devices = {device("pci", "0000:03:00.0"), device("usb", "1-1:1.0")},
      .driver = DriverName::literal("vfio-pci"),
      .names = {{device("pci", "0000:03:00.0"), "eth0"}},
      .instances = {{device("pci", "0000:03:00.0"), {.device = 22, .inode = 4711}}},
      .whole_group = true,
      .everything = true,
      .mechanism = Mechanism::kNewIdWindow,
      .no_iommu = true,
      .part_of_group = true,
      .stays = Stays::kLoose,
      .owner = "user:\"group\\",
      .count = 65535,
      .function_drivers = {{0, DriverName::literal("vfio-pci")}, {7, DriverName::literal("ice")}},
      .change = UINT64_MAX,
      .ignored = {"mounted", std::string(kSameId)},
      .patience = std::chrono::milliseconds(1500)};
}

std::string text_of_request(const Request& request) {
  return line_of(to_json(request));
}

std::string fault_of(const std::string& json) {
  const auto read = request_from_json(json);
  if (read) return "taken";
  EXPECT_EQ(read.error().kind, ErrorKind::kUsage);
  return read.error().message();
}

TEST(WireRequest, EveryVerbComesBackAsItWas) {
  for (const auto verb : {Request::Verb::kBind, Request::Verb::kUnbind, Request::Verb::kRestore,
                          Request::Verb::kUndo, Request::Verb::kMakeFunctions}) {
    Request request = full_request();
    request.verb = verb;
    EXPECT_EQ(request_from_json(text_of_request(request)), request);
    const Request bare{.verb = verb};
    EXPECT_EQ(request_from_json(text_of_request(bare)), bare);
  }
}

TEST(WireRequest, EveryMechanismAndGuardComesBack) {
  Request request = full_request();
  request.ignored = guard_names();
  for (const MechanismInfo& info : all_mechanisms()) {
    request.mechanism = info.mechanism;
    EXPECT_EQ(request_from_json(text_of_request(request)), request);
  }
}

TEST(WireRequest, WhatIsLeftOutIsNotSaid) {
  EXPECT_EQ(request_from_json(R"({"verb": "undo"})"), (Request{.verb = Request::Verb::kUndo}));
  EXPECT_EQ(
      request_from_json(
          R"({"verb":"bind","devices":[{"bus":"pci","address":"0000:03:00.0"}],"driver":"e1000e","change":null})"),
      (Request{.devices = {device("pci", "0000:03:00.0")},
               .driver = DriverName::literal("e1000e")}));
}

TEST(WireRequest, WhatIsNotKnownIsRefusedAndSaysWhere) {
  EXPECT_EQ(fault_of("{}"), "read request.verb: missing");
  EXPECT_EQ(fault_of("[]"), "read request: not an object");
  EXPECT_EQ(fault_of(R"({"verb": "bind)"), "read request: not JSON");
  EXPECT_EQ(fault_of(R"({"verb": "bind"} {})"), "read request: not JSON");
  EXPECT_EQ(fault_of(R"({"verb": "attach"})"), "read request.verb: unknown");
  EXPECT_EQ(fault_of(R"({"verb": "undo", "dry_run": true})"),
            "read request: no such member: dry_run");
  EXPECT_EQ(fault_of(R"({"verb": "undo", "ignored": ["evrything"]})"),
            "read request.ignored: no such guard: evrything");
  EXPECT_EQ(fault_of(R"({"verb": "bind", "mechanism": "magic"})"),
            "read request.mechanism: unknown");
  EXPECT_EQ(fault_of(R"({"verb": "bind", "driver": "../../x"})"),
            "read request.driver: not a possible driver name");
  EXPECT_EQ(fault_of(R"({"verb": "bind", "devices": [{"bus": "pci", "address": "."}]})"),
            "read request.devices[0].address: not a possible device name");
  EXPECT_EQ(fault_of(R"({"verb": "bind", "devices": [{"bus": "pci"}]})"),
            "read request.devices[0].address: missing");
  EXPECT_EQ(fault_of(R"({"verb": "bind", "devices": {}})"), "read request.devices: not an array");
  EXPECT_EQ(fault_of(R"({"verb": "vfs", "count": 65536})"), "read request.count: more than 65535");
  EXPECT_EQ(fault_of(R"({"verb": "vfs", "count": -1})"),
            "read request.count: not a number of 0 or more");
  EXPECT_EQ(fault_of(R"({"verb": "vfs", "count": 1.5})"),
            "read request.count: not a number of 0 or more");
  EXPECT_EQ(fault_of(R"({"verb": "undo", "change": 18446744073709551616})"),
            "read request.change: not a number of 0 or more");
  EXPECT_EQ(fault_of(R"({"verb": "undo", "patience_ms": 1000000000001})"),
            "read request.patience_ms: more than 1000000000000");
  EXPECT_EQ(fault_of(R"({"verb": "bind", "no_iommu": 1})"),
            "read request.no_iommu: not true or false");
}

TEST(WireRequest, AKeyThatStandsTwiceIsRefused) {
  EXPECT_EQ(fault_of(R"({"verb": "undo", "verb": "bind"})"),
            "read request: the same key twice: verb");
}

TEST(WireRequest, ItIsBounded) {
  EXPECT_EQ(fault_of(std::string(100'000, '[')), "read request: nested too deep");
  EXPECT_EQ(fault_of(R"({"verb": "undo"})" + std::string(1U << 20, ' ')),
            "read request: longer than 1048576 bytes");
  EXPECT_EQ(fault_of(R"({"verb": "undo", "owner": ")" + std::string(4097, 'a') + "\"}"),
            "read request.owner: longer than 4096 bytes");
}

TEST(WireRequest, ANameThatJsonCannotSayIsNotTakenForAnother) {
  Request request = full_request();
  request.driver = DriverName::literal("a\xFF");
  EXPECT_EQ(fault_of(text_of_request(request)),
            "read request.driver: holds U+FFFD, which stands for bytes that JSON cannot say");
}

TEST(WireRequest, NothingButAsciiLeaves) {
  Request request = full_request();
  request.owner = "\xC3\xA4\xE2\x80\xAE\x1B[31m";
  const std::string json = text_of_request(request);
  EXPECT_EQ(json.find_first_not_of(
                "\n "
                "!\"#$%&'()*+,-./"
                "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"),
            std::string::npos);
  EXPECT_EQ(request_from_json(json), request);
}

TEST(WireRequest, DamagedTextIsTakenOrToldAndNothingElse) {
  EXPECT_GT(try_damaged(text_of_request(full_request()), request_from_json, text_of_request), 100U);
}

}  // namespace
}  // namespace anybind::wire
