// Records of a log for a replay: read, checked and decoded by a thread of its own while the engine applies the ones
// before, once a run turns out to be a long one. Without the thread the same, one after the other.
#pragma once

#include <span>
#include <string>
#include <thread>
#include <vector>

#include "exchange/log_tools.hpp"
#include "exchange/replay.hpp"
#include "hand_over.hpp"

namespace exchange {

// Neighbours in the log: their commands as the engine takes them, and what else a place in the log is made of.
struct FeedBatch {
  SeqNum first_seq_num = 0;
  std::vector<Command> commands;
  struct Rest {
    std::uint64_t epoch = 0;
    std::uint32_t crc = 0;
  };
  std::vector<Rest> rests;

  [[nodiscard]] ReplayPlace place(std::size_t at) const noexcept {
    return {first_seq_num + at, rests[at].epoch, commands[at].ts_ns, rests[at].crc};
  }
};

class ReplayFeed {
 public:
  // Records decoded at once: they and their reports stay in the processor's second cache.
  static constexpr std::size_t kBatch = 512;

  // Throws LogError.
  ReplayFeed(const std::string& log_dir, SeqNum from);
  ReplayFeed(const ReplayFeed&) = delete;
  ReplayFeed& operator=(const ReplayFeed&) = delete;
  ReplayFeed(ReplayFeed&&) = delete;
  ReplayFeed& operator=(ReplayFeed&&) = delete;
  ~ReplayFeed();

  [[nodiscard]] std::uint64_t config_digest() const noexcept { return config_digest_; }
  // The next batch. False at the end of what the log holds now: what is written there next is found by a later call.
  // Throws LogError on damage.
  [[nodiscard]] bool next(FeedBatch& batch);
  // From here on next() may find what a thread read ahead; until pause().
  void read_ahead();
  void pause() noexcept;

 private:
  [[nodiscard]] bool read(FeedBatch& batch);
  void read_until_told() noexcept;

  static constexpr std::size_t kOnTheWay = 8;

  LogReader reader_;  // the thread's while it runs
  std::uint64_t config_digest_;
  std::vector<LogRecord> records_{kBatch};
  std::thread thread_;
  HandOver<FeedBatch, kOnTheWay> ahead_;
};

}  // namespace exchange
