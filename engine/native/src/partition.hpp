// One partition of the data plane: an engine, its log, and the gate in front of its answers. A thread of its own.
//
// The thread takes the inputs that wait in a ring, stamps the time (the wall clock, read once per batch, never back) and
// hands each command to the log. What the log took is applied in runs, so that the engine can look ahead, and each answer
// is staged with the seq_num it depends on. The link's thread takes staged answers out by release(), and only those that
// the log has confirmed: nobody sees the effect of an input that could be lost. An answer that tells the book (depth)
// depends on everything applied before it.
//
// Answers are those of inputs taken one at a time, in their order: a question, or a command that the log refuses, ends
// the run before it.
//
// Matching does not wait for the device; what is applied and not confirmed is bounded by the log and by the rings. When
// the log fails, the engine may be ahead of it: then nothing is answered but refusals, and the core ends.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core_doorbell.hpp"
#include "core_inputs.hpp"
#include "exchange/core.hpp"
#include "exchange/engine.hpp"
#include "exchange/journal.hpp"
#include "exchange/memory_ahead.hpp"
#include "exchange/ring.hpp"

namespace exchange {

// The log as a partition needs it; Journal in a running core, something that can be held back in tests.
class InputLog {
 public:
  InputLog() = default;
  InputLog(const InputLog&) = delete;
  InputLog& operator=(const InputLog&) = delete;
  InputLog(InputLog&&) = delete;
  InputLog& operator=(InputLog&&) = delete;
  virtual ~InputLog() = default;

  virtual RecoveryReport recover(const LogStart& from, const std::function<void(const LogRecord&)>& apply) = 0;
  [[nodiscard]] virtual bool append(const Command& command) noexcept = 0;
  [[nodiscard]] virtual SeqNum confirmed_seq_num() const noexcept = 0;
  [[nodiscard]] virtual SeqNum durable_seq_num() const noexcept = 0;
  [[nodiscard]] virtual bool healthy() const noexcept = 0;
  [[nodiscard]] virtual LogFault fault() const noexcept = 0;
  [[nodiscard]] virtual Journal::Lost lost() const noexcept = 0;
  virtual void close() noexcept = 0;
};

// The real one. `on_confirmed` as Journal's.
[[nodiscard]] std::unique_ptr<InputLog> journal_log(LogConfig config, std::function<void()> on_confirmed);

// Where release() puts answers. Used by the link's thread.
class AnswerSink {
 public:
  AnswerSink() = default;
  AnswerSink(const AnswerSink&) = delete;
  AnswerSink& operator=(const AnswerSink&) = delete;
  AnswerSink(AnswerSink&&) = delete;
  AnswerSink& operator=(AnswerSink&&) = delete;
  virtual ~AnswerSink() = default;

  struct To {
    LinkId link = 0;
    std::uint64_t request_id = 0;
    bool tells_depth = false;
  };
  // A piece of a frame; the pieces of one frame come one right after the other.
  virtual void piece(const To& to, std::span<const std::uint8_t> bytes, bool last) = 0;
  // The log lost what this answer depends on. `refused`: for sure, so that it may be said.
  virtual void lost(const To& to, bool refused) = 0;
};

class Partition {
 public:
  static constexpr std::size_t kInputSlots = std::size_t{1} << 16U;
  static constexpr std::size_t kAnswerSlots = std::size_t{1} << 16U;

  // `config.partition` says which one this is. `answered` is rung when there is something to release(). `log_dir` is
  // where its snapshots are looked for; empty: nowhere. Throws std::invalid_argument.
  Partition(EngineConfig config, std::string log_dir, std::unique_ptr<InputLog> log, Doorbell& answered);

  // Newest good snapshot, then the log's tail; from then on the memory ahead is looked after, by a thread that inherits
  // no CPU of the partition's own, because this is another thread than run()'s. Before run(). Throws LogError.
  CoreRecovery recover();
  // Until close_inputs() and the last input is answered, or give_up(), or an exception.
  void run() noexcept;

  // ---- the link's thread ----

