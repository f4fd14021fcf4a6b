#include "log_scan.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "exchange/snapshot.hpp"

namespace exchange {

namespace {

using Kind = LogProblem::Kind;

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string records_of(SeqNum from, SeqNum to) {
  return from == to ? "the record of seq_num " + number(from) + " is"
                    : "the records of seq_nums " + number(from) + ".." + number(to) + " are";
}

std::string where(const LogSegmentInfo& info, SeqNum seq_num) { return info.path + " offset " + number(offset_in(info, seq_num)); }

void count(LogSegmentInfo& info, const LogRecord& record) noexcept {
  if (info.records++ == 0) {
    info.first_record = record.seq_num;
    info.first_epoch = record.epoch;
    info.first_ts_ns = record.command.ts_ns;
  }
  info.last_record = record.seq_num;
  info.last_epoch = record.epoch;
  info.last_ts_ns = record.command.ts_ns;
}

}  // namespace

LogScan::LogScan(std::string dir, const ScanRules& rules, OnRecord on_record, OnProblem on_problem)
    : dir_(std::move(dir)),
      rules_(rules),
      on_record_(std::move(on_record)),
      on_problem_(std::move(on_problem)),
      ts_ns_(std::numeric_limits<TimeNs>::min()) {}

void LogScan::report(LogProblem::Kind kind, const std::string& path, std::uint64_t offset, SeqNum from, SeqNum to, std::string what,
                     LogCause cause) const {
  LogProblem problem{kind, path, offset, from, to, std::move(what)};
  problem.cause = cause;
  on_problem_(problem);
}

void LogScan::report(LogProblem::Kind kind, const LogSegmentInfo& info, SeqNum seq_num, std::string what, LogCause cause) const {
  report(kind, info.path, offset_in(info, seq_num), seq_num, seq_num, std::move(what), cause);
}

void LogScan::run() {
  read_headers();
  const SeqNum from = rules_.from.seq_num;
  SeqNum expected_first = 1;
  for (LogSegmentInfo& info : segments_) {
    const SeqNum end = info.first_seq_num + info.places;
    if (end > from) {
      resume_ = resume_ || (!hole_ && info.first_seq_num != expected_first);
      scan(info);
    }
    expected_first = end;
  }
  if (from >= expected_first) {
    report(Kind::snapshot, snapshot_path(dir_, from), 0, from, from,
           "it ends with seq_num " + number(from) + ", and the log ends before: the log lost its end, or the snapshot is of another history" +
               foreign_snapshots(from));
  }
  finish();
}

void LogScan::read_headers() {
  SeqNum expected_first = 1;
  std::uint64_t expected_index = 1;
  for (const std::uint64_t index : list_segments(dir_)) {
    read_header(index, expected_first, expected_index);
  }
}

// `expected_first` 0: not known, because the segment before cannot be read.
void LogScan::read_header(std::uint64_t index, SeqNum& expected_first, std::uint64_t& expected_index) {
  Segment segment;
  const auto problem = open_segment(dir_, index, SegmentUse::read, segment);
  const bool missing = index != expected_index;
  if (missing) {
    report(Kind::segment, segment_path(dir_, index), 0, expected_first, expected_first,
           "segment " + number(expected_index) + " before it is missing");
    expected_first = 0;
  }
  expected_index = index + 1;
  if (problem && !bad_header(*problem, segment, index, expected_first)) {
    expected_first = 0;
    return;
  }
  const SegmentHeader& header = segment.header;
  check_order(header, segment.path, expected_first);
  const bool overlaps = !segments_.empty() && header.first_seq_num < segments_.back().first_seq_num + segments_.back().places;
  expected_first = header.end_seq_num();
  if (!overlaps) {
    LogSegmentInfo info;
    info.path = segment.path;
    info.index = index;
    info.first_seq_num = header.first_seq_num;
    info.places = header.records;
    info.epoch = header.epoch;
    info.config_digest = header.config_digest;
    segments_.push_back(std::move(info));
  }
}

// True when the header is certain all the same; it stands in `segment` then.
bool LogScan::bad_header(const LogProblem& problem, Segment& segment, std::uint64_t index, SeqNum expected_first) {
  std::optional<SegmentHeader> before;
  if (!segments_.empty() && segments_.back().index + 1 == index) {
    const LogSegmentInfo& last = segments_.back();
    before = SegmentHeader{last.index, last.first_seq_num, last.places, last.epoch, last.config_digest};
  }
  const auto mend = problem.kind == Kind::segment ? mend_of(dir_, index, before) : std::nullopt;
  LogProblem told = problem;
  told.seq_num = told.last_seq_num = expected_first;
  if (mend && mend->first_missing() < mend->header.end_seq_num()) {
    told.seq_num = mend->first_missing();
    told.last_seq_num = mend->header.end_seq_num() - 1;
    told.what += ": these places are not there";
  }
  told.header_lost = !mend;
  if (!mend || !rules_.mend) {
    on_problem_(told);
  }
  if (mend) {
    segment.header = mend->header;
    mends_.push_back(*mend);
  }
  return mend.has_value();
}

void LogScan::check_order(const SegmentHeader& header, const std::string& path, SeqNum expected_first) {
  if (expected_first != 0 && header.first_seq_num != expected_first) {
    report(Kind::segment, path, 24, expected_first, expected_first,
           "the segment starts at seq_num " + number(header.first_seq_num) + ", not at " + number(expected_first) +
               ": a segment before it is missing or replaced");
  }
  if (rules_.config_digest && header.config_digest != *rules_.config_digest) {
    report(Kind::stuck, path, 48, header.first_seq_num, header.first_seq_num,
           "the log was written under another instrument configuration and would replay differently (the list of "
           "instruments is fixed for the life of a log: start with the list and limits it was written under, "
           "or give another list a new log folder)",
           LogCause::settings);
  }
  if (!rules_.config_digest && !segments_.empty() && header.config_digest != segments_.front().config_digest) {
    report(Kind::segment, path, 48, header.first_seq_num, header.first_seq_num,
           "the segment was written under another instrument configuration than the first one");
  }
  if (!segments_.empty() && header.epoch < segments_.back().epoch) {
    report(Kind::segment, path, 40, header.first_seq_num, header.first_seq_num,
           "the segment's epoch is older than that of the segment before it");
  }
  if (rules_.newest_epoch && header.epoch > *rules_.newest_epoch) {
    report(Kind::stuck, path, 40, header.first_seq_num, header.first_seq_num,
           "the log holds epoch " + number(header.epoch) + ", newer than this core's epoch " + number(*rules_.newest_epoch) +
               ": another core took over; this one must not go on",
           LogCause::settings);
  }
}

// A file that is too short is read as if zeros made it whole: those of a mend.
UniqueFd LogScan::open_for_scan(const LogSegmentInfo& info) const {
  UniqueFd fd(::open(info.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    report(Kind::stuck, info.path, 0, info.first_seq_num, info.first_seq_num,
           "the segment cannot be opened: " + error_text(errno) + "; check the folder's owner, mode and mount", LogCause::system);
  }
  return fd;
}

void LogScan::scan(LogSegmentInfo& info) {
  constexpr std::uint64_t kChunkRecords = 512;  // small enough to stay in the cache
  const UniqueFd fd = open_for_scan(info);
  if (!fd) {
    return;
  }
  const bool may_be_short = std::any_of(mends_.begin(), mends_.end(), [&info](const SegmentMend& one) { return one.header.index == info.index; });
  std::vector<std::uint8_t> chunk(kChunkRecords * kRecordSize);
  const SeqNum end = info.first_seq_num + info.places;
  SeqNum seq_num = std::max(info.first_seq_num, rules_.from.seq_num);
  while (seq_num < end) {
    const std::uint64_t count = std::min(kChunkRecords, end - seq_num);
    const std::span<std::uint8_t> part = std::span(chunk).first(count * kRecordSize);
    const Transfer got = read_at(fd.get(), part, offset_in(info, seq_num));
    if (got.bytes < part.size() && (got.error != 0 || !may_be_short)) {
      report(Kind::stuck, info.path, offset_in(info, seq_num) + got.bytes, seq_num, end - 1,
             "the segment cannot be read: " + error_text(got.error) + "; look at the device and the system's own log", LogCause::system);
      resume_ = true;
      return;
    }
    std::fill(part.begin() + static_cast<std::ptrdiff_t>(got.bytes), part.end(), std::uint8_t{0});
    const bool nothing_new = hole_ && hole_->run_open && all_zero(part);
    for (std::uint64_t i = 0; i < count && !nothing_new; ++i) {
      place(info, seq_num + i, std::span<const std::uint8_t, kRecordSize>(part.data() + i * kRecordSize, kRecordSize));
    }
    seq_num += count;
  }
}

// The record that the snapshot holds already must be the very one.
void LogScan::start_behind(const LogSegmentInfo& info, std::span<const std::uint8_t, kRecordSize> bytes) {
  const SeqNum from = rules_.from.seq_num;
  const bool same = decode_record(bytes, record_) == RecordState::valid && record_.seq_num == from && record_.crc == rules_.from.crc;
  if (!same) {
    report(Kind::snapshot, snapshot_path(dir_, from), 0, from, from,
           "the record of seq_num " + number(from) + " (" + where(info, from) +
               ") is not the one that the snapshot was taken behind: the log lost its end, or the snapshot is of another history" +
               foreign_snapshots(from));
  }
  epoch_ = record_.epoch;
  batch_first_seq_ = record_.batch_first_seq;
  ts_ns_ = record_.command.ts_ns;
  next_seq_ = from + 1;
}

void LogScan::place(LogSegmentInfo& info, SeqNum seq_num, std::span<const std::uint8_t, kRecordSize> bytes) {
  if (seq_num == rules_.from.seq_num) {
    start_behind(info, bytes);
    return;
  }
  const RecordState state = decode_record(bytes, record_);
  if (state != RecordState::valid) {
    bad_place(info, seq_num, state == RecordState::empty);
    return;
  }
  if (record_.seq_num != seq_num) {
    report(Kind::record, info, seq_num, "seq_num " + number(record_.seq_num) + " stands in the place of " + number(seq_num));
    resume_ = true;
    return;
  }
  count(info, record_);
  if (hole_) {
    good_behind_hole(info, seq_num);
  }
  if (!hole_) {
    keep(info, seq_num);
  }
}

void LogScan::keep(const LogSegmentInfo& info, SeqNum seq_num) {
  check_record(info, seq_num);
  on_record_(record_);
  epoch_ = record_.epoch;
  batch_first_seq_ = record_.batch_first_seq;
  ts_ns_ = record_.command.ts_ns;
  next_seq_ = seq_num + 1;
  resume_ = false;
}

void LogScan::check_record(const LogSegmentInfo& info, SeqNum seq_num) {
  if (record_.epoch < epoch_) {
    report(Kind::record, info, seq_num, "epoch " + number(record_.epoch) + " after epoch " + number(epoch_));
  }
  if (rules_.newest_epoch && record_.epoch > *rules_.newest_epoch) {
    report(Kind::stuck, info, seq_num,
           "epoch " + number(record_.epoch) + " is newer than this core's epoch " + number(*rules_.newest_epoch) +
               ": another core took over; this one must not go on",
           LogCause::settings);
  }
  const bool fits = record_.batch_first_seq == seq_num || record_.batch_first_seq == batch_first_seq_ || resume_;
  if (record_.batch_first_seq > seq_num || !fits) {
    report(Kind::record, info, seq_num, "the record belongs to a batch that does not begin where the one before ends");
  }
  if (record_.command.ts_ns < ts_ns_) {
    report(Kind::record, info, seq_num, "the time of the record lies before that of the record in front of it");
  }
}

// A torn write of the last batch leaves only records of that batch behind its first hole, within its greatest length;
// anything else means that answered records are gone.
void LogScan::good_behind_hole(const LogSegmentInfo& info, SeqNum seq_num) {
  if (record_.batch_first_seq > hole_->seq_num() || seq_num >= hole_->seq_num() + kMaxBatch) {
    if (hole_->run_open) {
      hole_->runs.back().to_seq = seq_num - 1;
    }
    later_batch("a later batch follows at " + where(info, seq_num));
    return;
  }
  if (hole_->run_open) {
    hole_->runs.back().to_seq = seq_num - 1;
    hole_->run_open = false;
  }
  hole_->last_held = seq_num;
  ++hole_->held;
}

// The hole is damage: tells each of its runs, and goes on behind it.
void LogScan::later_batch(const std::string& where) {
  const LogHole hole = std::move(*hole_);
  hole_.reset();
  resume_ = true;
  for (const HoleRun& run : hole.runs) {
    report(Kind::record, run.path, run.offset, run.from_seq, run.to_seq,
           records_of(run.from_seq, run.to_seq) + " damaged or missing, but " + where);
  }
}

void LogScan::bad_place(const LogSegmentInfo& info, SeqNum seq_num, bool empty) {
  if (!hole_) {
    hole_.emplace();
    hole_->runs.push_back({info.path, offset_in(info, seq_num), seq_num, seq_num});
  } else if (!hole_->run_open) {
    hole_->runs.push_back({info.path, offset_in(info, seq_num), seq_num, seq_num});
    hole_->run_open = true;
  }
  if (empty) {
    return;
  }
  hole_->last_held = seq_num;
  ++hole_->held;
  if (seq_num >= hole_->seq_num() + kMaxBatch && hole_->too_far.empty()) {
    hole_->too_far = where(info, seq_num);
    report(Kind::record, hole_->runs.front().path, hole_->runs.front().offset, hole_->seq_num(), seq_num,
           "the record of seq_num " + number(hole_->seq_num()) + " is damaged or missing, but something stands at " + hole_->too_far +
               ", farther behind than a torn last batch can reach");
  }
}

void LogScan::finish() {
  if (!hole_ || hole_->held == 0 || !hole_->too_far.empty()) {
    return;
  }
  torn_ = TornTail{hole_->seq_num(), hole_->last_held, hole_->held};
  const HoleRun& first = hole_->runs.front();
  report(Kind::torn_tail, first.path, first.offset, torn_->from_seq, torn_->to_seq,
         "the last batch is torn from seq_num " + number(torn_->from_seq) + " to " + number(torn_->to_seq) + ": a start cuts it away. If a crash tore it, nobody was "
           "answered for it; if it stood there whole and rotted, somebody may have been");
}

// The other ones that a start would refuse next, for the message of the first.
std::string LogScan::foreign_snapshots(SeqNum from) const {
  std::vector<LogSnapshot> found = snapshots_of(dir_, false);
  hold_against(segments_, found);
  std::string others;
  for (const LogSnapshot& one : found) {
    if (one.seq_num < from && one.wrong.empty() && !one.in_log) {
      others += (others.empty() ? ". The log has not got the records of these either: " : ", ") + one.path;
    }
  }
  return others;
}

}  // namespace exchange
