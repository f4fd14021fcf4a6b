// What one does with a log afterwards: the same engine, fed from the files, going to any moment of the past.
//
// A Replayer reads a log folder that may be in use, and never writes there. It begins at a snapshot when that saves
// work, checks that the log has the very record which the snapshot ends with, and applies what follows, many records
// at a time. Reports are looked at only when somebody asks: without that it runs at the speed of the engine.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exchange/config.hpp"
#include "exchange/digest.hpp"
#include "exchange/engine.hpp"
#include "exchange/log.hpp"
#include "exchange/report.hpp"
#include "exchange/snapshot.hpp"

namespace exchange {

// All fields of a report as words, in an order that no compiler's layout has a part in: equal streams, equal digests.
void digest_report(Digest& digest, const Report& report) noexcept;

// Which reports a run keeps: those of the order, or of a wanted exec_type, or caused by a wanted kind of command.
struct ReportFilter {
  bool everything = false;
  OrderId order_id = 0;             // 0: no order
  std::uint64_t exec_types = 0;     // bit per ExecType value
  std::uint64_t command_kinds = 0;  // bit per CommandKind value
  std::size_t most = 1'000'000;     // reports kept; a run ends behind the batch of commands that reached it

  [[nodiscard]] bool wants_any() const noexcept { return everything || order_id != 0 || exec_types != 0 || command_kinds != 0; }
  [[nodiscard]] bool wants(const Report& report, CommandKind kind) const noexcept {
    return everything || (order_id != 0 && report.order_id == order_id) ||
           (exec_types >> static_cast<unsigned>(report.exec_type) & 1U) != 0 || (command_kinds >> static_cast<unsigned>(kind) & 1U) != 0;
  }
};

// A report with the command under whose seq_num it came.
struct KeptReport {
  Report report;
  Command command;
};

// A run ends before the first record that lies behind one of these.
struct ReplayStop {
  SeqNum seq_num = std::numeric_limits<SeqNum>::max();
  TimeNs ts_ns = std::numeric_limits<TimeNs>::max();
  std::uint64_t records = std::numeric_limits<std::uint64_t>::max();  // applied by this run
};

// What a run did. The digest goes on over all runs since the last seek or begin(), if it was asked for.
struct ReplayRun {
  std::uint64_t records = 0;
  std::uint64_t reports = 0;
  bool more = false;  // it ended because of ReplayStop::records or ReportFilter::most: call again to go on
};

// The place of the last record applied; seq_num 0: before the first.
struct ReplayPlace {
  SeqNum seq_num = 0;
  std::uint64_t epoch = 0;
  TimeNs ts_ns = 0;
  std::uint32_t record_crc = 0;
};

class Replayer {
 public:
  // `config_digest` as in LogConfig: a log of other instruments is refused. Throws LogError, std::invalid_argument.
  Replayer(std::string log_dir, EngineConfig config, std::uint64_t config_digest);
  Replayer(const Replayer&) = delete;
  Replayer& operator=(const Replayer&) = delete;
  Replayer(Replayer&&) noexcept;
  Replayer& operator=(Replayer&&) noexcept;
  ~Replayer();

  // A fresh engine, at the newest good snapshot not after `limit`, or before the first record without one. Returns a
  // line for each snapshot passed over. Throws LogError when the log cannot be read.
  std::vector<std::string> seek(const SnapshotLimit& limit);
  // A fresh engine before the first record.
  void begin();
  // A fresh engine with this snapshot. Throws SnapshotError, also when the log does not have its record.
  void load(const std::string& snapshot_path);

  // Applies records until one of `stop`, or the end of the log. Throws LogError on damage before the last batch.
  ReplayRun run(const ReplayStop& stop, const ReportFilter& filter = {});
  // Every report from here on goes into digest().
  void want_digest(bool wanted) noexcept;
  [[nodiscard]] std::uint64_t digest() const noexcept;
  // The kept reports since the last call.
  [[nodiscard]] std::vector<KeptReport> take_kept();

  [[nodiscard]] const ReplayPlace& place() const noexcept;
  // The record that a run would apply next; nothing at the end of what the log holds now. Throws LogError.
  [[nodiscard]] std::optional<ReplayPlace> next_place();
  // The first and the last record of the log as it is now. Throws LogError.
  [[nodiscard]] std::optional<ReplayPlace> first_place() const;
  [[nodiscard]] std::optional<ReplayPlace> last_place() const;
  [[nodiscard]] const Engine& engine() const noexcept;
  // The snapshot that the last seek() or load() began at.
  [[nodiscard]] const std::optional<SnapshotInfo>& loaded() const noexcept;
  [[nodiscard]] const std::string& log_dir() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `newest` is the newest good snapshot now; nothing while the log has no record.
struct MadeSnapshot {
  std::optional<SnapshotInfo> newest;
  bool is_new = false;        // this call wrote it; else there was no record behind it
  std::uint64_t records = 0;  // applied, behind the one before
  std::vector<std::string> warnings;
};
// Takes the newest good snapshot of `replayer`'s log, applies the rest of the log as far as it is written, puts that on
// the device, and writes a snapshot. The core that writes the log goes on meanwhile. Throws LogError, SnapshotError.
[[nodiscard]] MadeSnapshot make_snapshot(Replayer& replayer, std::size_t keep = kSnapshotsKept);

// Every command of the wanted kinds, read without applying anything.
struct FoundCommand {
  SeqNum seq_num = 0;
  Command command;
};
[[nodiscard]] std::vector<FoundCommand> find_commands(const std::string& log_dir, std::uint64_t config_digest, std::uint64_t command_kinds);

}  // namespace exchange
