// Stacks and what belongs to them are kept for the next fibre of the thread: a search begins some
// hundred thousand.

// The longjmp() of _FORTIFY_SOURCE ends the program at a jump that does not lead up its own stack,
// and from one stack to another is where a fibre goes. Not so in this file, which copies nothing.
#undef _FORTIFY_SOURCE  // before any header
#include "race/fibre.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <csetjmp>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define ANYBIND_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANYBIND_ASAN 1
#endif
#endif
#ifdef ANYBIND_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__USE_FORTIFY_LEVEL) && __USE_FORTIFY_LEVEL > 0
#error "a header came before the #undef above: this file must not be joined with others"
#endif

namespace anybind::race {
namespace {

constexpr std::size_t kStackSize = std::size_t{512} << 10U;
constexpr std::size_t kGuard = 4096;

}  // namespace

/// Memory for one stack, with a page below it that nobody can touch.
class Stack {
 public:
  Stack() : memory_(::mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, kFlags, -1, 0)) {
    if (memory_ == MAP_FAILED || ::mprotect(memory_, kGuard, PROT_NONE) != 0) std::abort();
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() { ::munmap(memory_, kStackSize); }
  [[nodiscard]] void* bottom() const { return memory_; }

 private:
  static constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE;
  void* memory_;
};

/// Where the two sides stand while the other runs. A stack is entered by setcontext(), and left and
/// come back to by longjmp(), which makes no system call. AddressSanitizer wants neither: it
/// follows swapcontext(), and is told of every switch. Of a stack that it knows it would map the
/// shadow anew at every switch, which takes most of the time; so it is not told the stack.
struct Fibre::Context {
  Stack stack;
  ucontext_t inside{};
  ucontext_t outside{};
  std::jmp_buf inside_jump{};
  std::jmp_buf outside_jump{};
  bool entered = false;
#ifdef ANYBIND_ASAN
  void* fake_inside = nullptr;
  void* fake_outside = nullptr;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;
#endif

  /// For another fibre.
  void renew() {
    entered = false;
#ifdef ANYBIND_ASAN
    fake_inside = nullptr;
#endif
  }
  /// What an abandoned run left on the stack is forgotten here, in pieces whose shadow is small
  /// enough to be written instead of mapped.
  void hide_stack() {
#ifdef ANYBIND_ASAN
    constexpr std::size_t kPiece = std::size_t{256} << 10U;
    for (std::size_t at = 0; at < kStackSize; at += kPiece)
      __asan_unpoison_memory_region(static_cast<char*>(stack.bottom()) + at, kPiece);
    inside.uc_stack = {};
#endif
  }
  void go_in() {
#ifdef ANYBIND_ASAN
    __sanitizer_start_switch_fiber(&fake_outside, stack.bottom(), kStackSize);
    ::swapcontext(&outside, &inside);
    __sanitizer_finish_switch_fiber(fake_outside, nullptr, nullptr);
#else
    // NOLINTNEXTLINE(cert-err52-cpp): nothing is unwound, the frames stay
    if (::_setjmp(outside_jump) != 0) return;
    if (std::exchange(entered, true)) std::longjmp(inside_jump, 1);  // NOLINT(cert-err52-cpp)
    ::setcontext(&inside);
#endif
  }
  void came_in() {
#ifdef ANYBIND_ASAN
    __sanitizer_finish_switch_fiber(fake_inside, &outside_bottom, &outside_size);
#endif
  }
  void go_out([[maybe_unused]] bool for_good) {
#ifdef ANYBIND_ASAN
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_inside, outside_bottom, outside_size);
    ::swapcontext(&inside, &outside);
    came_in();
#else
    // NOLINTNEXTLINE(cert-err52-cpp): nothing is unwound, the frames stay
    if (::_setjmp(inside_jump) == 0) std::longjmp(outside_jump, 1);
#endif
  }
};

std::vector<std::unique_ptr<Fibre::Context>>& Fibre::spare() {
  thread_local std::vector<std::unique_ptr<Context>> out;
  return out;
}

std::unique_ptr<Fibre::Context> Fibre::take_context() {
  if (spare().empty()) return std::make_unique<Context>();
  auto out = std::move(spare().back());
  spare().pop_back();
  out->renew();
  return out;
}

Fibre::Fibre(std::function<void()> body) : body_(std::move(body)) {}

Fibre::~Fibre() {
  CHECK(!begun_ || ended_, "a fibre that has begun is run to its end");
}

/// makecontext() hands over ints only.
void Fibre::enter(unsigned high, unsigned low) {
  const auto address = (std::uint64_t{high} << 32U) | low;
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  reinterpret_cast<Fibre*>(static_cast<std::uintptr_t>(address))->run();
}

void Fibre::run() {
  context_->came_in();
  body_();
  ended_ = true;
  context_->go_out(true);
  check_failed("src/race/fibre.cc", __LINE__, "a fibre that has ended is not resumed");
}

void Fibre::resume() {
  CHECK(!ended_, "a fibre that has ended is not resumed");
  if (!begun_) {
    begun_ = true;
    context_ = take_context();
    ::getcontext(&context_->inside);
    context_->inside.uc_stack.ss_sp = context_->stack.bottom();
    context_->inside.uc_stack.ss_size = kStackSize;
    context_->inside.uc_link = nullptr;
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(this));
    ::makecontext(&context_->inside, reinterpret_cast<void (*)()>(&Fibre::enter), 2,
                  static_cast<unsigned>(address >> 32U), static_cast<unsigned>(address));
    context_->hide_stack();
  }
  context_->go_in();
  if (ended_) spare().push_back(std::move(context_));
}

void Fibre::suspend() {
  context_->go_out(false);
}

}  // namespace anybind::race
