// contract_tests [--kernel | --model PROFILE]: the same statements about the running kernel of a
// throw-away guest, or about the model.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "contract.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  using namespace anybind::contract;
  std::unique_ptr<Target> chosen;
  if (argc == 2 && std::string_view(argv[1]) == "--kernel") {
    chosen = kernel_target();
  } else if (argc == 3 && std::string_view(argv[1]) == "--model") {
    chosen = model_target(ANYBIND_CONTRACT_MACHINE, argv[2]);
  } else {
    std::fputs("usage: contract_tests --kernel | --model PROFILE\n", stderr);
    return 2;
  }
  if (!chosen) {
    std::fputs("contract_tests: that target cannot be had\n", stderr);
    return 1;
  }
  target = chosen.get();
  std::printf("about: %s\n", target->name().c_str());
  std::printf("about: %d statements are about other kernels only\n", register_statements());
  return RUN_ALL_TESTS();
}
