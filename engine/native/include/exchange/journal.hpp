// The log behind a response gate: matching goes on while the device works, and nothing is answered before it may be.
//
// append() gives a command its place; confirmed_seq_num() is the last one whose effects may be shown under the ack
// policy. Under `memory` the two move together. Under `device` a thread of the journal's own collects what came
// meanwhile into one batch, writes it and syncs it (group commit).
//
// After the first failed write nothing more is taken. What was appended and not confirmed then has the fate that
// lost() tells: refused (none of it is in the log), or unknown (it may be: nobody may be told either way).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "exchange/log.hpp"
#include "exchange/types.hpp"

namespace exchange {

class Journal {
 public:
  // `on_confirmed` is called after confirmed_seq_num() moved or a write failed, from the thread that did it; it must
  // not block and may come late or twice. Throws std::invalid_argument on a configuration that makes no sense.
  explicit Journal(LogConfig config, std::function<void()> on_confirmed = {});
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  Journal(Journal&&) = delete;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  // As Log::recover(); then append() works. Throws LogError.
  RecoveryReport recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply);
  // Hands over one command: it has the seq_num appended_seq_num() then. False: nothing was taken, because the log is
  // broken, or because kMaxUnconfirmed commands wait for the device, or the next segment is not made yet (fault()), or
  // the command is not well formed. One thread only. Allocates nothing, takes no lock; a system call only to wake the
  // journal's thread, and once in a segment.
  [[nodiscard]] bool append(const Command& command) noexcept;
  // Room for one more command; false under the conditions of append().
  [[nodiscard]] bool accepts() const noexcept;
  [[nodiscard]] SeqNum appended_seq_num() const noexcept;
  // Safe from any thread, as is everything below.
  [[nodiscard]] SeqNum confirmed_seq_num() const noexcept;
  [[nodiscard]] SeqNum durable_seq_num() const noexcept;
  [[nodiscard]] bool healthy() const noexcept;
  // Why nothing is taken now; `slow` while a device or the making of segments is behind, and that goes by itself.
  [[nodiscard]] LogFault fault() const noexcept;
  enum class Lost : std::uint8_t { nothing, refused, unknown };
  // Settled (no longer `nothing`) once healthy() is false and the thread has seen to what it could take back. After a
  // close() that confirmed everything it stays `nothing`.
  [[nodiscard]] Lost lost() const noexcept;
  // Waits for what was appended, then gives up files and lock. Idempotent.
  void close() noexcept;

  static constexpr std::size_t kMaxUnconfirmed = 65'536;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace exchange
