#include "lab/refused_calls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace anybind::lab {
namespace {

/// The numbers of one way to call the kernel.
struct Calls {
  unsigned arch;
  unsigned ioctl;
  unsigned add_key;
  unsigned request_key;
  unsigned keyctl;
};

#if defined(__x86_64__)
constexpr unsigned kX32 = 0x40000000;
constexpr Calls kCalls[] = {
    {AUDIT_ARCH_X86_64, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl},
    {AUDIT_ARCH_X86_64, kX32 + 514, kX32 + SYS_add_key, kX32 + SYS_request_key, kX32 + SYS_keyctl},
    {AUDIT_ARCH_I386, 54, 286, 287, 288}};
#elif defined(__aarch64__)
constexpr Calls kCalls[] = {
    {AUDIT_ARCH_AARCH64, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl},
    {AUDIT_ARCH_ARM, 54, 309, 310, 311}};
#elif defined(__riscv) && __riscv_xlen == 64
constexpr Calls kCalls[] = {
    {AUDIT_ARCH_RISCV64, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl}};
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
constexpr Calls kCalls[] = {
    {AUDIT_ARCH_PPC64LE, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl}};
#elif defined(__s390x__)
constexpr Calls kCalls[] = {
    {AUDIT_ARCH_S390X, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl}};
#elif defined(__loongarch64)
constexpr Calls kCalls[] = {
    {AUDIT_ARCH_LOONGARCH64, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl}};
#elif defined(__i386__)
constexpr Calls kCalls[] = {{AUDIT_ARCH_I386, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl}};
#elif defined(__arm__)
constexpr Calls kCalls[] = {{AUDIT_ARCH_ARM, SYS_ioctl, SYS_add_key, SYS_request_key, SYS_keyctl}};
#else
#error "the numbers of this architecture's system calls are missing here"
#endif

constexpr unsigned kRequest = offsetof(seccomp_data, args) + sizeof(seccomp_data{}.args[0]) +
                              (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);

sock_filter bpf_load(unsigned offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}
sock_filter bpf_answer(unsigned value) {
  return BPF_STMT(BPF_RET | BPF_K, value);
}
sock_filter bpf_unless_equal_skip(unsigned value, unsigned char steps) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, steps);
}

std::vector<sock_filter> filter() {
  std::vector<sock_filter> out;
  for (const Calls& calls : kCalls) {
    // Thirteen instructions stand behind the first two, which skip them for another architecture.
    out.push_back(bpf_load(offsetof(seccomp_data, arch)));
    out.push_back(bpf_unless_equal_skip(calls.arch, 13));
    out.push_back(bpf_load(offsetof(seccomp_data, nr)));
    for (const unsigned call : {calls.add_key, calls.request_key, calls.keyctl}) {
      out.push_back(bpf_unless_equal_skip(call, 1));
      out.push_back(bpf_answer(SECCOMP_RET_ERRNO | EPERM));
    }
    out.push_back(bpf_unless_equal_skip(calls.ioctl, 5));
    out.push_back(bpf_load(kRequest));
    out.push_back(bpf_unless_equal_skip(TIOCSTI, 1));
    out.push_back(bpf_answer(SECCOMP_RET_ERRNO | EPERM));
    out.push_back(bpf_unless_equal_skip(TIOCLINUX, 1));
    out.push_back(bpf_answer(SECCOMP_RET_ERRNO | EPERM));
  }
  out.push_back(bpf_answer(SECCOMP_RET_ALLOW));
  return out;
}

}  // namespace

bool refuse_calls() {
  auto code = filter();
  const sock_fprog program{.len = static_cast<unsigned short>(code.size()), .filter = code.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace anybind::lab
