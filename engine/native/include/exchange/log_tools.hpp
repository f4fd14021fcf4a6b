// What a person or another program does with a log folder: read along, look for damage, repair, find one record.
//
// Reading and verifying take no lock and change nothing, so they work beside a running core; only repair() takes the
// lock. The rules of what is damage are those of Log::recover(), by the same code.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "exchange/log.hpp"

namespace exchange {

// The records of a folder in order, also while a core writes there. A record is seen when it is in the file, which
// may be before it is confirmed: the last batch may yet be taken back.
class LogReader {
 public:
  enum class Stop : std::uint8_t {
    none,        // not stopped: as many records as were asked for
    end,         // the next place is empty, or its segment is not there yet
    unfinished,  // the next place holds bytes that are no whole record: being written now, torn, or damaged
    damaged,     // a record that does not belong there, a header that makes no sense, a segment missing
    unreadable,  // the system cannot read the file
  };

  // Throws LogError when the folder cannot be read, has no segment that could hold the record, or another format.
  explicit LogReader(std::string dir, SeqNum from_seq_num = 1);
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;
  ~LogReader();

  // Fills `to` and returns how many records there were. Fewer than asked for: stop() says why, and a later call goes
  // on from there, because a log grows.
  std::size_t next(std::span<LogRecord> to);
  [[nodiscard]] Stop stop() const noexcept;
  // "<file>: offset <n>: <why>"; empty when not stopped.
  [[nodiscard]] const std::string& stop_text() const noexcept;
  // Of the record that comes next.
  [[nodiscard]] SeqNum next_seq_num() const noexcept;
  // As in the header of the first segment read; a log is bound to one.
  [[nodiscard]] std::uint64_t config_digest() const noexcept;
  // Throws LogError when what stands behind the place it stopped at is no torn last batch. Reads to the end of the log.
  void check_tail() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One thing that verify() found. A run of places with the same fault is one problem.
struct LogProblem {
  // torn_tail: a start would cut it. record: damage that repair can cut away. segment: likewise, of a whole file.
  // snapshot: it holds a record that the log does not have; repair can move it away. stuck: nothing these tools can mend
  // (another format, a device or a mode that forbids reading).
  enum class Kind : std::uint8_t { torn_tail, record, segment, snapshot, stuck };
  Kind kind = Kind::record;
  std::string segment;  // path; of a snapshot: its own
  std::uint64_t offset = 0;
  SeqNum seq_num = 0;  // of the first place concerned
  SeqNum last_seq_num = 0;
  std::string what;
  LogCause cause = LogCause::damage;
  // verify() only. False: a start does not read this place, because a snapshot holds all that stands before it.
  bool met_by_start = true;
  bool header_lost = false;  // of a segment: what it must have been is not certain

  // False: a start refuses.
  [[nodiscard]] bool start_goes_on() const noexcept { return kind == Kind::torn_tail || !met_by_start; }
  [[nodiscard]] std::string text() const;
};

struct LogSegmentInfo {
  std::string path;
  std::uint64_t index = 0;
  SeqNum first_seq_num = 0;
  std::uint64_t places = 0;
  std::uint64_t epoch = 0;  // of the core that made it
  std::uint64_t config_digest = 0;
  std::uint64_t records = 0;  // good ones; the rest only when there are some
  SeqNum first_record = 0;
  SeqNum last_record = 0;
  std::uint64_t first_epoch = 0;
  std::uint64_t last_epoch = 0;
  TimeNs first_ts_ns = 0;
  TimeNs last_ts_ns = 0;
};

// A snapshot, held against the log beside it.
struct LogSnapshot {
  std::string path;
  SeqNum seq_num = 0;  // as its header says, or its name when that is damaged
  std::uint32_t record_crc = 0;
  std::string wrong;    // why a start passes it over; empty: the file is good
  bool in_log = false;  // the log has the record that it ends with
};

struct LogVerifyReport {
  std::vector<LogSegmentInfo> segments;
  std::vector<LogSnapshot> snapshots;  // newest first
  std::vector<LogProblem> problems;
  std::uint64_t problems_left_off = 0;  // beyond kMaxProblems
  std::uint64_t records = 0;            // good ones, wherever they stand
  SeqNum last_seq_num = 0;              // of the last record that stands before any problem
  bool in_use = false;                  // a core has the lock: the tail may be moving
  bool refused = false;                 // a start refuses, whatever it is configured with
  SeqNum start_behind = 0;              // the snapshot that a start takes the log up behind; 0: none
  SeqNum start_last_seq_num = 0;        // where the log ends after a start; 0 when it refuses
  [[nodiscard]] bool starts() const noexcept { return !refused; }
  // A start goes on, but records that it does not read are gone: no replay or end of day of them.
  [[nodiscard]] bool history_damaged() const noexcept;
  [[nodiscard]] std::string used_snapshot() const;  // path; empty: none
};

inline constexpr std::size_t kMaxProblems = 1000;

// Reads all of it, then what a start reads: the log behind the newest good snapshot. What it cannot see is whether a
// snapshot's state loads under the core's configuration. Throws LogError only when the folder itself cannot be read.
[[nodiscard]] LogVerifyReport verify_log(const std::string& dir);

struct LogRepairPlan {
  bool needed = false;    // false: a start would go on by itself
  bool possible = false;  // false: `reason` says why not
  std::string reason;     // the first problem, or why there is nothing to do
  bool history_damaged = false;  // not needed, because a snapshot makes the log start; `reason` says what to do
  SeqNum cut_from = 0;    // every record from here on goes; 0: none does
  std::uint64_t lost_records = 0;                     // of them, those with a good CRC
  std::vector<std::pair<SeqNum, SeqNum>> lost;        // their seq_nums, as ranges, at most kMaxProblems
  std::string zeroed;                                 // path of the segment that keeps its front; empty: none
  std::vector<std::string> removed;                   // paths of the segments that go as a whole
  std::vector<std::string> snapshots;                 // paths of those that hold more than the log will, which go too
  std::vector<std::string> mended;                    // "path: what is done": headers and lengths that are put right
};

// Looks only. Throws LogError when the folder cannot be read.
[[nodiscard]] LogRepairPlan plan_repair(const std::string& dir);
// Does what `plan` says after taking the lock and seeing that the log still needs that very plan. The segments it
// changes are first copied to dir/damaged-<utc_stamp>, those it removes are moved there, snapshots too. Safe to run again after a
// crash. Throws LogError; `utc_stamp` is letters, digits and '-'.
void repair_log(const std::string& dir, const LogRepairPlan& plan, const std::string& utc_stamp);

// The CRC of the record of `seq_num`; nothing when the log has no good one. Throws LogError when it cannot be read.
[[nodiscard]] std::optional<std::uint32_t> record_crc_at(const std::string& dir, SeqNum seq_num);
// Puts every segment that may hold records up to `seq_num` on the device, whoever wrote them. Throws LogError.
void sync_log(const std::string& dir, SeqNum seq_num);

}  // namespace exchange
