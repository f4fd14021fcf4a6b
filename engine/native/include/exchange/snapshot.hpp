// The state of a partition in one file, so that a start needs only the tail of the log.
//
// <log folder>/snapshots/<seq_num, 20 digits>.snap: a header of 4096 bytes (src/snapshot_file.hpp), then the bytes of
// Engine::save() in blocks, each with its length and CRC. A file gets its name only when it is whole and on the device.
// Nothing is believed: CRCs, length, configuration and the state hash of what was loaded are all held against the
// header, and a file that fails is left out with a reason, because the log alone can always tell everything again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "exchange/config.hpp"
#include "exchange/engine.hpp"
#include "exchange/types.hpp"

namespace exchange {

// One snapshot cannot be read, trusted or written. The message names file and reason.
class SnapshotError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct SnapshotInfo {
  SeqNum seq_num = 0;  // of the last record whose effect it holds
  std::uint64_t epoch = 0;        // of that record
  TimeNs ts_ns = 0;               // likewise
  std::uint32_t record_crc = 0;   // likewise: where recovery goes on (LogStart)
  std::uint64_t state_hash = 0;
  std::string path;
};

// Where in the log an engine stands: epoch, time and CRC of the last record that was applied.
struct SnapshotMark {
  std::uint64_t epoch = 0;
  TimeNs ts_ns = 0;
  std::uint32_t record_crc = 0;
};

// A snapshot counts when it lies before both.
struct SnapshotLimit {
  SeqNum seq_num = std::numeric_limits<SeqNum>::max();
  TimeNs ts_ns = std::numeric_limits<TimeNs>::max();
};

inline constexpr std::size_t kSnapshotsKept = 3;

[[nodiscard]] std::string snapshot_folder(const std::string& log_dir);
// The files that have the name of a snapshot, newest first. Empty when there is no folder. Throws SnapshotError.
[[nodiscard]] std::vector<std::string> list_snapshots(const std::string& log_dir);
// The header alone, checked against its own CRC and the file's length. Throws SnapshotError.
[[nodiscard]] SnapshotInfo read_snapshot_header(const std::string& path);
// Where a snapshot of `seq_num` stands.
[[nodiscard]] std::string snapshot_path(const std::string& log_dir, SeqNum seq_num);
// Reads the whole file, and holds all of it against its CRCs and lengths; the state in it is not loaded. Throws SnapshotError.
SnapshotInfo check_snapshot(const std::string& path);
// `engine` must have seen nothing yet; after SnapshotError it is of no more use. Reads in one pass, in blocks.
SnapshotInfo load_snapshot(const std::string& path, Engine& engine);

// Loads the newest good snapshot that is not after `limit` into `engine`, which must be fresh and made from `config`;
// it is fresh again when nothing was loaded. Each file that was passed over adds a line to `warnings`: its name, why,
// and what to do. Nothing: replay from the start.
std::optional<SnapshotInfo> load_newest_snapshot(const std::string& log_dir, const EngineConfig& config, Engine& engine,
                                                 std::vector<std::string>& warnings, const SnapshotLimit& limit = {});

// Writes a snapshot of `engine`, and removes all but the newest `keep` (at least 1). `mark` is of the record with
// engine.last_seq_num(), which must be on the device already: a snapshot never knows more than the log. Returns when
// the file is on the device. One process at a time; throws SnapshotError, with nothing left behind.
SnapshotInfo write_snapshot(const std::string& log_dir, const Engine& engine, const SnapshotMark& mark, std::size_t keep = kSnapshotsKept);

}  // namespace exchange
