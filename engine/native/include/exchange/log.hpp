// The write-ahead log: every input, before anybody sees its effect. Its rules for people: docs/log.md.
//
// A directory of segments 00000001.log, 00000002.log, ...: a 4096-byte header, then a fixed number of 128-byte
// records, all pre-written with real zeros (allocating without writing makes the device pay later, at the worst
// time) by a thread of the log's own, one segment ahead. The record of seq_num s has one possible place, so a hole
// cannot hide. Records carry CRC, epoch, dense seq_num and the first seq_num of their batch.
//
// Recovery cuts a damaged tail only if it can belong to the last batch. A batch that was torn by a crash was answered to
// nobody; one that rotted on the disk later was, and looks the same: RecoveryReport names what was cut. Damage with a record of a later batch behind it, or anything else out of order, raises
// LogError and changes nothing.
//
// Limits: damage inside the last batch looks like a torn write even if the batch had been answered, and a log
// whose last segments were deleted looks like a shorter log. Only a second copy can tell these apart.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "exchange/record.hpp"

namespace exchange {

// What kind of refusal it is, for who tells a person what to do next.
enum class LogCause : std::uint8_t {
  other,     // the message says it all
  empty,     // no log there
  damage,    // records or files are gone or wrong: restore them, or repair
  snapshot,  // a snapshot holds records that the log does not have
  in_use,    // another process has the folder
  settings,  // another configuration, number of partitions, format or epoch: nothing is wrong with the files
  system,    // a right, a full disk, a device
};

// The log cannot be trusted or opened. The message names segment, byte offset and what to do.
class LogError : public std::runtime_error {
 public:
  explicit LogError(const std::string& what, LogCause cause = LogCause::other) : std::runtime_error(what), cause_(cause) {}
  [[nodiscard]] LogCause cause() const noexcept { return cause_; }

 private:
  LogCause cause_;
};

// memory: stored into the page cache before the answer; survives the death of the process.
// device: on the device, one batch at a time, before any answer of the batch; survives a power cut.
// replicated: the standby has it too; refused by this version, which has no standby.
enum class AckPolicy : std::uint8_t { memory, device, replicated };

// Where recovery begins: behind this record, which a snapshot holds already. `crc` is that record's own, so that a
// snapshot of another history is found out. seq_num 0: at the beginning.
struct LogStart {
  SeqNum seq_num = 0;
  std::uint32_t crc = 0;
};

struct LogConfig {
  std::string dir;
  AckPolicy ack_policy = AckPolicy::device;
  std::uint64_t epoch = 1;
  std::uint64_t config_digest = 0;         // of limits and instruments: a log is refused under another one
  std::uint64_t segment_records = 262144;  // of new segments, at most 2^24; existing ones keep theirs
};

struct RecoveryReport {
  std::uint64_t records = 0;  // handed to `apply`: those behind LogStart
  SeqNum last_seq_num = 0;
  std::uint64_t torn_records_cut = 0;
  SeqNum torn_from_seq = 0;  // the places that were cut; 0: none
  SeqNum torn_to_seq = 0;
  std::uint64_t segments = 0;  // up to the one that is written next; not what is made ahead of it
  std::uint64_t elapsed_us = 0;
};

enum class AppendResult : std::uint8_t {
  written,  // under the ack policy's promise
  refused,  // nothing of the batch is in the log; while healthy() still holds, the same may succeed later
  unknown,  // the write failed and could not be taken back: nobody may be told either way
};

// Why the log takes nothing now. `slow` goes by itself (the device is behind), the others stay until a new start.
enum class LogFault : std::uint8_t { none, slow, disk_full, read_only, device };
// A sentence that says what to do, for logs and status pages.
[[nodiscard]] const char* fault_text(LogFault fault) noexcept;

// Most records of one batch; recovery relies on it.
inline constexpr std::size_t kMaxBatch = 4096;

class Log {
 public:
  // Throws std::invalid_argument on a configuration that makes no sense. Opens nothing.
  explicit Log(LogConfig config);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  Log(Log&&) = delete;
  Log& operator=(Log&&) = delete;
  ~Log();

  // Takes the directory's lock (one process at a time), hands every record behind `from` to `apply` in order, cuts a
  // torn tail, makes everything kept durable and opens the log for append. Segments before `from` need only good
  // headers. Call once. Throws LogError, and is closed then.
  RecoveryReport recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply);
  // Gives up the files and the directory's lock for good; append() refuses from here on.
  void close() noexcept;

  // Writes one batch of 1..kMaxBatch well-formed commands under the next seq_nums; under `memory` each is a batch of
  // its own. A ts_ns before the last one's is written as the last one's: time in the log never goes back, and the
  // state machine would read it so anyway. After a failed write the log stays unhealthy and refuses everything.
  [[nodiscard]] AppendResult append(std::span<const Command> batch) noexcept;
  // False when append() of one command would surely be refused now.
  [[nodiscard]] bool accepts() const noexcept;

  [[nodiscard]] SeqNum last_seq_num() const noexcept;
  // Safe from any thread, as is everything below.
  [[nodiscard]] bool healthy() const noexcept;
  [[nodiscard]] LogFault fault() const noexcept;
  // The last seq_num in the files, before it is confirmed too.
  [[nodiscard]] SeqNum written_seq_num() const noexcept;
  // The last seq_num known to be on the device. Under `memory` it moves only at recovery.
  [[nodiscard]] SeqNum durable_seq_num() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace exchange
