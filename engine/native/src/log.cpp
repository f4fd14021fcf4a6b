#include "exchange/log.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <future>
#include <system_error>
#include <utility>

#include "log_scan.hpp"
#include "segment.hpp"

namespace exchange {

namespace {

struct MadeSegment {
  Segment segment;
  int error = 0;
};

MadeSegment make_segment(const std::string& dir, const SegmentHeader& header) noexcept {
  MadeSegment made;
  made.error = create_segment(dir, header, made.segment);
  return made;
}

}  // namespace

struct Log::State {
  LogConfig config;
  UniqueFd lock;
  std::vector<Segment> segments;  // the one next_seq lies in, and what is made ahead; finished ones are closed
  SeqNum next_seq = 1;
  std::atomic<SeqNum> written_seq{0};
  SeqNum durable_seq = 0;
  std::future<MadeSegment> ahead;  // the next segment, being made by a thread of its own
  bool used = false;
  bool healthy = false;
  std::vector<std::uint8_t> buffer;

  RecoveryReport recover(const std::function<void(const LogRecord&)>& apply);
  void take_lock();
  void open_segments();
  void cut(const TornTail& torn);
  void make_durable();
  void drop_finished_segments();
  [[nodiscard]] int reserve(std::size_t count) noexcept;
  [[nodiscard]] SegmentHeader next_header() const noexcept;
  [[nodiscard]] int add_segment() noexcept;
  void make_ahead() noexcept;
  [[nodiscard]] Segment& segment_of(SeqNum seq_num) noexcept;
  void fill_buffer(std::span<const Command> batch) noexcept;
  [[nodiscard]] Transfer write_buffer(std::size_t bytes) noexcept;
  [[nodiscard]] int sync_written(SeqNum first, SeqNum last) noexcept;
  [[nodiscard]] bool take_back(std::size_t bytes) noexcept;
};

Log::Log(LogConfig config) : state_(std::make_unique<State>()) {
  if (config.segment_records < 1 || config.segment_records > (std::uint64_t{1} << 24U)) {
    throw std::invalid_argument("segment_records must lie in 1..16777216");
  }
  if (config.epoch < 1) {
    throw std::invalid_argument("epoch must be at least 1");
  }
  state_->config = std::move(config);
  state_->buffer.resize(kMaxBatch * kRecordSize);
}

Log::~Log() = default;

bool Log::healthy() const noexcept { return state_->healthy; }
SeqNum Log::last_seq_num() const noexcept { return state_->next_seq - 1; }
SeqNum Log::written_seq_num() const noexcept { return state_->written_seq; }
SeqNum Log::durable_seq_num() const noexcept { return state_->durable_seq; }

RecoveryReport Log::recover(const std::function<void(const LogRecord&)>& apply) {
  State& state = *state_;
  if (state.used) {
    throw LogError(state.config.dir + ": recovery of this log was already tried; make a new core");
  }
  state.used = true;
  try {
    state.take_lock();
    return state.recover(apply);
  } catch (...) {
    close();
    throw;
  }
}

void Log::close() noexcept {
  state_->healthy = false;
  if (state_->ahead.valid()) {
    state_->ahead.wait();
  }
  state_->segments.clear();
  state_->lock.reset();
}

RecoveryReport Log::State::recover(const std::function<void(const LogRecord&)>& apply) {
  const auto started = std::chrono::steady_clock::now();  // for the report only; nothing depends on it
  open_segments();
  LogScan scan(config, apply);
  scan.run(segments);
  if (scan.torn_tail()) {
    cut(*scan.torn_tail());
  }
  next_seq = scan.records() + 1;
  if (segments.empty()) {
    if (const int error = add_segment(); error != 0) {
      throw LogError(segment_path(config.dir, 1) + ": offset 0: the first segment cannot be made: " + error_text(error) +
                     "; make room or check the directory's owner and mode");
    }
  }
  make_durable();
  drop_finished_segments();
  healthy = true;
  RecoveryReport report;
  report.records = scan.records();
  report.last_seq_num = scan.records();
  report.torn_records_cut = scan.torn_tail() ? scan.torn_tail()->records : 0;
  report.segments = segments.back().header.index;
  const auto elapsed = std::chrono::steady_clock::now() - started;
  report.elapsed_us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  return report;
}

void Log::State::take_lock() {
  std::error_code made;
  std::filesystem::create_directories(config.dir, made);
  const std::string path = config.dir + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) {
    throw LogError(path + ": cannot be opened: " + error_text(errno) + "; check the directory's owner and mode");
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    throw LogError(config.dir + ": another core has this log open; stop it first, or choose another log directory");
  }
  lock = std::move(file);
}

void Log::State::open_segments() {
  for (const std::uint64_t index : list_segments(config.dir)) {
    segments.push_back(open_segment(config.dir, index));
  }
}

void Log::State::cut(const TornTail& torn) {
  for (SeqNum seq = torn.from_seq; seq <= torn.to_seq; ++seq) {
    const Segment& segment = segment_of(seq);
    const Transfer zeroed = zero_at(segment.fd.get(), kRecordSize, segment.offset_of(seq));
    if (zeroed.error != 0) {
      throw log_error_at(segment.path, segment.offset_of(seq), "the torn tail cannot be cut: " + error_text(zeroed.error));
    }
  }
}