  [[nodiscard]] std::size_t input_room() noexcept { return inputs_.room(); }
  // To be filled; only while there is room. submit() hands over everything staged.
  [[nodiscard]] Input& stage_input() noexcept { return inputs_.stage(); }
  void submit() noexcept;
  [[nodiscard]] bool has_releasable() noexcept;
  // Hands out every answer that may leave.
  void release(AnswerSink& sink);
  // What is in the ring is still answered.
  void close_inputs() noexcept;
  // Answers that find no room are dropped from here on; their links must be closed.
  void give_up() noexcept;

  // ---- any thread ----

  // True once run() came to its end.
  [[nodiscard]] bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  // Cheap unless `with_state_hash`, which waits for the thread's next free moment.
  [[nodiscard]] PartitionStats stats(bool with_state_hash);
  [[nodiscard]] InputLog& log() noexcept { return *log_; }
  [[nodiscard]] std::uint64_t config_digest() const noexcept { return config_digest_; }

 private:
  // A piece of a staged frame. Two cache lines, so that most replies are one piece.
  struct Cell {
    LinkId link;
    std::uint64_t request_id;
    SeqNum gate;  // may leave once the log has confirmed this
    std::uint16_t size;
    bool tells_depth;
    bool last;
    std::array<std::uint8_t, 100> bytes;
  };
  static_assert(sizeof(Cell) == 128);

  static constexpr std::size_t kBatch = 256;  // inputs under one reading of the clock, shown to the link's thread together
  // Commands that the log has and the engine has not, side by side as the engine wants them; the inputs they are from,
  // whose slots are the reader's until release().
  struct Run {
    std::array<Command, kBatch> commands{};
    std::array<const Input*, kBatch> inputs{};
    std::size_t count = 0;
  };

  [[nodiscard]] bool take_batch();
  void take(const Input& input, TimeNs ts_ns);
  void take_command(const Input& input, TimeNs ts_ns);
  void answer_run();
  void answer_depth(const Input& input);
  void answer_refused(const Input& input);
  // Of commands that the log has. The reports are valid until the next call.
  [[nodiscard]] std::span<const Report> apply(std::span<const Command> commands);
  [[nodiscard]] bool sequence_due_timer();
  void stage_reply(const Input& to, SeqNum gate);
  void stage_frame(const Input& to, SeqNum gate);
  void wait_for_answer_room(std::size_t cells);
  void show_batch() noexcept;
  void answer_hash_question();
  void wait_for_input() noexcept;
  [[nodiscard]] int wait_ms() const noexcept;
  [[nodiscard]] TimeNs next_ts_ns() noexcept;
  void end() noexcept;

  EngineConfig config_;
  std::string log_dir_;
  std::unique_ptr<InputLog> log_;
  Engine engine_;
  MemoryAhead memory_ahead_{engine_};
  std::uint64_t config_digest_;
  Doorbell& answered_;
  Doorbell bell_;
  SpscRing<Input> inputs_{kInputSlots};
  SpscRing<Cell> answers_{kAnswerSlots};

  // The thread's own.
  TimeNs last_ts_ns_ = 0;
  Run run_;
  Reply reply_;
  std::vector<std::uint8_t> frame_;
  std::uint64_t commands_seen_ = 0;
  std::uint64_t rejects_seen_ = 0;

  std::atomic<bool> closing_{false};
  std::atomic<bool> giving_up_{false};
  std::atomic<bool> ended_{false};
  std::atomic<SeqNum> seq_num_{0};
  std::atomic<std::uint64_t> trades_{0};
  std::atomic<std::uint64_t> live_orders_{0};
  std::atomic<TimeNs> last_tick_ns_{0};
  std::atomic<std::uint64_t> commands_{0};
  std::atomic<std::uint64_t> rejects_{0};

  // The question for the state hash. `running_` under the mutex: while it is false, whoever asks looks for himself.
  std::mutex hash_mutex_;
  std::condition_variable hash_answered_;
  std::atomic<bool> hash_wanted_{false};
  bool running_ = false;
  std::optional<std::pair<SeqNum, std::uint64_t>> last_hash_;
};

}  // namespace exchange
