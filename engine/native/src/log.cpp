#include "exchange/log.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include "log_blocks.hpp"
#include "log_scan.hpp"
#include "segment_maker.hpp"

namespace exchange {

namespace {

// How long an append waits for a segment that is not made yet, before it refuses and later ones do so at once.
constexpr std::chrono::milliseconds kPatience{1000};

SegmentUse use_of(AckPolicy policy) noexcept { return policy == AckPolicy::memory ? SegmentUse::memory : SegmentUse::device; }

LogConfig checked(LogConfig config) {
  if (config.segment_records < 1 || config.segment_records > (std::uint64_t{1} << 24U)) {
    throw std::invalid_argument("segment_records must lie in 1..16777216");
  }
  if (config.epoch < 1) {
    throw std::invalid_argument("epoch must be at least 1");
  }
  if (config.ack_policy == AckPolicy::replicated) {
    throw std::invalid_argument("ack_policy replicated needs a standby, which this version does not have: take device or memory");
  }
  return config;
}

}  // namespace

struct Log::State {
  explicit State(LogConfig checked_config) : config(std::move(checked_config)), maker(config.dir, use_of(config.ack_policy)) {
    if (config.ack_policy == AckPolicy::device) {
      blocks.emplace();
    }
    open.reserve(kMaxBatch + 2);  // so that nothing is allocated later, however small the segments are
  }

  LogConfig config;
  UniqueFd lock;
  std::vector<std::unique_ptr<Segment>> open;  // the one next_seq lies in, and what a batch goes on in
  std::optional<BlockWriter> blocks;
  SeqNum next_seq = 1;
  TimeNs last_ts = std::numeric_limits<TimeNs>::min();
  SeqNum want_at = 0;  // the next segment is asked for behind this
  bool used = false;
  std::atomic<bool> healthy{false};
  std::atomic<LogFault> fault{LogFault::none};
  std::atomic<SeqNum> written_seq{0};
  std::atomic<SeqNum> durable_seq{0};
  SegmentMaker maker;

  RecoveryReport recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply);
  void cut(const LogScan& scan);
  void make_durable(const LogScan& scan);
  std::uint64_t open_for_append(const LogScan& scan);
  void start_maker(std::uint64_t last_existing);
  [[nodiscard]] SegmentHeader header_of(std::uint64_t index, SeqNum first) const noexcept;
  [[nodiscard]] int reserve(std::size_t count) noexcept;
  void drop_finished() noexcept;
  void look_ahead() noexcept;
  [[nodiscard]] AppendResult refuse(int error) noexcept;
  void encode(const Command& command, SeqNum seq_num, SeqNum batch_first, std::uint8_t* to) noexcept;
  void store(std::span<const Command> batch) noexcept;
  [[nodiscard]] AppendResult write(std::span<const Command> batch) noexcept;
  [[nodiscard]] bool take_back(std::uint64_t bytes) noexcept;
  [[nodiscard]] Segment& segment_of(SeqNum seq_num) noexcept;
};

Log::Log(LogConfig config) : state_(std::make_unique<State>(checked(std::move(config)))) {}
Log::~Log() { close(); }

bool Log::healthy() const noexcept { return state_->healthy.load(std::memory_order_acquire); }
LogFault Log::fault() const noexcept { return state_->fault.load(std::memory_order_acquire); }
SeqNum Log::last_seq_num() const noexcept { return state_->next_seq - 1; }
SeqNum Log::written_seq_num() const noexcept { return state_->written_seq.load(std::memory_order_acquire); }
SeqNum Log::durable_seq_num() const noexcept { return state_->durable_seq.load(std::memory_order_acquire); }

RecoveryReport Log::recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply) {
  State& state = *state_;
  if (state.used) {
    throw LogError(state.config.dir + ": recovery of this log was already tried; make a new core");
  }
  state.used = true;
  try {
    std::error_code made;
    std::filesystem::create_directories(state.config.dir, made);
    state.lock = lock_log(state.config.dir);
    return state.recover(from, apply);
  } catch (...) {
    close();
    throw;
  }
}

void Log::close() noexcept {
  state_->healthy = false;
  state_->maker.stop();
  state_->open.clear();
  state_->lock.reset();
}

