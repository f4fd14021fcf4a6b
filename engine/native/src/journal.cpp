#include "exchange/journal.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "log_thread.hpp"

namespace exchange {

namespace {

constexpr std::size_t kLine = 64;  // what two threads write stays on lines of their own
constexpr std::size_t kMask = Journal::kMaxUnconfirmed - 1;
static_assert((Journal::kMaxUnconfirmed & kMask) == 0);

}  // namespace

// Under `device` the command of seq_num s waits in ring[s & kMask] while confirmed < s <= appended. Only the appending
// thread writes `appended`, only the journal's thread `confirmed`; each reads the other's.
struct Journal::Impl {
  Impl(LogConfig config, std::function<void()> tell)
      : inline_append(config.ack_policy == AckPolicy::memory), log(std::move(config)), on_confirmed(std::move(tell)) {}

  alignas(kLine) std::atomic<SeqNum> appended{0};
  alignas(kLine) std::atomic<SeqNum> confirmed{0};
  alignas(kLine) std::atomic<bool> asleep{false};
  std::atomic<bool> stopping{false};
  std::atomic<Lost> lost{Lost::nothing};
  const bool inline_append;
  Log log;
  std::function<void()> on_confirmed;
  std::vector<Command> ring;
  std::thread thread;
  Semaphore wake;

  void tell() const {
    if (on_confirmed) {
      on_confirmed();
    }
  }
  [[nodiscard]] bool append_now(const Command& command) noexcept;
  [[nodiscard]] bool append_later(const Command& command) noexcept;
  [[nodiscard]] bool room() const noexcept {
    return appended.load(std::memory_order_relaxed) - confirmed.load(std::memory_order_acquire) < kMaxUnconfirmed;
  }
  void run() noexcept;
  void sleep(SeqNum seen) noexcept;
  [[nodiscard]] bool write_batch(SeqNum from, SeqNum to) noexcept;
};

Journal::Journal(LogConfig config, std::function<void()> on_confirmed)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(on_confirmed))) {}
Journal::~Journal() { close(); }

bool Journal::healthy() const noexcept { return impl_->log.healthy(); }
SeqNum Journal::appended_seq_num() const noexcept { return impl_->appended.load(std::memory_order_acquire); }
SeqNum Journal::confirmed_seq_num() const noexcept { return impl_->confirmed.load(std::memory_order_acquire); }
SeqNum Journal::durable_seq_num() const noexcept { return impl_->log.durable_seq_num(); }
Journal::Lost Journal::lost() const noexcept { return impl_->lost.load(std::memory_order_acquire); }

LogFault Journal::fault() const noexcept {
  const LogFault fault = impl_->log.fault();
  return fault == LogFault::none && !impl_->room() ? LogFault::slow : fault;
}

RecoveryReport Journal::recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply) {
  Impl& impl = *impl_;
  const RecoveryReport report = impl.log.recover(from, apply);
  impl.appended = report.last_seq_num;
  impl.confirmed = report.last_seq_num;
  if (!impl.inline_append) {
    impl.ring.resize(kMaxUnconfirmed);
    try {
      impl.thread = start_quiet_thread([&impl] { impl.run(); });
    } catch (const std::system_error& error) {
      impl.log.close();
      throw LogError(std::string("no thread can be started for the log: ") + error.what() + "; raise the limit on processes and threads");
    }
  }
  return report;
}

bool Journal::append(const Command& command) noexcept {
  Impl& impl = *impl_;
  return impl.inline_append ? impl.append_now(command) : impl.append_later(command);
}

bool Journal::accepts() const noexcept {
  return impl_->inline_append ? impl_->log.accepts() : impl_->log.healthy() && impl_->room();
}

bool Journal::Impl::append_now(const Command& command) noexcept {
  const bool was_healthy = log.healthy();
  if (log.append({&command, 1}) != AppendResult::written) {
    if (was_healthy && !log.healthy()) {
      lost.store(Lost::refused, std::memory_order_release);
      tell();
    }
    return false;
  }
  const SeqNum seq_num = log.last_seq_num();
  appended.store(seq_num, std::memory_order_release);
  confirmed.store(seq_num, std::memory_order_release);
  tell();
  return true;
}

bool Journal::Impl::append_later(const Command& command) noexcept {
  if (!log.healthy() || !room() || !well_formed(command)) {
    return false;
  }
  const SeqNum seq_num = appended.load(std::memory_order_relaxed) + 1;
  ring[seq_num & kMask] = command;
  // Both sides write first and look at the other's word afterwards (seq_cst): one of them sees it.
  appended.store(seq_num, std::memory_order_seq_cst);
  if (asleep.load(std::memory_order_seq_cst) && asleep.exchange(false, std::memory_order_acq_rel)) {
    wake.post();
  }
  return true;
}

void Journal::Impl::sleep(SeqNum seen) noexcept {
  asleep.store(true, std::memory_order_seq_cst);
  const bool nothing = appended.load(std::memory_order_seq_cst) == seen && !stopping.load(std::memory_order_seq_cst);
  if (nothing || !asleep.exchange(false, std::memory_order_acq_rel)) {
    wake.wait();  // for the one post of whoever turned `asleep` back
  }
}

void Journal::Impl::run() noexcept {
  SeqNum done = confirmed.load(std::memory_order_relaxed);
  while (true) {
    const SeqNum last = appended.load(std::memory_order_acquire);
    if (last == done) {
      if (stopping.load(std::memory_order_acquire)) {
        return;
      }
      sleep(done);
      continue;
    }
    // A batch ends where the ring does, so that it lies in one piece.
    const SeqNum ring_end = ((done + 1) | kMask) + 1;
    const SeqNum to = std::min({last, done + kMaxBatch, ring_end - 1});
    if (!write_batch(done + 1, to)) {
      return;
    }
    done = to;
  }
}

// False when the log is broken.
bool Journal::Impl::write_batch(SeqNum from, SeqNum to) noexcept {
  const std::span<const Command> batch(&ring[from & kMask], to - from + 1);
  AppendResult result = AppendResult::refused;
  do {
    result = log.append(batch);  // refused in health: the next segment is not made yet, and each call waits a while
  } while (result == AppendResult::refused && log.healthy());
  if (result != AppendResult::written) {
    lost.store(result == AppendResult::unknown ? Lost::unknown : Lost::refused, std::memory_order_release);
    tell();
    return false;
  }
  confirmed.store(to, std::memory_order_release);
  tell();
  return true;
}

void Journal::close() noexcept {
  Impl& impl = *impl_;
  if (impl.thread.joinable()) {
    impl.stopping.store(true, std::memory_order_seq_cst);
    if (impl.asleep.exchange(false, std::memory_order_seq_cst)) {
      impl.wake.post();
    }
    impl.thread.join();
  }
  impl.log.close();
}

}  // namespace exchange
