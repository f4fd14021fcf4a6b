// The data plane: the gateways' link, and partitions that match.
//
// One thread reads all links and routes; each partition has a thread with an engine and a log of its own. They are
// joined by bounded rings: a full one is a refusal (log_unavailable, with what waits and what may wait), never a wait.
// An answer leaves when the log has confirmed what it depends on, by the ack policy; matching does not wait for that.
//
// The log of one partition stands in the log folder itself, those of several in partition-00, partition-01, ... below
// it. The number of partitions is fixed for the life of a log, as the instruments are.
// Fencing: a gateway that has seen a newer epoch than ours is refused, because then we are the old core.
// With a link key, a hello without it closes the link and gets no answer.
// When a log fails, what it did not confirm is refused or left without an answer, as the log says; from then on every
// command is refused, and within two seconds the core comes to its end, because an engine may be ahead of its log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "exchange/config.hpp"
#include "exchange/log.hpp"
#include "exchange/types.hpp"

namespace exchange {

struct CoreConfig {
  std::string log_dir;
  EngineConfig engine;  // `partitions` says how many there are; `partition` must be 0
  AckPolicy ack_policy = AckPolicy::device;
  std::uint64_t epoch = 1;
  std::uint64_t segment_records = 262144;
  std::uint64_t instruments_digest = 0;  // of what the core itself does not know of its instruments: symbols and ticks
  std::string link_key;                  // what a gateway's hello must carry; empty: any hello will do
  bool pin_threads = false;              // a CPU for each thread; nothing happens where there are not enough of them
};

// The places of a partition's log that its start cut away.
struct TornCut {
  std::uint32_t partition = 0;
  SeqNum from_seq = 0;
  SeqNum to_seq = 0;
};

// What recover() found. Sums over the partitions; last_seq_num is the largest, elapsed_us the longest.
struct CoreRecovery {
  RecoveryReport log;
  SeqNum snapshot_seq_num = 0;        // where the log was taken up; 0: at its beginning. The smallest.
  std::vector<std::string> warnings;  // a line for each snapshot that was passed over
  std::vector<TornCut> torn;
};

struct PartitionStats {
  SeqNum seq_num = 0;
  SeqNum written_seq_num = 0;  // handed to the log, on the device or not yet
  SeqNum durable_seq_num = 0;  // never above written_seq_num
  std::uint64_t commands = 0;  // logged and applied since the start of the process, timers too
  std::uint64_t trades = 0;    // over the whole log
  std::uint64_t rejects = 0;   // since the start of the process
  std::uint64_t queue_depth = 0;
  std::uint64_t live_orders = 0;
  TimeNs last_tick_ns = 0;
  std::uint64_t state_hash = 0;
};

// The figures of all partitions: sums, and the newest last_tick_ns. With one partition everything is exact; with more,
// state_hash is the digest of the partitions' own, in their order.
struct CoreStats : PartitionStats {
  std::uint64_t links = 0;
  bool log_healthy = false;
  LogFault log_fault = LogFault::none;  // the worst of the partitions'
  bool running = false;  // the threads are; a core that ended without stop() does not come back
  std::uint64_t epoch = 0;
  std::vector<PartitionStats> partitions;
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

  // Takes the logs' locks and brings every engine to the end of its log: newest good snapshot, then the tail; several
  // partitions at once. Call once, before start(). Throws LogError.
  CoreRecovery recover();
  // Binds the gateways' link; port 0 takes a free one. Returns the port. Throws std::system_error.
  std::uint16_t listen(const std::string& host, std::uint16_t port);
  // Starts the threads. Throws std::logic_error before recover() and listen(), or when called twice.
  void start();
  // Answers what was read, closes all links, joins, and gives up the logs and their locks. Idempotent.
  void stop() noexcept;
  // Safe from any thread. The state hash costs one pass over the resting orders of each partition, during which that
  // partition waits, unless nothing changed since the last one; leave it out where that matters.
  [[nodiscard]] CoreStats stats(bool with_state_hash = true) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace exchange