RecoveryReport Log::State::recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply) {
  const auto started = std::chrono::steady_clock::now();  // for the report only; nothing depends on it
  remove_unfinished(config.dir);
  RecoveryReport report;
  ScanRules rules;
  rules.config_digest = config.config_digest;
  rules.newest_epoch = config.epoch;
  rules.from = from;
  LogScan scan(config.dir, rules, apply, [this](const LogProblem& problem) {
    if (!problem.start_goes_on()) {
      throw log_error(problem, config.dir);
    }
  });
  scan.run();
  cut(scan);
  next_seq = scan.next_seq_num();
  last_ts = scan.last_ts_ns();
  make_durable(scan);
  start_maker(open_for_append(scan));
  report.segments = open.front()->header.index;
  healthy = true;
  report.records = next_seq - 1 - from.seq_num;
  report.last_seq_num = next_seq - 1;
  if (const auto& torn = scan.torn_tail()) {
    report.torn_records_cut = torn->records;
    report.torn_from_seq = torn->from_seq;
    report.torn_to_seq = torn->to_seq;
  }
  const auto elapsed = std::chrono::steady_clock::now() - started;
  report.elapsed_us = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  return report;
}

void Log::State::cut(const LogScan& scan) {
  if (!scan.torn_tail()) {
    return;
  }
  const TornTail& torn = *scan.torn_tail();
  for (const LogSegmentInfo& info : scan.segments()) {
    const SeqNum from = std::max(torn.from_seq, info.first_seq_num);
    const SeqNum end = std::min(torn.to_seq + 1, info.first_seq_num + info.places);
    if (from >= end) {
      continue;
    }
    Segment segment;
    if (const auto problem = open_segment(config.dir, info.index, SegmentUse::device, segment)) {
      throw log_error(*problem, config.dir);
    }
    const Transfer zeroed = zero_at(segment.fd.get(), (end - from) * kRecordSize, offset_in(info, from));
    if (zeroed.error != 0) {
      throw system_error_of(info.path, "the torn tail cannot be cut", zeroed.error);
    }
  }
}

// What was replayed is about to be answered for, whatever policy it was written under.
void Log::State::make_durable(const LogScan& scan) {
  for (const LogSegmentInfo& info : scan.segments()) {
    Segment segment;
    if (const auto problem = open_segment(config.dir, info.index, SegmentUse::read, segment)) {
      throw log_error(*problem, config.dir);
    }
    if (const int error = sync_data(segment.fd.get()); error != 0) {
      throw system_error_of(info.path, "the segment cannot be synced", error);
    }
  }
  written_seq = next_seq - 1;
  durable_seq = next_seq - 1;
}

// Returns the index of the last segment there is.
std::uint64_t Log::State::open_for_append(const LogScan& scan) {
  auto current = std::make_unique<Segment>();
  std::uint64_t last = scan.segments().empty() ? 0 : scan.segments().back().index;
  const auto found = std::find_if(scan.segments().begin(), scan.segments().end(),
                                  [this](const LogSegmentInfo& info) { return next_seq < info.first_seq_num + info.places; });
  if (found != scan.segments().end()) {
    if (const auto problem = open_segment(config.dir, found->index, use_of(config.ack_policy), *current)) {
      throw log_error(*problem, config.dir);
    }
    if (const int error = own_blocks(*current, use_of(config.ack_policy)); error != 0) {
      throw system_error_of(current->path, "its blocks cannot be reserved", error);
    }
  } else {
    const std::atomic<bool> never{false};
    ++last;
    if (const int error = create_segment(config.dir, header_of(last, next_seq), use_of(config.ack_policy), never, *current); error != 0) {
      throw system_error_of(segment_path(config.dir, last), "the next segment cannot be made", error);
    }
  }
  if (blocks) {
    if (const int error = blocks->start(*current, next_seq); error != 0) {
      throw system_error_of(current->path, "the last block cannot be read", error);
    }
  }
  if (config.ack_policy == AckPolicy::memory) {
    settle_segment(config.dir, *current);
  }
  open.push_back(std::move(current));
  return last;
}

void Log::State::start_maker(std::uint64_t last_existing) {
  const SegmentHeader& current = open.front()->header;
  try {
    maker.start(header_of(current.index + 1, current.end_seq_num()), last_existing, *open.front(), written_seq);
  } catch (const std::system_error& error) {
    throw LogError(config.dir + ": no thread can be started for the log: " + error.what() + "; raise the limit on processes and threads");
  }
  want_at = current.first_seq_num + current.records / 8;
  look_ahead();
}

SegmentHeader Log::State::header_of(std::uint64_t index, SeqNum first) const noexcept {
  return {index, first, config.segment_records, config.epoch, config.config_digest};
}

// Room for the whole batch is made before its first record is written: a full disk then leaves no trace of it.
int Log::State::reserve(std::size_t count) noexcept {
  drop_finished();
  while (open.back()->header.end_seq_num() < next_seq + count) {
    const bool waited_in_vain = fault.load(std::memory_order_relaxed) == LogFault::slow && config.ack_policy == AckPolicy::memory;
    int error = 0;
    auto taken = maker.take(waited_in_vain ? std::chrono::milliseconds(0) : kPatience, error);
    if (taken == nullptr) {
      return error;
    }
    fault.store(LogFault::none, std::memory_order_release);
    want_at = taken->header.first_seq_num + taken->header.records / 8;
    open.push_back(std::move(taken));
  }
  drop_finished();
  return 0;
}

