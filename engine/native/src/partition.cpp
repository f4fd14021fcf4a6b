#include "partition.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "exchange/apply_thread.hpp"
#include "exchange/codec.hpp"
#include "exchange/snapshot.hpp"

namespace exchange {

namespace {

constexpr int kIdleMs = 1000;          // longest wait without looking
constexpr int kSoonMs = 1;             // for a timer that is due, and for one that the log had no room for
constexpr int kBrokenMs = 100;         // for a timer that the log will not take any more
constexpr TimeNs kNsPerMs = 1'000'000;
constexpr std::chrono::seconds kHashWait{30};  // a thread that a device holds up answers no question

TimeNs wall_clock_ns() noexcept {
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<TimeNs>(now.tv_sec) * 1'000'000'000 + static_cast<TimeNs>(now.tv_nsec);
}

class JournalLog final : public InputLog {
 public:
  JournalLog(LogConfig config, std::function<void()> on_confirmed) : journal_(std::move(config), std::move(on_confirmed)) {}

  RecoveryReport recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply) override {
    return journal_.recover(from, apply);
  }
  bool append(const Command& command) noexcept override { return journal_.append(command); }
  [[nodiscard]] SeqNum confirmed_seq_num() const noexcept override { return journal_.confirmed_seq_num(); }
  [[nodiscard]] SeqNum durable_seq_num() const noexcept override { return journal_.durable_seq_num(); }
  [[nodiscard]] bool healthy() const noexcept override { return journal_.healthy(); }
  [[nodiscard]] LogFault fault() const noexcept override { return journal_.fault(); }
  [[nodiscard]] Journal::Lost lost() const noexcept override { return journal_.lost(); }
  void close() noexcept override { journal_.close(); }

 private:
  Journal journal_;
};

}  // namespace

std::unique_ptr<InputLog> journal_log(LogConfig config, std::function<void()> on_confirmed) {
  return std::make_unique<JournalLog>(std::move(config), std::move(on_confirmed));
}

Partition::Partition(EngineConfig config, std::string log_dir, std::unique_ptr<InputLog> log, Doorbell& answered)
    : config_(std::move(config)),
      log_dir_(std::move(log_dir)),
      log_(std::move(log)),
      engine_(config_),
      config_digest_(engine_.config_digest()),
      answered_(answered) {}

CoreRecovery Partition::recover() {
  const std::lock_guard lock(hash_mutex_);
  CoreRecovery recovery;
  LogStart from;
  if (!log_dir_.empty()) {
    if (const auto found = load_newest_snapshot(log_dir_, config_, engine_, recovery.warnings)) {
      from = {found->seq_num, found->record_crc};
    }
  }
  recovery.snapshot_seq_num = from.seq_num;
  ApplyThread applying(engine_);
  recovery.log = log_->recover(from, [&applying](const LogRecord& record) { applying.add(record.command); });
  applying.finish();
  last_ts_ns_ = engine_.now_ns();
  show_batch();
  (void)memory_ahead_.start();  // without it orders take their page faults themselves
  return recovery;
}

// Any exception here (memory ran out) may have come between log and engine: the only safe thing is to stop.
void Partition::run() noexcept {
  {
    const std::lock_guard lock(hash_mutex_);
    running_ = true;
  }
  try {
    for (;;) {
      answer_hash_question();
      const bool took = take_batch();
      if (sequence_due_timer() || took) {  // both: questions for depth alone make no timer fire
        continue;
      }
      if (giving_up_ || (closing_ && inputs_.empty())) {
        break;
      }
      wait_for_input();
    }
  } catch (...) {  // end() tells: the core finds a partition that ended though nobody asked for it
  }
  end();
}

void Partition::end() noexcept {
  {
    const std::lock_guard lock(hash_mutex_);
    running_ = false;
    hash_answered_.notify_all();
  }
  ended_.store(true, std::memory_order_release);
  answered_.ring();
}

bool Partition::take_batch() {
  if (inputs_.empty()) {
    return false;
  }
  const TimeNs ts_ns = next_ts_ns();
  for (std::size_t i = 0; i < kBatch && !giving_up_.load(std::memory_order_relaxed); ++i) {
    const Input* input = inputs_.front();
    if (input == nullptr) {
      break;
    }
    take(*input, ts_ns);
    inputs_.take();
  }
  answer_run();
  show_batch();
  inputs_.release();  // last: what waits no more is answered
  return !giving_up_;
}

void Partition::take(const Input& input, TimeNs ts_ns) {
  if (input.asks_depth) {
    answer_run();
    answer_depth(input);
  } else {
    take_command(input, ts_ns);
  }
}

