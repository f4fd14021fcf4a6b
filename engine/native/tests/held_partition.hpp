// A partition behind a log that the test holds back, and the gate in front of it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "../src/partition.hpp"
#include "check.hpp"
#include "exchange/codec.hpp"
#include "link_client.hpp"
#include "support.hpp"

namespace held {

using namespace exchange;

inline void wait_until(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    CHECK(std::chrono::steady_clock::now() < end);
    std::this_thread::yield();
  }
}

class HeldLog final : public InputLog {
 public:
  RecoveryReport recover(const LogStart&, const std::function<void(const LogRecord&)>&) override { return {}; }
  bool append(const Command& command) noexcept override {
    if (!takes(++asked) || !healthy_ || appended == most || (looks && !well_formed(command))) {
      return false;
    }
    ++appended;
    return true;
  }
  [[nodiscard]] SeqNum confirmed_seq_num() const noexcept override { return confirmed; }
  [[nodiscard]] SeqNum durable_seq_num() const noexcept override { return confirmed; }
  [[nodiscard]] bool healthy() const noexcept override { return healthy_; }
  [[nodiscard]] LogFault fault() const noexcept override { return LogFault::none; }
  [[nodiscard]] Journal::Lost lost() const noexcept override { return lost_; }
  void close() noexcept override {}
  void fail(Journal::Lost lost) {
    healthy_ = false;
    lost_ = lost;
  }

  std::atomic<SeqNum> appended{0};
  std::atomic<SeqNum> confirmed{0};
  std::atomic<SeqNum> most{~SeqNum{0}};
  std::atomic<std::uint64_t> asked{0};
  // Set before anything is put: whether it takes the command that it is asked for as the first, second, ...
  std::function<bool(std::uint64_t)> takes = [](std::uint64_t) { return true; };
  bool looks = true;  // likewise: whether it refuses what is not well formed, as every log must

 private:
  std::atomic<bool> healthy_{true};
  std::atomic<Journal::Lost> lost_{Journal::Lost::nothing};
};

// Stands where the link's thread stands.
class Gate : private AnswerSink {
 public:
  explicit Gate(EngineConfig config = support::engine_config())
      : log_(new HeldLog), partition_(std::move(config), "", std::unique_ptr<InputLog>(log_), bell_), thread_([this] { partition_.run(); }) {}
  ~Gate() override {
    partition_.give_up();
    thread_.join();
  }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  Gate(Gate&&) = delete;
  Gate& operator=(Gate&&) = delete;

  // put() hands over at once; what is staged waits until submit(), and then makes a burst.
  void stage(const Command& command, bool asks_depth = false) {
    CHECK(partition_.input_room() > 0);
    partition_.stage_input() = Input{1, ++put_, asks_depth, command};
  }
  void put(const Command& command, bool asks_depth = false) {
    stage(command, asks_depth);
    partition_.submit();
  }
  void buy(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      put(support::new_order(Side::buy, 100, 1));
    }
  }
  // Everything that may leave now. A partition that is told to end has answered all that was put in.
  std::vector<Frame> released() {
    partition_.release(*this);
    std::vector<Frame> frames;
    while (auto frame = decoder_.next()) {
      frames.push_back(std::move(*frame));
    }
    return frames;
  }
  void settle(SeqNum seq_num) {
    wait_until([&] { return partition_.stats(false).seq_num == seq_num && partition_.stats(false).queue_depth == 0; });
  }

  HeldLog& log() { return *log_; }
  Partition& partition() { return partition_; }
  std::vector<std::uint64_t> refused;
  std::vector<std::uint64_t> untold;
  std::vector<std::uint8_t> bytes;  // of all that was released
  std::function<void(const To&)> on_piece = [](const To&) {};

 private:
  void piece(const To& to, std::span<const std::uint8_t> piece, bool) override {
    on_piece(to);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    decoder_.feed(piece);
  }
  void lost(const To& to, bool may_be_said) override { (may_be_said && !to.tells_depth ? refused : untold).push_back(to.request_id); }

  Doorbell bell_;
  HeldLog* log_;
  Partition partition_;
  FrameDecoder decoder_;
  std::uint64_t put_ = 0;
  std::thread thread_;
};

inline Reply reply_of(const Frame& frame) { return std::get<ReplyFrame>(frame).reply; }

}  // namespace held
