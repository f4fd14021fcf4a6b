// Time as the processor counts it, and what the machine took away from us meanwhile.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

// One unit of the finest clock there is: the time-stamp counter where there is one, else a nanosecond.
using Ticks = std::uint64_t;

inline Ticks ticks_now() noexcept {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<Ticks>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

class TickRate {
 public:
  // Compares the counter with the system's clock for 50 ms.
  static TickRate measured() {
    using std::chrono::steady_clock;
    const auto begin = steady_clock::now();
    const Ticks first = ticks_now();
    while (steady_clock::now() - begin < std::chrono::milliseconds(50)) {
    }
    const Ticks last = ticks_now();
    const std::chrono::duration<double, std::nano> took = steady_clock::now() - begin;
    return TickRate(static_cast<double>(last - first) / took.count());
  }
  [[nodiscard]] double ns(Ticks ticks) const noexcept { return static_cast<double>(ticks) / per_ns_; }
  [[nodiscard]] Ticks ticks(double ns) const noexcept { return static_cast<Ticks>(ns * per_ns_); }
  [[nodiscard]] double per_ns() const noexcept { return per_ns_; }

 private:
  explicit TickRate(double per_ns) : per_ns_(per_ns) {}
  double per_ns_;
};

// A loop that looks at the clock all the time should see it move by a few ns. When it moves by more than the bound
// somebody else had the core: another process, the kernel, the hypervisor.
class GapLog {
 public:
  explicit GapLog(const TickRate& rate, double bound_ns = 5'000.0) : bound_(rate.ticks(bound_ns)) {}

  void saw(Ticks from, Ticks to) noexcept {
    const Ticks took = to - from;
    watched_ += took;
    if (took > bound_) {
      ++gaps_;
      lost_ += took;
      longest_ = std::max(longest_, took);
    }
  }
  // Does nothing but look, for so long.
  void watch(Ticks duration) noexcept {
    const Ticks begin = ticks_now();
    Ticks last = begin;
    while (last - begin < duration) {
      const Ticks now = ticks_now();
      saw(last, now);
      last = now;
    }
  }
  [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_; }
  [[nodiscard]] Ticks longest() const noexcept { return longest_; }
  [[nodiscard]] Ticks watched() const noexcept { return watched_; }
  [[nodiscard]] double lost_share() const noexcept {
    return watched_ == 0 ? 0.0 : static_cast<double>(lost_) / static_cast<double>(watched_);
  }

 private:
  Ticks bound_;
  Ticks watched_ = 0;
  Ticks lost_ = 0;
  Ticks longest_ = 0;
  std::uint64_t gaps_ = 0;
};

}  // namespace bench
