// What the log's two threads are made of: started without signals, woken by a semaphore that costs a system call only
// when somebody sleeps on it.
#pragma once

#include <semaphore.h>
#include <signal.h>  // pthread_sigmask

#include <cerrno>
#include <chrono>
#include <ctime>
#include <thread>
#include <utility>

namespace exchange {

class Semaphore {
 public:
  Semaphore() noexcept { ::sem_init(&semaphore_, 0, 0); }
  ~Semaphore() { ::sem_destroy(&semaphore_); }
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  Semaphore(Semaphore&&) = delete;
  Semaphore& operator=(Semaphore&&) = delete;

  void post() noexcept { ::sem_post(&semaphore_); }
  void wait() noexcept {
    while (::sem_wait(&semaphore_) != 0 && errno == EINTR) {
    }
  }
  // False at the deadline.
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point deadline) noexcept {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count();
    timespec until{};
    until.tv_sec = static_cast<std::time_t>(ns / 1'000'000'000);
    until.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    int failed = 0;
    do {
      failed = ::sem_clockwait(&semaphore_, CLOCK_MONOTONIC, &until);
    } while (failed != 0 && errno == EINTR);
    return failed == 0;
  }

 private:
  sem_t semaphore_{};
};

// Signals are the business of the program's own threads. Throws std::system_error.
template <typename Body>
[[nodiscard]] std::thread start_quiet_thread(Body body) {
  sigset_t all{};
  sigset_t before{};
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread made(std::move(body));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return made;
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
}

}  // namespace exchange