void Log::State::drop_finished() noexcept {
  while (open.size() > 1 && open.front()->header.end_seq_num() <= next_seq) {
    maker.retire(std::move(open.front()));
    open.erase(open.begin());
  }
}

// A segment takes long to make; it is begun when an eighth of the present one is used, so that a start alone costs one.
void Log::State::look_ahead() noexcept {
  if (next_seq > want_at) {
    want_at = std::numeric_limits<SeqNum>::max();
    maker.want();
  }
}

Segment& Log::State::segment_of(SeqNum seq_num) noexcept {
  return **std::find_if(open.begin(), open.end(), [seq_num](const auto& one) { return seq_num < one->header.end_seq_num(); });
}

AppendResult Log::State::refuse(int error) noexcept {
  fault.store(fault_of(error), std::memory_order_release);
  if (error != ETIMEDOUT) {
    healthy.store(false, std::memory_order_release);
  }
  return AppendResult::refused;
}

bool Log::accepts() const noexcept {
  const State& state = *state_;
  if (!healthy()) {
    return false;
  }
  return state.fault.load(std::memory_order_relaxed) != LogFault::slow || state.maker.ready() ||
         state.next_seq < state.open.back()->header.end_seq_num();
}

AppendResult Log::append(std::span<const Command> batch) noexcept {
  State& state = *state_;
  const bool good = !batch.empty() && batch.size() <= kMaxBatch && std::all_of(batch.begin(), batch.end(), well_formed);
  if (!state.healthy.load(std::memory_order_relaxed) || !good) {
    return AppendResult::refused;
  }
  if (state.next_seq + batch.size() > state.open.front()->header.end_seq_num()) {
    if (const int error = state.reserve(batch.size()); error != 0) {
      return state.refuse(error);
    }
  }
  AppendResult result = AppendResult::written;
  if (state.config.ack_policy == AckPolicy::memory) {
    state.store(batch);
  } else {
    result = state.write(batch);
  }
  if (result == AppendResult::written) {
    state.look_ahead();
  }
  return result;
}

void Log::State::encode(const Command& command, SeqNum seq_num, SeqNum batch_first, std::uint8_t* to) noexcept {
  LogRecord record{command, config.epoch, seq_num, batch_first};
  last_ts = std::max(last_ts, command.ts_ns);
  record.command.ts_ns = last_ts;
  encode_record(record, std::span<std::uint8_t, kRecordSize>(to, kRecordSize));
}

// Each record is a batch of its own: a process dies between two of them, or inside one, and never leaves a later one.
void Log::State::store(std::span<const Command> batch) noexcept {
  for (const Command& command : batch) {
    Segment& segment = segment_of(next_seq);
    encode(command, next_seq, next_seq, segment.map.bytes().data() + segment.header.offset_of(next_seq));
    written_seq.store(next_seq, std::memory_order_release);
    ++next_seq;
  }
}

// The batch may straddle segments.
AppendResult Log::State::write(std::span<const Command> batch) noexcept {
  std::size_t done = 0;
  while (done < batch.size()) {
    const SeqNum first = next_seq + done;
    Segment& segment = segment_of(first);
    const std::size_t count = std::min<std::size_t>(batch.size() - done, segment.header.end_seq_num() - first);
    const std::span<std::uint8_t> to = blocks->room(count);
    for (std::size_t i = 0; i < count; ++i) {
      encode(batch[done + i], first + i, next_seq, to.data() + i * kRecordSize);
    }
    const BlockWriter::Outcome outcome = blocks->write(segment, first, count);
    if (outcome.error != 0) {
      (void)refuse(outcome.error == ETIMEDOUT ? EIO : outcome.error);
      return take_back(done * kRecordSize + outcome.reached) ? AppendResult::refused : AppendResult::unknown;
    }
    done += count;
  }
  next_seq += batch.size();
  written_seq.store(next_seq - 1, std::memory_order_release);
  durable_seq.store(next_seq - 1, std::memory_order_release);
  return AppendResult::written;
}

// A refused command must not come alive at the next start: what reached the file is zeroed again, on the device.
bool Log::State::take_back(std::uint64_t bytes) noexcept {
  while (bytes > 0) {
    const SeqNum last = next_seq + (bytes - 1) / kRecordSize;
    const Segment& segment = segment_of(last);
    const SeqNum first = std::max(next_seq, segment.header.first_seq_num);
    const std::uint64_t part = bytes - (first - next_seq) * kRecordSize;
    if (zero_at(segment.fd.get(), part, segment.header.offset_of(first)).error != 0 || sync_data(segment.fd.get()) != 0) {
      return false;
    }
    bytes -= part;
  }
  return true;
}

}  // namespace exchange