// A run has at most one command more than there is room for answers of a usual size: the others wait for room outside of
// the log.
void Partition::take_command(const Input& input, TimeNs ts_ns) {
  Command& command = run_.commands[run_.count];
  command = input.command;
  command.ts_ns = ts_ns;
  if (!log_->append(command)) {
    answer_refused(input);
    return;
  }
  run_.inputs[run_.count] = &input;
  ++run_.count;
  if (answers_.room(run_.count) < run_.count) {
    answer_run();
  }
}

// The reports of a command follow each other, and each carries its seq_num.
void Partition::answer_run() {
  SeqNum seq_num = engine_.last_seq_num();
  const std::size_t count = std::exchange(run_.count, 0);
  std::span<const Report> reports = apply(std::span(run_.commands).first(count));
  for (std::size_t i = 0; i < count; ++i) {
    ++seq_num;
    const auto end = std::find_if(reports.begin(), reports.end(), [seq_num](const Report& one) { return one.seq_num != seq_num; });
    const auto own = static_cast<std::size_t>(end - reports.begin());
    make_reply(run_.commands[i], seq_num, reports.first(own), reply_);
    stage_reply(*run_.inputs[i], seq_num);
    reports = reports.subspan(own);
  }
}

// Behind the answers to the run before it, but with the figures of now: those answers may wait for room.
void Partition::answer_refused(const Input& input) {
  const bool healthy = log_->healthy();
  const SeqNum last = engine_.last_seq_num() + run_.count;
  const SeqNum waiting = last - std::min(last, log_->confirmed_seq_num());
  answer_run();
  if (log_->lost() == Journal::Lost::unknown) {
    return;  // this very command may be in the log: nothing may be said, and the core closes the link
  }
  reply_ = Reply{};
  reply_.reason = RejectReason::log_unavailable;
  reply_.order_id = input.command.kind == CommandKind::new_order ? 0 : input.command.order_id;
  if (healthy) {  // else there is no number that decided it
    reply_.value = static_cast<std::int64_t>(waiting);
    reply_.limit = static_cast<std::int64_t>(Journal::kMaxUnconfirmed);
  }
  stage_reply(input, 0);
}

// What is applied is in the log's hands already, so the log can never miss what somebody saw.
std::span<const Report> Partition::apply(std::span<const Command> commands) {
  const SeqNum before = engine_.last_seq_num();
  const std::span<const Report> reports = engine_.apply_batch(commands);
  if (engine_.last_seq_num() != before + commands.size()) {
    throw std::logic_error("a command that the log took left no trace in the engine");
  }
  commands_seen_ += commands.size();
  return reports;
}

bool Partition::sequence_due_timer() {
  const TimeNs next = engine_.next_timer_ns();
  if (next == 0 || closing_ || next_ts_ns() < next) {
    return false;
  }
  Command command;
  command.kind = CommandKind::timer;
  command.ts_ns = last_ts_ns_;
  const bool done = log_->append(command);
  if (done) {
    (void)apply({&command, 1});
  }
  show_batch();
  return done;
}

// A depth tells of everything applied so far. With a broken log it may tell of what is lost: then it is not told.
void Partition::answer_depth(const Input& input) {
  const auto levels = static_cast<std::size_t>(input.command.qty);
  const SeqNum gate = engine_.last_seq_num();
  if (!log_->healthy() && gate > log_->confirmed_seq_num()) {
    return;
  }
  frame_.clear();
  if (encode_depth(input.request_id, engine_.depth(input.command.instrument, levels), frame_)) {
    stage_frame(input, gate);
  }
}

void Partition::stage_reply(const Input& to, SeqNum gate) {
  rejects_seen_ += reply_.status == OrdStatus::rejected ? 1 : 0;
  frame_.clear();
  if (encode_reply(to.request_id, reply_, frame_)) {
    stage_frame(to, gate);
  }
}

void Partition::stage_frame(const Input& to, SeqNum gate) {
  constexpr std::size_t kPiece = std::tuple_size_v<decltype(Cell::bytes)>;
  const std::size_t cells = (frame_.size() + kPiece - 1) / kPiece;
  if (answers_.room(cells) < cells) {
    wait_for_answer_room(cells);
  }
  if (giving_up_.load(std::memory_order_relaxed) && answers_.room(cells) < cells) {
    return;
  }
  for (std::size_t at = 0; at < frame_.size(); at += kPiece) {
    const std::size_t size = std::min(kPiece, frame_.size() - at);
    Cell& cell = answers_.stage();
    cell.link = to.link;
    cell.request_id = to.request_id;
    cell.gate = gate;
    cell.size = static_cast<std::uint16_t>(size);
    cell.tells_depth = to.asks_depth;
    cell.last = at + size == frame_.size();
    std::memcpy(cell.bytes.data(), frame_.data() + at, size);
  }
}

