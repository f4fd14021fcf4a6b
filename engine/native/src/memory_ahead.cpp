#include "exchange/memory_ahead.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "core_threads.hpp"
#include "log_thread.hpp"
#include "state.hpp"

namespace exchange {

namespace {

constexpr std::chrono::milliseconds kEvery{25};
constexpr std::uintptr_t kPiece = Pages::kSmall;

// Whole pieces: a part of a huge page is touched as all of it.
void touch(std::uintptr_t from, std::uintptr_t to) noexcept {
  const std::uintptr_t begin = from & ~std::uintptr_t{4095};
  (void)::madvise(reinterpret_cast<void*>(begin), to - begin, MADV_POPULATE_WRITE);  // NOLINT(performance-no-int-to-ptr)
}

}  // namespace

class MemoryAhead::Thread {
 public:
  explicit Thread(MemoryAhead& whose) : thread_(start_thread("memory-ahead", -1, [this, &whose] { run(whose); })) {}
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  Thread(Thread&&) = delete;
  Thread& operator=(Thread&&) = delete;
  ~Thread() {
    stop_.post();
    thread_.join();
  }

 private:
  void run(MemoryAhead& whose) noexcept {
    do {
      whose.look();
    } while (!stop_.wait_until(std::chrono::steady_clock::now() + kEvery));
  }

  Semaphore stop_;
  std::thread thread_;
};

// For 25 ms of a million orders a second that all stay, and then twice that. A growing array tells the piece it is in, so that two are
// the least to have the next one ready; rows of firms fill one in a day.
std::array<Ahead, MemoryAhead::kAreas> State::ahead() const noexcept {
  const auto [entries, table, next_table] = cl_ord_ids.ahead();
  return {{
      {slab.orders_ahead(), 2 * kPiece},
      {slab.links_ahead(), kPiece / 2},
      {whereabouts.front(), 2 * kPiece},
      {entries, 3 * kPiece},
      {table, table.bytes},
      {next_table, next_table.bytes},
      {ladder_memory.windows.front(), 2 * kPiece},
      {firms.from(0), firms.from(0).bytes},
      {cell_pages.front(), kPiece},
      {cell_numbers.front(), 2 * kPiece},
      {cells.front(), 2 * kPiece},
  }};
}

MemoryAhead::MemoryAhead(const Engine& engine) noexcept : engine_(engine) {}

MemoryAhead::~MemoryAhead() = default;

void MemoryAhead::look() noexcept {
  const std::array<Ahead, kAreas> areas = engine_.state_->ahead();
  for (std::size_t i = 0; i < kAreas; ++i) {
    const auto [next, left] = areas[i].range;
    const std::size_t wanted = std::min(areas[i].bytes, left);
    if (wanted == 0) {
      continue;
    }
    const std::uintptr_t to = std::min(next + left, (next + wanted + kPiece - 1) & ~(kPiece - 1));
    Ready& ready = ready_[i];
    const bool known = next >= ready.from && next <= ready.to;
    const std::uintptr_t from = known ? ready.to : next;
    if (from < to) {
      touch(from, to);
    }
    ready = {next, std::max(from, to)};
  }
}

bool MemoryAhead::start() noexcept {
  try {
    thread_ = std::make_unique<Thread>(*this);
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace exchange
