// The thread that keeps the slow work of segments away from the log: it makes (or opens) the next one while the
// present one is being filled, gives back finished ones, and takes the page faults of what is about to be written.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "log_thread.hpp"
#include "segment.hpp"

namespace exchange {

class SegmentMaker {
 public:
  SegmentMaker(std::string dir, SegmentUse use) : dir_(std::move(dir)), use_(use) {}
  SegmentMaker(const SegmentMaker&) = delete;
  SegmentMaker& operator=(const SegmentMaker&) = delete;
  SegmentMaker(SegmentMaker&&) = delete;
  SegmentMaker& operator=(SegmentMaker&&) = delete;
  ~SegmentMaker() { stop(); }

  // `next`: of the segment behind `current`. It and those behind it up to the index `last_existing` are opened, later
  // ones made. `written`: the log's progress. Throws std::system_error when there is no thread to be had.
  void start(const SegmentHeader& next, std::uint64_t last_existing, const Segment& current, const std::atomic<SeqNum>& written);
  // Ends the thread; a segment in the making is given up. Idempotent.
  void stop() noexcept;

  // The rest is for one thread, the log's.

  // The next one will be needed; costs at most one wake.
  void want() noexcept;
  // The next one, or null and the error: of an attempt that ended during this call, or ETIMEDOUT after `patience`.
  [[nodiscard]] std::unique_ptr<Segment> take(std::chrono::milliseconds patience, int& error) noexcept;
  [[nodiscard]] bool ready() const noexcept { return ready_.load(std::memory_order_acquire) != nullptr; }
  // Closes it, later, elsewhere.
  void retire(std::unique_ptr<Segment> segment) noexcept;

 private:
  void run() noexcept;
  const Segment* attempt() noexcept;
  [[nodiscard]] int make(Segment& made) noexcept;
  void free_retired() noexcept;
  void warm() noexcept;

  const std::string dir_;
  const SegmentUse use_;
  const std::atomic<SeqNum>* written_ = nullptr;
  SegmentHeader next_;
  std::uint64_t last_existing_ = 0;
  SeqNum warmed_from_ = 0;  // the thread's own: what was next when it last looked
  std::vector<const Segment*> in_use_;  // the thread's own: handed out and not retired

  std::atomic<Segment*> ready_{nullptr};
  std::atomic<Segment*> retired_{nullptr};  // a stack
  std::atomic<bool> wanted_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> attempts_{0};
  std::atomic<int> last_error_{0};  // of the last attempt
  Semaphore wake_;
  Semaphore made_;
  std::thread thread_;
};

}  // namespace exchange
