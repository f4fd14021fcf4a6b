#include "segment_maker.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace exchange {

namespace {

constexpr std::chrono::seconds kLookAgain{1};  // after a failed attempt, and to keep the pages ahead writable
constexpr std::uint64_t kLeastWarm = std::uint64_t{64} << 10U;

}  // namespace

void SegmentMaker::start(const SegmentHeader& next, std::uint64_t last_existing, const Segment& current,
                         const std::atomic<SeqNum>& written) {
  next_ = next;
  last_existing_ = last_existing;
  written_ = &written;
  warmed_from_ = written.load(std::memory_order_relaxed) + 1;
  in_use_.push_back(&current);
  thread_ = start_quiet_thread([this] { run(); });
}

void SegmentMaker::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  if (thread_.joinable()) {
    wake_.post();
    thread_.join();
  }
  free_retired();
  const std::unique_ptr<Segment> unused(ready_.exchange(nullptr));
}

void SegmentMaker::want() noexcept {
  if (!wanted_.exchange(true, std::memory_order_acq_rel)) {
    wake_.post();
  }
}

std::unique_ptr<Segment> SegmentMaker::take(std::chrono::milliseconds patience, int& error) noexcept {
  const std::uint64_t attempts = attempts_.load(std::memory_order_acquire);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool woken = false;
  while (true) {
    if (Segment* const got = ready_.exchange(nullptr, std::memory_order_acq_rel); got != nullptr) {
      error = 0;
      return std::unique_ptr<Segment>(got);
    }
    error = last_error_.load(std::memory_order_acquire);
    if (attempts_.load(std::memory_order_acquire) != attempts && error != 0) {
      return nullptr;
    }
    if (!woken) {
      wanted_.store(true, std::memory_order_release);
      wake_.post();
      woken = true;
    }
    if (!made_.wait_until(deadline)) {
      error = ETIMEDOUT;
      return nullptr;
    }
  }
}

void SegmentMaker::retire(std::unique_ptr<Segment> segment) noexcept {
  Segment* const one = segment.release();
  one->next_retired = retired_.load(std::memory_order_relaxed);
  while (!retired_.compare_exchange_weak(one->next_retired, one, std::memory_order_acq_rel)) {
  }
}

void SegmentMaker::run() noexcept {
  while (!stopping_.load(std::memory_order_acquire)) {
    free_retired();
    warm();
    const Segment* const made = wanted_.load(std::memory_order_acquire) && !ready() ? attempt() : nullptr;
    if (made != nullptr && use_ == SegmentUse::memory && !stopping_.load(std::memory_order_acquire)) {
      settle_segment(dir_, *made);  // it stays: only this thread closes what was handed out
    }
    (void)wake_.wait_until(std::chrono::steady_clock::now() + kLookAgain);
  }
}

// What was made and handed out, or null.
const Segment* SegmentMaker::attempt() noexcept {
  const Segment* handed_out = nullptr;
  int error = ENOMEM;
  try {
    auto made = std::make_unique<Segment>();
    error = make(*made);
    if (error == 0) {
      in_use_.push_back(made.get());
      handed_out = made.get();  // behind the last thing that may throw, or nobody would own it
      next_.first_seq_num = made->header.end_seq_num();
      ++next_.index;
      wanted_.store(false, std::memory_order_release);
      ready_.store(made.release(), std::memory_order_release);
    }
  } catch (...) {
    error = ENOMEM;
  }
  last_error_.store(error, std::memory_order_release);
  attempts_.fetch_add(1, std::memory_order_acq_rel);
  made_.post();
  return handed_out;
}

int SegmentMaker::make(Segment& made) noexcept {
  if (next_.index > last_existing_) {
    return create_segment(dir_, next_, use_, stopping_, made);
  }
  try {
    return open_segment(dir_, next_.index, use_, made) ? EIO : own_blocks(made, use_);
  } catch (...) {
    return ENOMEM;
  }
}

void SegmentMaker::free_retired() noexcept {
  Segment* one = retired_.exchange(nullptr, std::memory_order_acq_rel);
  while (one != nullptr) {
    const std::unique_ptr<Segment> owned(one);
    one = one->next_retired;
    std::erase(in_use_, owned.get());
  }
}

// The system writes dirty pages out now and then and takes the first write after that as a fault, which may wait for
// the file system. This thread takes it instead, for twice what was written since it last looked: a page made writable
// is dirty, so that each one more than needed is written out in vain.
void SegmentMaker::warm() noexcept {
  if (use_ != SegmentUse::memory) {
    return;
  }
  const SeqNum next = written_->load(std::memory_order_acquire) + 1;
  const std::uint64_t ahead = std::max(kLeastWarm, 2 * (next - std::exchange(warmed_from_, next)) * kRecordSize);
  for (const Segment* const segment : in_use_) {
    const SegmentHeader& header = segment->header;
    if (next >= header.first_seq_num && next < header.end_seq_num()) {
      segment->map.make_writable(header.offset_of(next) / kBlock * kBlock, ahead);
    }
  }
}

}  // namespace exchange