// What was replayed is about to be answered for, whatever policy it was written under.
void Log::State::make_durable() {
  for (const Segment& segment : segments) {
    if (const int error = sync_data(segment.fd.get()); error != 0) {
      throw log_error_at(segment.path, 0, "the segment cannot be synced: " + error_text(error));
    }
  }
  written_seq = next_seq - 1;
  durable_seq = next_seq - 1;
}

void Log::State::drop_finished_segments() {
  while (segments.size() > 1 && segments.front().end_seq_num() <= next_seq) {
    segments.erase(segments.begin());
  }
}

Segment& Log::State::segment_of(SeqNum seq_num) noexcept {
  return *std::find_if(segments.begin(), segments.end(), [seq_num](const Segment& one) { return seq_num < one.end_seq_num(); });
}

SegmentHeader Log::State::next_header() const noexcept {
  SegmentHeader header;
  header.index = segments.empty() ? 1 : segments.back().header.index + 1;
  header.first_seq_num = segments.empty() ? 1 : segments.back().end_seq_num();
  header.records = config.segment_records;
  header.epoch = config.epoch;
  header.config_digest = config.config_digest;
  return header;
}

// Takes the segment made ahead, or makes one now when there is none or its making failed: room may be back.
int Log::State::add_segment() noexcept {
  try {
    MadeSegment made;
    made.error = EAGAIN;
    if (ahead.valid()) {
      made = ahead.get();
    }
    if (made.error != 0) {
      made = make_segment(config.dir, next_header());
    }
    if (made.error == 0) {
      segments.push_back(std::move(made.segment));
    }
    return made.error;
  } catch (...) {
    return ENOMEM;
  }
}

// Writing and syncing a whole segment takes long; it is begun while half of the last one is still free.
void Log::State::make_ahead() noexcept {
  const SegmentHeader& last = segments.back().header;
  if (ahead.valid() || next_seq <= last.first_seq_num + last.records / 2) {
    return;
  }
  try {
    ahead = std::async(std::launch::async, make_segment, config.dir, next_header());
  } catch (...) {
    return;  // no thread to be had: it is made when it is needed
  }
}

// Room for the whole batch is made before its first record is written: a full disk then leaves no trace of it.
int Log::State::reserve(std::size_t count) noexcept {
  while (segments.back().end_seq_num() < next_seq + count) {
    if (const int error = add_segment(); error != 0) {
      return error;
    }
  }
  drop_finished_segments();
  return 0;
}

void Log::State::fill_buffer(std::span<const Command> batch) noexcept {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const LogRecord record{batch[i], config.epoch, next_seq + i, next_seq};
    encode_record(record, std::span<std::uint8_t, kRecordSize>(buffer.data() + i * kRecordSize, kRecordSize));
  }
}

AppendResult Log::append(std::span<const Command> batch) noexcept {
  State& state = *state_;
  if (!state.healthy || batch.empty() || batch.size() > kMaxBatch) {
    return AppendResult::refused;
  }
  if (state.reserve(batch.size()) != 0) {
    state.healthy = false;
    return AppendResult::refused;
  }
  state.fill_buffer(batch);
  const SeqNum last = state.next_seq + batch.size() - 1;
  const Transfer put = state.write_buffer(batch.size() * kRecordSize);
  int error = put.error;
  if (error == 0) {
    state.written_seq = last;
  }
  if (error == 0 && state.config.ack_policy == AckPolicy::device) {
    error = state.sync_written(state.next_seq, last);
  }
  if (error != 0) {
    state.healthy = false;
    if (!state.take_back(put.bytes)) {
      return AppendResult::unknown;
    }
    state.written_seq = state.next_seq - 1;
    return AppendResult::refused;
  }
  state.next_seq = last + 1;
  if (state.config.ack_policy == AckPolicy::device) {
    state.durable_seq = last;
  }
  state.make_ahead();
  return AppendResult::written;
}

// The batch may straddle segments.
Transfer Log::State::write_buffer(std::size_t bytes) noexcept {
  Transfer done;
  while (done.bytes < bytes && done.error == 0) {
    const SeqNum seq = next_seq + done.bytes / kRecordSize;
    const Segment& segment = segment_of(seq);
    const std::size_t part = std::min<std::size_t>(bytes - done.bytes, (segment.end_seq_num() - seq) * kRecordSize);
    const Transfer put = write_at(segment.fd.get(), std::span(buffer).subspan(done.bytes, part), segment.offset_of(seq));
    done.bytes += put.bytes;
    done.error = put.error;
  }
  return done;
}

int Log::State::sync_written(SeqNum first, SeqNum last) noexcept {
  for (const Segment& segment : segments) {
    const bool touched = segment.header.first_seq_num <= last && segment.end_seq_num() > first;
    if (!touched) {
      continue;
    }
    if (const int error = sync_data(segment.fd.get()); error != 0) {
      return error;
    }
  }
  return 0;
}

// A refused command must not come alive at the next start: what reached the file is zeroed again, on the device.
bool Log::State::take_back(std::size_t bytes) noexcept {
  const std::size_t records = (bytes + kRecordSize - 1) / kRecordSize;
  std::size_t left = bytes;
  for (std::size_t i = 0; i < records; ++i) {
    const Segment& segment = segment_of(next_seq + i);
    const std::size_t part = std::min(left, kRecordSize);
    if (zero_at(segment.fd.get(), part, segment.offset_of(next_seq + i)).error != 0) {
      return false;
    }
    left -= part;
  }
  return records == 0 || sync_written(next_seq, next_seq + records - 1) == 0;
}

}  // namespace exchange
