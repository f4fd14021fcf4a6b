// Counts what a piece of code asks of others: memory from the allocator, locks from the threading library, anything
// from the kernel. Linking silence_guard.cpp puts counters in front of malloc and its kin (operator new ends there,
// too) and of pthread_mutex_lock, which cost a load and a branch while nobody counts. System calls are told by the kernel
// itself: the code runs in a child process whose seccomp filter traps the first of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace bench {

struct Silence {
  bool supported = true;            // false under a sanitizer, which has an allocator of its own
  std::uint64_t allocations = 0;    // malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign; so also operator new
  std::uint64_t frees = 0;
  std::uint64_t locks = 0;          // pthread_mutex_lock, pthread_mutex_trylock, pthread_rwlock_*lock
  std::int64_t first_system_call = -1;  // its number; -1: there was none, or nobody looked for it
  std::string failure;              // empty; else why nothing could be measured
  [[nodiscard]] bool silent() const noexcept { return allocations + frees + locks == 0 && first_system_call < 0; }
};

// Whether a system call ends the child, or only what can go on is counted.
enum class SystemCalls : std::uint8_t { trapped, ignored };

// Runs prepare() and then work() in a child process, and counts during work() alone. One thread. What the two leave
// behind is lost with the child, except in memory shared with it.
[[nodiscard]] Silence listen(const std::function<void()>& prepare, const std::function<void()>& work,
                             SystemCalls calls = SystemCalls::trapped);

}  // namespace bench
