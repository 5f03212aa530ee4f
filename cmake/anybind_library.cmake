# Flags that every target of the project shares.
add_library(anybind_flags INTERFACE)
target_compile_options(anybind_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
# A designated initialiser names what differs from the members' defaults.
target_compile_options(anybind_flags INTERFACE -Wno-missing-field-initializers)
# g++ 12 reports false overlaps inside std::string (GCC bug 105651), and takes the error of a std::expected that holds a value
# for one that was never set.
target_compile_options(anybind_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_include_directories(anybind_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/include/anybind)
if(ANYBIND_SANITIZE)
  target_compile_options(anybind_flags INTERFACE -fsanitize=${ANYBIND_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(anybind_flags INTERFACE -fsanitize=${ANYBIND_SANITIZE})
endif()

# anybind_library(NAME SOURCES... LINK libs...): one static library for one folder of src/.
# *_test.cc files of the folder become one unit test program, NAME_test, with the ctest label "unit".
function(anybind_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(anybind_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(anybind_${name} PUBLIC anybind_flags ${ARG_LINK})
  anybind_harden(anybind_${name})
  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(ANYBIND_TESTS AND tests)
    if(NOT CMAKE_TESTING_ENABLED)
      message(FATAL_ERROR "enable_testing() comes too late: ctest would leave out the tests of ${name}")
    endif()
    find_package(GTest REQUIRED)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE anybind_${name} GTest::gmock GTest::gtest_main)
    target_compile_options(${name}_test PRIVATE -O0)  # half of the time to compile; the time to run is the libraries'
    target_compile_definitions(${name}_test PRIVATE ANYBIND_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    include(GoogleTest)
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." PROPERTIES LABELS unit TIMEOUT ${ANYBIND_UNIT_TIMEOUT} DISCOVERY_TIMEOUT 60)
  endif()
endfunction()
