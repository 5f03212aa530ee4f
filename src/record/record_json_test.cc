#include "record/record_json.h"

#include <gtest/gtest.h>

namespace anybind {
namespace {

using nlohmann::json;

std::string written(std::string_view text) {
  std::string out;
  append_json(out, text);
  return out;
}

TEST(RecordJson, WritesStringsThatReadBackAsTheyWere) {
  for (const std::string_view text : {"", "0000:03:00.0", R"(say "hello")", R"(C:\dir)",
                                      "a\tb\nc\x01", "\x7F", "Gerät", "/, ~ }"}) {
    EXPECT_EQ(json::parse(written(text)).get<std::string>(), text) << text;
  }
  EXPECT_EQ(json::parse(written("a\xFFz")).get<std::string>(), "a\uFFFDz");
}

TEST(RecordJson, WritesRecordsThatReadBackAsTheyWere) {
  const DeviceId device{.bus = BusName::literal("pci"),
                        .name = DeviceName::literal("0000:03:00.0")};
  const Instance instance{.device = 22, .inode = UINT64_MAX};
  for (const auto& binding :
       {Binding{.driver = DriverName::literal("e1000e"), .has_override = true},
        Binding{.driver = {}, .has_override = true, .driver_override = R"(a"b\c)"}}) {
    std::string text = "{";
    append_members(text, {.device = device, .instance = instance, .binding = binding});
    const auto back = record_from_json(json::parse(text + "}"));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->device, device);
    EXPECT_EQ(back->instance, instance);
    EXPECT_EQ(back->binding, binding);
  }
}

}  // namespace
}  // namespace anybind
