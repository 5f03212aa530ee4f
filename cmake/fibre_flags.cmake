# For the directory of a target that compiles src/race/fibre.cc, which says why it stays alone. Its jumps do not keep to a
# shadow stack (x86 CET) either: compiled like this it says so in its object file, and then the linker does not mark the program as
# one that does, so that nobody switches a shadow stack on for it.
include(CheckCXXCompilerFlag)
set(fibre ${PROJECT_SOURCE_DIR}/src/race/fibre.cc)
check_cxx_compiler_flag(-fcf-protection=branch ANYBIND_HAS_CF_PROTECTION)
set_source_files_properties(${fibre} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
if(ANYBIND_HAS_CF_PROTECTION)
  set_source_files_properties(${fibre} PROPERTIES COMPILE_OPTIONS -fcf-protection=branch)
endif()
