#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "exchange/log_tools.hpp"
#include "log_scan.hpp"

namespace exchange {

namespace {

constexpr std::size_t kChunkRecords = 512;

}  // namespace

struct LogReader::State {
  std::string dir;
  SeqNum next_seq = 1;
  std::uint32_t last_crc = 0;  // of the record before, when this reader read it
  std::uint64_t epoch = 0;
  std::uint64_t config_digest = 0;
  bool started = false;  // `segment` is open
  Segment segment;
  Stop stop = Stop::none;
  std::string stop_text;
  LogCause cause = LogCause::damage;  // of the stop
  std::vector<std::uint8_t> chunk = std::vector<std::uint8_t>(kChunkRecords * kRecordSize);

  bool stopped(Stop why, const std::string& path, std::uint64_t offset, const std::string& what);
  bool stopped(const LogProblem& problem);
  bool open_for_next();
  bool open_first();
  bool open_following();
  std::size_t read(std::span<LogRecord> to);
  bool take(std::span<const std::uint8_t, kRecordSize> bytes, LogRecord& record);
};

LogReader::LogReader(std::string dir, SeqNum from_seq_num) : state_(std::make_unique<State>()) {
  state_->dir = std::move(dir);
  state_->next_seq = std::max<SeqNum>(from_seq_num, 1);
  if (!state_->open_for_next() && state_->stop != Stop::end) {
    throw LogError(state_->stop_text, state_->cause);
  }
}
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;
LogReader::~LogReader() = default;

LogReader::Stop LogReader::stop() const noexcept { return state_->stop; }
const std::string& LogReader::stop_text() const noexcept { return state_->stop_text; }
SeqNum LogReader::next_seq_num() const noexcept { return state_->next_seq; }
std::uint64_t LogReader::config_digest() const noexcept { return state_->config_digest; }

// Returns false, for the caller to return.
bool LogReader::State::stopped(Stop why, const std::string& path, std::uint64_t offset, const std::string& what) {
  stop = why;
  stop_text = path + ": offset " + std::to_string(offset) + ": " + what;
  return false;
}

bool LogReader::State::stopped(const LogProblem& problem) {
  const bool stuck = problem.kind == LogProblem::Kind::stuck;
  cause = problem.cause;
  return stopped(stuck ? Stop::unreadable : Stop::damaged, problem.segment, problem.offset, problem.what);
}

bool LogReader::State::open_for_next() {
  if (started && next_seq < segment.header.end_seq_num()) {
    return true;
  }
  return started ? open_following() : open_first();
}

// The newest segment that begins at or before the record: what is asked for is mostly near the end.
bool LogReader::State::open_first() {
  const std::vector<std::uint64_t> indexes = list_segments(dir);
  for (auto index = indexes.rbegin(); index != indexes.rend(); ++index) {
    Segment one;
    if (const auto problem = open_segment(dir, *index, SegmentUse::read, one)) {
      return stopped(*problem);
    }
    config_digest = one.header.config_digest;
    if (one.header.first_seq_num > next_seq) {
      continue;
    }
    if (next_seq >= one.header.end_seq_num()) {
      return index == indexes.rbegin()
                 ? stopped(Stop::end, one.path, one.header.file_size(), "the log ends before seq_num " + std::to_string(next_seq))
                 : stopped(Stop::damaged, one.path, one.header.file_size(), "the segment behind this one is missing");
    }
    segment = std::move(one);
    started = true;
    return true;
  }
  if (indexes.empty()) {
    return stopped(Stop::end, segment_path(dir, 1), 0, "the log has no segment yet");
  }
  return stopped(Stop::damaged, segment_path(dir, indexes.front()), 0, "the segments before this one are missing");
}

bool LogReader::State::open_following() {
  const std::uint64_t index = segment.header.index + 1;
  Segment one;
  if (const auto problem = open_segment(dir, index, SegmentUse::read, one)) {
    const bool there = one.fd || ::access(one.path.c_str(), F_OK) == 0;
    return there ? stopped(*problem) : stopped(Stop::end, one.path, 0, "the next segment is not there yet");
  }
  if (one.header.first_seq_num != next_seq || one.header.config_digest != config_digest) {
    return stopped(Stop::damaged, one.path, 24, "the segment does not go on where the one before it ends");
  }
  segment = std::move(one);
  return true;
}

std::size_t LogReader::next(std::span<LogRecord> to) {
  State& state = *state_;
  state.stop = Stop::none;
  state.stop_text.clear();
  std::size_t done = 0;
  while (done < to.size() && state.stop == Stop::none && state.open_for_next()) {
    done += state.read(to.subspan(done));
  }
  return done;
}

std::size_t LogReader::State::read(std::span<LogRecord> to) {
  const auto count = std::min<std::size_t>({to.size(), segment.header.end_seq_num() - next_seq, kChunkRecords});
  const std::uint64_t offset = segment.header.offset_of(next_seq);
  const std::span<std::uint8_t> part = std::span(chunk).first(count * kRecordSize);
  const Transfer got = read_at(segment.fd.get(), part, offset);
  const std::size_t whole = got.bytes / kRecordSize;
  for (std::size_t i = 0; i < whole; ++i) {
    if (!take(std::span<const std::uint8_t, kRecordSize>(part.data() + i * kRecordSize, kRecordSize), to[i])) {
      return i;
    }
  }
  if (whole < count) {
    (void)stopped(Stop::unreadable, segment.path, offset + got.bytes, "the segment cannot be read: " + error_text(got.error));
  }
  return whole;
}

bool LogReader::State::take(std::span<const std::uint8_t, kRecordSize> bytes, LogRecord& record) {
  const std::uint64_t offset = segment.header.offset_of(next_seq);
  switch (decode_record(bytes, record)) {
    case RecordState::empty:
      return stopped(Stop::end, segment.path, offset, "the place of seq_num " + std::to_string(next_seq) + " is empty");
    case RecordState::damaged:
      return stopped(Stop::unfinished, segment.path, offset,
                     "the record of seq_num " + std::to_string(next_seq) + " is not whole: being written, torn, or damaged");
    case RecordState::valid:
      break;
  }
  if (record.seq_num != next_seq) {
    return stopped(Stop::damaged, segment.path, offset,
                   "seq_num " + std::to_string(record.seq_num) + " stands in the place of " + std::to_string(next_seq));
  }
  if (record.epoch < epoch) {
    return stopped(Stop::damaged, segment.path, offset,
                   "epoch " + std::to_string(record.epoch) + " after epoch " + std::to_string(epoch));
  }
  epoch = record.epoch;
  last_crc = record.crc;
  ++next_seq;
  return true;
}

void LogReader::check_tail() const {
  ScanRules rules;
  if (state_->epoch != 0) {  // a record was read
    rules.from = {state_->next_seq - 1, state_->last_crc};
  }
  LogScan scan(state_->dir, rules, [](const LogRecord&) {},
               [this](const LogProblem& problem) {
                 if (problem.kind == LogProblem::Kind::snapshot) {  // what was read last stands in for a snapshot here
                   throw LogError(state_->dir + ": the record of seq_num " + std::to_string(state_->next_seq - 1) +
                                  " is not the one any more that was read a moment ago: the core took it back, or it was damaged; try again",
                                  LogCause::damage);
                 }
                 if (!problem.start_goes_on()) {
                   throw log_error(problem, state_->dir);
                 }
               });
  scan.run();
}

std::optional<std::uint32_t> record_crc_at(const std::string& dir, SeqNum seq_num) {
  if (seq_num == 0) {
    return std::nullopt;
  }
  LogReader reader(dir, seq_num);
  LogRecord record;
  const bool found = reader.next({&record, 1}) == 1;
  if (reader.stop() == LogReader::Stop::unreadable) {
    throw LogError(reader.stop_text(), LogCause::system);
  }
  return found ? std::optional(record.crc) : std::nullopt;
}

void sync_log(const std::string& dir, SeqNum seq_num) {
  for (const std::uint64_t index : list_segments(dir)) {
    Segment segment;
    if (const auto problem = open_segment(dir, index, SegmentUse::read, segment)) {
      throw log_error(*problem, dir);
    }
    if (segment.header.first_seq_num > seq_num) {
      return;
    }
    if (const int error = sync_data(segment.fd.get()); error != 0) {
      throw system_error_of(segment.path, "the segment cannot be synced", error);
    }
  }
}

}  // namespace exchange
