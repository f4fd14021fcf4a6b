#include "silence_guard.hpp"

#include <dlfcn.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <exception>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BENCH_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BENCH_SANITIZED 1
#endif
#endif

namespace {

// Shared with the child.
struct Counts {
  bool counting;
  bool done;
  std::uint64_t allocations;
  std::uint64_t frees;
  std::uint64_t locks;
  std::int64_t first_system_call;
  std::array<char, 200> failure;
};

Counts nowhere{};
Counts* counts = &nowhere;  // of this process

[[maybe_unused]] void count(std::uint64_t& what) noexcept {
  if (counts->counting) {
    ++what;
  }
}

}  // namespace

#ifndef BENCH_SANITIZED
// glibc's own names behind the ones that programs call. Reserved identifiers, because that is what they are called.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name)
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* at, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* at);

void* malloc(std::size_t size) noexcept {
  count(counts->allocations);
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) noexcept {
  count(counts->allocations);
  return __libc_calloc(number, size);
}
void* realloc(void* at, std::size_t size) noexcept {
  count(counts->allocations);
  return __libc_realloc(at, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count(counts->allocations);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count(counts->allocations);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t size) noexcept {
  count(counts->allocations);
  *to = __libc_memalign(alignment, size);
  return *to == nullptr ? ENOMEM : 0;
}
void free(void* at) noexcept {
  if (at != nullptr) {
    count(counts->frees);
  }
  __libc_free(at);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  count(counts->locks);
  static const auto real = reinterpret_cast<int (*)(pthread_mutex_t*)>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  return real(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  count(counts->locks);
  static const auto real = reinterpret_cast<int (*)(pthread_mutex_t*)>(::dlsym(RTLD_NEXT, "pthread_mutex_trylock"));
  return real(mutex);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
  count(counts->locks);
  static const auto real = reinterpret_cast<int (*)(pthread_rwlock_t*)>(::dlsym(RTLD_NEXT, "pthread_rwlock_rdlock"));
  return real(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
  count(counts->locks);
  static const auto real = reinterpret_cast<int (*)(pthread_rwlock_t*)>(::dlsym(RTLD_NEXT, "pthread_rwlock_wrlock"));
  return real(lock);
}
}
// NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name)
#endif

namespace bench {

namespace {

void fail(const char* why) noexcept { std::strncpy(counts->failure.data(), why, counts->failure.size() - 1); }

// The filter's SIGSYS: tells which call it was, and ends the child. _exit is a call that the filter lets through.
void trapped(int /*signal*/, siginfo_t* info, void* /*context*/) {
  counts->first_system_call = info->si_syscall;
  ::_exit(0);
}

// From here on every system call but exit_group raises SIGSYS, and so does one of another instruction set.
bool trap_system_calls() noexcept {
  struct sigaction action {};
  action.sa_sigaction = &trapped;
  action.sa_flags = SA_SIGINFO;
  if (::sigaction(SIGSYS, &action, nullptr) != 0) {
    return false;
  }
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  }};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};  // NOLINT(google-runtime-int): the kernel's type
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

[[noreturn]] void child(const std::function<void()>& prepare, const std::function<void()>& work, SystemCalls calls) {
  try {
    prepare();
    if (calls == SystemCalls::trapped && !trap_system_calls()) {
      fail("this kernel does not let a process filter its own system calls (seccomp)");
      ::_exit(0);
    }
    counts->counting = true;
    work();
    counts->counting = false;
    counts->done = true;
  } catch (const std::exception& error) {
    counts->counting = false;
    fail(error.what());
  }
  ::_exit(0);
}

}  // namespace

Silence listen(const std::function<void()>& prepare, const std::function<void()>& work, SystemCalls calls) {
  Silence heard;
#ifdef BENCH_SANITIZED
  heard.supported = false;
  static_cast<void>(prepare);
  static_cast<void>(work);
  static_cast<void>(calls);
  static_cast<void>(&child);
#else
  void* const shared = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    heard.failure = "no memory to share with a child";
    return heard;
  }
  counts = new (shared) Counts{};
  counts->first_system_call = -1;
  const pid_t pid = ::fork();
  if (pid == 0) {
    child(prepare, work, calls);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || status != 0) {
    heard.failure = "the child that was listened to ended badly";
  }
  heard.allocations = counts->allocations;
  heard.frees = counts->frees;
  heard.locks = counts->locks;
  heard.first_system_call = counts->first_system_call;
  if (counts->failure[0] != 0) {
    heard.failure = counts->failure.data();
  } else if (heard.failure.empty() && !counts->done && counts->first_system_call < 0) {
    heard.failure = "the work did not reach its end";
  }
  counts = &nowhere;
  ::munmap(shared, sizeof(Counts));
#endif
  return heard;
}

}  // namespace bench
