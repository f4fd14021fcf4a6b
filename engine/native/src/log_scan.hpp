// The reading half of recovery and of the tools: every segment in order, every record judged, nothing changed on disk.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "segment.hpp"
#include "segment_mend.hpp"

namespace exchange {

// What is to be zeroed before the log may grow: the places from_seq..to_seq, all in the last batch.
struct TornTail {
  SeqNum from_seq = 0;
  SeqNum to_seq = 0;
  std::uint64_t records = 0;  // places in it that held something
};

struct ScanRules {
  std::optional<std::uint64_t> config_digest;  // nothing: that of the first segment
  std::optional<std::uint64_t> newest_epoch;   // nothing: any
  LogStart from;
  bool mend = false;  // read the log as it is once every certain mend of a segment is done
};

// Places in a row without a good record, behind which records stood.
struct HoleRun {
  std::string path;
  std::uint64_t offset = 0;
  SeqNum from_seq = 0;
  SeqNum to_seq = 0;
};
// The first place without a good record, and what came since.
struct LogHole {
  std::vector<HoleRun> runs;
  bool run_open = true;
  SeqNum last_held = 0;     // the last place that held something; 0: none did
  std::uint64_t held = 0;   // how many did
  std::string too_far;      // where something stands that no torn batch can have left
  [[nodiscard]] SeqNum seq_num() const noexcept { return runs.front().from_seq; }
};

class LogScan {
 public:
  using OnRecord = std::function<void(const LogRecord&)>;
  // May throw to end the scan; when it comes back, the scan goes on behind the problem as well as it can.
  using OnProblem = std::function<void(const LogProblem&)>;

  LogScan(std::string dir, const ScanRules& rules, OnRecord on_record, OnProblem on_problem);

  // Throws what the callbacks throw, and LogError when the folder cannot be listed.
  void run();

  // Behind the last record that was handed on.
  [[nodiscard]] SeqNum next_seq_num() const noexcept { return next_seq_; }
  [[nodiscard]] TimeNs last_ts_ns() const noexcept { return ts_ns_; }
  [[nodiscard]] const std::optional<TornTail>& torn_tail() const noexcept { return torn_; }
  // Those with a good header, or one that is certain all the same, with what was found in them.
  [[nodiscard]] const std::vector<LogSegmentInfo>& segments() const noexcept { return segments_; }
  // Of segments() that are not good as they are.
  [[nodiscard]] const std::vector<SegmentMend>& mends() const noexcept { return mends_; }

 private:
  void read_headers();
  void read_header(std::uint64_t index, SeqNum& expected_first, std::uint64_t& expected_index);
  bool bad_header(const LogProblem& problem, Segment& segment, std::uint64_t index, SeqNum expected_first);
  [[nodiscard]] UniqueFd open_for_scan(const LogSegmentInfo& info) const;
  [[nodiscard]] std::string foreign_snapshots(SeqNum from) const;
  void check_order(const SegmentHeader& header, const std::string& path, SeqNum expected_first);
  void scan(LogSegmentInfo& info);
  void start_behind(const LogSegmentInfo& info, std::span<const std::uint8_t, kRecordSize> bytes);
  void place(LogSegmentInfo& info, SeqNum seq_num, std::span<const std::uint8_t, kRecordSize> bytes);
  void keep(const LogSegmentInfo& info, SeqNum seq_num);
  void check_record(const LogSegmentInfo& info, SeqNum seq_num);
  void good_behind_hole(const LogSegmentInfo& info, SeqNum seq_num);
  void bad_place(const LogSegmentInfo& info, SeqNum seq_num, bool empty);
  void later_batch(const std::string& where);
  void finish();
  void report(LogProblem::Kind kind, const std::string& path, std::uint64_t offset, SeqNum from, SeqNum to, std::string what,
              LogCause cause = LogCause::damage) const;
  void report(LogProblem::Kind kind, const LogSegmentInfo& info, SeqNum seq_num, std::string what, LogCause cause = LogCause::damage) const;

  std::string dir_;
  ScanRules rules_;
  OnRecord on_record_;
  OnProblem on_problem_;
  std::vector<LogSegmentInfo> segments_;
  std::vector<SegmentMend> mends_;
  LogRecord record_;  // the one being judged
  SeqNum next_seq_ = 1;
  std::uint64_t epoch_ = 0;
  SeqNum batch_first_seq_ = 0;
  TimeNs ts_ns_;
  bool resume_ = false;  // what came before is not known: the next record's batch is taken as it is
  std::optional<LogHole> hole_;
  std::optional<TornTail> torn_;
};

// Every snapshot of the folder, newest first. `whole`: all of the file is held against its CRCs, not the header alone.
[[nodiscard]] std::vector<LogSnapshot> snapshots_of(const std::string& dir, bool whole);
// Fills in which of them end with a record that stands in these segments.
void hold_against(const std::vector<LogSegmentInfo>& segments, std::vector<LogSnapshot>& snapshots);

[[nodiscard]] inline std::uint64_t offset_in(const LogSegmentInfo& info, SeqNum seq_num) noexcept {
  return kSegmentHeaderSize + (seq_num - info.first_seq_num) * kRecordSize;
}

}  // namespace exchange
