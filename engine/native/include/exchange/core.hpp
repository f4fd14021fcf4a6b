// The data plane: engine + log + link server behind one thread.
//
// One round of the thread: read what is ready on all links; per batch stamp the time, write the log (and sync it,
// by ack policy), apply, stage the answers; then send. Nothing is applied before it is in the log, and nothing is
// sent before the ack policy's promise holds, so nobody ever sees the effect of an input that could be lost.
//
// The wall clock is read once per batch, never goes back, and is logged: replay does not read it.
// Fencing: a gateway that has seen a newer epoch than ours is refused, because then we are the old core.
// With a link key, a hello without it closes the link and gets no answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "exchange/log.hpp"
#include "exchange/types.hpp"

namespace exchange {

struct CoreConfig {
  std::string log_dir;
  std::vector<Qty> instrument_max_qty;
  AckPolicy ack_policy = AckPolicy::device;
  std::uint64_t epoch = 1;
  std::uint64_t segment_records = 262144;
  std::uint64_t instruments_digest = 0;  // of what the core itself does not know of its instruments: symbols and ticks
  std::string link_key;                  // what a gateway's hello must carry; empty: any hello will do
};

struct CoreStats {
  SeqNum seq_num = 0;
  SeqNum written_seq_num = 0;  // in the log, on the device or not yet
  SeqNum durable_seq_num = 0;  // never above written_seq_num
  std::uint64_t commands = 0;  // logged and applied since the start of the process
  std::uint64_t trades = 0;    // over the whole log
  std::uint64_t rejects = 0;   // since the start of the process
  std::uint64_t queue_depth = 0;
  std::uint64_t links = 0;
  std::uint64_t live_orders = 0;
  TimeNs last_tick_ns = 0;
  bool log_healthy = false;
  bool running = false;  // the thread is; one that ended without stop() does not come back
  std::uint64_t epoch = 0;
  std::uint64_t state_hash = 0;
};

class Core {
 public:
  // Throws std::invalid_argument on a configuration that makes no sense. Touches no file.
  explicit Core(CoreConfig config);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;
  Core(Core&&) = delete;
  Core& operator=(Core&&) = delete;
  ~Core();  // stops

  // Replays the log into the engine and takes the log's lock. Call once, before start(). Throws LogError.
  RecoveryReport recover();
  // Binds the gateways' link; port 0 takes a free one. Returns the port. Throws std::system_error.
  std::uint16_t listen(const std::string& host, std::uint16_t port);
  // Starts the thread. Throws std::logic_error before recover() and listen(), or when called twice.
  void start();
  // Answers what was read, closes all links, joins, and gives up the log and its lock. Idempotent.
  void stop() noexcept;
  // Safe from any thread. The state hash costs one pass over the resting orders, during which the core waits,
  // unless nothing changed since the last one; leave it out where that matters.
  [[nodiscard]] CoreStats stats(bool with_state_hash = true) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace exchange