// The link's thread never waits for a partition, so it comes by.
void Partition::wait_for_answer_room(std::size_t cells) {
  show_batch();
  while (answers_.room(cells) < cells && !giving_up_) {
    answer_hash_question();
    bell_.arm();
    if (answers_.room(cells) < cells && !giving_up_ && !hash_wanted_) {
      bell_.wait(kIdleMs);
    }
    bell_.disarm();
  }
}

// The figures first: whoever has an answer finds it counted.
void Partition::show_batch() noexcept {
  seq_num_.store(engine_.last_seq_num(), std::memory_order_relaxed);
  trades_.store(engine_.trades(), std::memory_order_relaxed);
  live_orders_.store(engine_.live_orders(), std::memory_order_relaxed);
  last_tick_ns_.store(engine_.last_tick_ns(), std::memory_order_relaxed);
  commands_.store(commands_seen_, std::memory_order_relaxed);
  rejects_.store(rejects_seen_, std::memory_order_relaxed);
  if (answers_.has_staged()) {
    answers_.publish();
    answered_.ring();
  }
}

void Partition::wait_for_input() noexcept {
  bell_.arm();
  if (inputs_.empty() && !closing_ && !giving_up_ && !hash_wanted_) {
    bell_.wait(wait_ms());
  }
  bell_.disarm();
}

// Rounded up, so that a timer is due when the wait is over.
int Partition::wait_ms() const noexcept {
  const TimeNs next = engine_.next_timer_ns();
  if (next == 0) {
    return kIdleMs;
  }
  const TimeNs left = (next - std::min(next, last_ts_ns_) + kNsPerMs - 1) / kNsPerMs;
  return static_cast<int>(std::clamp<TimeNs>(left, log_->healthy() ? kSoonMs : kBrokenMs, kIdleMs));
}

TimeNs Partition::next_ts_ns() noexcept {
  last_ts_ns_ = std::max(last_ts_ns_, wall_clock_ns());
  return last_ts_ns_;
}

void Partition::submit() noexcept {
  if (inputs_.has_staged()) {
    inputs_.publish();
    bell_.ring();
  }
}

bool Partition::has_releasable() noexcept {
  const Cell* next = answers_.front();
  return next != nullptr && (next->gate <= log_->confirmed_seq_num() || log_->lost() != Journal::Lost::nothing);
}

// `lost` is read first: once it is settled, what is confirmed moves no more.
void Partition::release(AnswerSink& sink) {
  const Journal::Lost lost = log_->lost();
  const SeqNum confirmed = log_->confirmed_seq_num();
  bool any = false;
  while (const Cell* cell = answers_.front()) {
    const AnswerSink::To to{cell->link, cell->request_id, cell->tells_depth};
    if (cell->gate <= confirmed) {
      sink.piece(to, std::span(cell->bytes).first(cell->size), cell->last);
    } else if (lost == Journal::Lost::nothing) {
      break;
    } else if (cell->last) {
      sink.lost(to, lost == Journal::Lost::refused);
    }
    answers_.take();
    any = true;
  }
  if (any) {
    answers_.release();
    bell_.ring();
  }
}

void Partition::close_inputs() noexcept {
  closing_ = true;
  bell_.ring();
}

void Partition::give_up() noexcept {
  giving_up_ = true;
  close_inputs();
}

void Partition::answer_hash_question() {
  if (!hash_wanted_.load(std::memory_order_acquire)) {
    return;
  }
  const std::lock_guard lock(hash_mutex_);
  if (!last_hash_ || last_hash_->first != engine_.last_seq_num()) {
    last_hash_ = {engine_.last_seq_num(), engine_.state_hash()};
  }
  hash_wanted_ = false;
  hash_answered_.notify_all();
}

PartitionStats Partition::stats(bool with_state_hash) {
  PartitionStats stats;
  stats.durable_seq_num = log_->durable_seq_num();  // before written_seq_num: it may grow in between
  stats.queue_depth = inputs_.size();
  if (with_state_hash) {
    std::unique_lock lock(hash_mutex_);
    if (running_) {
      hash_wanted_ = true;
      bell_.ring();
      (void)hash_answered_.wait_for(lock, kHashWait, [this] { return !hash_wanted_ || !running_; });
    }
    if (!running_ && (!last_hash_ || last_hash_->first != engine_.last_seq_num())) {
      last_hash_ = {engine_.last_seq_num(), engine_.state_hash()};
    }
    stats.state_hash = last_hash_ ? last_hash_->second : 0;
  }
  stats.seq_num = seq_num_.load(std::memory_order_relaxed);
  stats.written_seq_num = std::max(stats.seq_num, stats.durable_seq_num);
  stats.trades = trades_.load(std::memory_order_relaxed);
  stats.live_orders = live_orders_.load(std::memory_order_relaxed);
  stats.last_tick_ns = last_tick_ns_.load(std::memory_order_relaxed);
  stats.commands = commands_.load(std::memory_order_relaxed);
  stats.rejects = rejects_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace exchange
