// Keeps the page faults of a growing engine away from the thread that applies orders.
//
// An engine's memory is address space that costs something where it was touched, and the first touch of a piece is dear:
// the kernel zeroes two megabytes, a tenth of a millisecond on a machine of one's own and several where the host has to
// find them first. A thread of this class looks 40 times a second at where the engine's tables end and touches what the
// orders of the next moments will use, sized for a million orders a second that stay: 48 MiB of a new engine, 16 of them
// its table of ids. Nothing is written and no result depends on it; when it comes late, or the kernel (before Linux 5.14)
// cannot do it, the order's thread takes the fault, as without it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "exchange/engine.hpp"

namespace exchange {

class MemoryAhead {
 public:
  static constexpr std::size_t kAreas = 11;

  // The engine must outlive this and stay where it is; behind start() nothing may be assigned to it.
  explicit MemoryAhead(const Engine& engine) noexcept;
  MemoryAhead(const MemoryAhead&) = delete;
  MemoryAhead& operator=(const MemoryAhead&) = delete;
  MemoryAhead(MemoryAhead&&) = delete;
  MemoryAhead& operator=(MemoryAhead&&) = delete;
  ~MemoryAhead();

  // Makes ready what is not: milliseconds the first time. By one thread at a time, and not behind start().
  void look() noexcept;
  // Looks from now on by itself, until the end, in a thread `memory-ahead` that may run where the caller may: no caller
  // that is pinned to one CPU. False: there was no thread to be had.
  bool start() noexcept;

 private:
  // What was made ready without a gap.
  struct Ready {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
  };
  class Thread;

  const Engine& engine_;
  std::array<Ready, kAreas> ready_{};
  std::unique_ptr<Thread> thread_;
};

}  // namespace exchange
