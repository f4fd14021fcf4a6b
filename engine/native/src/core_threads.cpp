#include "core_threads.hpp"

#include <pthread.h>
#include <sched.h>

#include <csignal>
#include <utility>

namespace exchange {

namespace {

void pin_this_thread(int cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  (void)::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return cpus;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

std::vector<int> cpus_for(std::size_t threads, bool wanted) {
  const std::vector<int> allowed = wanted ? allowed_cpus() : std::vector<int>{};
  if (allowed.size() <= threads) {
    return std::vector<int>(threads, -1);
  }
  // The first one is left to everybody else.
  return {allowed.begin() + 1, allowed.begin() + 1 + static_cast<std::ptrdiff_t>(threads)};
}

std::thread start_thread(const std::string& name, int cpu, std::function<void()> body) {
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread started;
  try {
    started = std::thread([cpu, name = name.substr(0, 15), body = std::move(body)] {
      (void)pthread_setname_np(pthread_self(), name.c_str());
      if (cpu >= 0) {
        pin_this_thread(cpu);
      }
      body();
    });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace exchange
