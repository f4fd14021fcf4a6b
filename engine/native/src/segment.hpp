// One file of the log: header, and the place of each record in it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "exchange/log.hpp"
#include "exchange/log_tools.hpp"
#include "exchange/posix.hpp"

namespace exchange {

inline constexpr std::uint64_t kSegmentHeaderSize = 4096;
static_assert(kSegmentHeaderSize % kBlock == 0 && kBlock % kRecordSize == 0);

struct SegmentHeader {
  std::uint64_t index = 0;  // from 1; also the file's name
  SeqNum first_seq_num = 0;
  std::uint64_t records = 0;  // places for records, fixed at creation
  std::uint64_t epoch = 0;    // of the core that made it
  std::uint64_t config_digest = 0;

  [[nodiscard]] SeqNum end_seq_num() const noexcept { return first_seq_num + records; }
  [[nodiscard]] std::uint64_t offset_of(SeqNum seq_num) const noexcept {
    return kSegmentHeaderSize + (seq_num - first_seq_num) * kRecordSize;
  }
  // Whole blocks, so that the last one can be written directly.
  [[nodiscard]] std::uint64_t file_size() const noexcept {
    return kSegmentHeaderSize + (records * kRecordSize + kBlock - 1) / kBlock * kBlock;
  }
};

// How a segment is opened: read only; mapped; with a second descriptor for O_DIRECT|O_DSYNC.
enum class SegmentUse : std::uint8_t { read, memory, device };

struct Segment {
  std::string path;
  SegmentHeader header;
  UniqueFd fd;
  UniqueFd direct;  // empty where the file system refuses it
  MappedFile map;
  Segment* next_retired = nullptr;
};

[[nodiscard]] std::string segment_path(const std::string& dir, std::uint64_t index);

// Makes a segment that reads as zeros under a temporary name and renames it when it is whole, so that a crash in
// between leaves no half segment. 0, or errno with nothing left behind (ECANCELED: `stop` was set). Under `memory`
// nobody waits for the device here: settle_segment() comes when there is time for it. Otherwise it is on the device.
[[nodiscard]] int create_segment(const std::string& dir, const SegmentHeader& header, SegmentUse use, const std::atomic<bool>& stop,
                                 Segment& made) noexcept;

// Puts the header of a segment opened for `memory` on the device, best effort: that policy promises nothing of the
// device. Then takes the page faults of all its records, in this order: a page that is written out while a process may
// write to it interrupts the processor of that process (measured: 7 us a page, the whole tail of the order path).
void settle_segment(const std::string& dir, const Segment& segment) noexcept;

// Opens a segment and checks its header against itself and its file. The problem, or nothing.
[[nodiscard]] std::optional<LogProblem> open_segment(const std::string& dir, std::uint64_t index, SegmentUse use, Segment& segment);

// Fills the holes of a segment that was there already (a sparse copy has some): on a full disk a store into one would end
// the process. Only under `memory`, whose records are stored. 0 or errno; 0 too where the file system cannot.
[[nodiscard]] int own_blocks(const Segment& segment, SegmentUse use) noexcept;

// The two halves of a header, and whether its fields make sense for that file. The problem, or nothing.
[[nodiscard]] std::array<std::uint8_t, kSegmentHeaderSize> encode_segment_header(const SegmentHeader& header) noexcept;
// Whether they are a whole header of this program's: cheap, for whoever tries many.
[[nodiscard]] bool is_segment_header(std::span<const std::uint8_t> bytes) noexcept;
[[nodiscard]] std::optional<LogProblem> decode_segment_header(const std::string& path, std::span<const std::uint8_t> bytes,
                                                              SegmentHeader& header);
[[nodiscard]] std::optional<LogProblem> check_segment_header(const std::string& path, const SegmentHeader& header, std::uint64_t index,
                                                             std::uint64_t size);

// The indexes of the segments in `dir`, ascending. Throws LogError.
[[nodiscard]] std::vector<std::uint64_t> list_segments(const std::string& dir);
// Removes what unfinished creations left. Throws LogError.
void remove_unfinished(const std::string& dir);

// Takes the lock of a log folder: one process at a time. Throws LogError.
[[nodiscard]] UniqueFd lock_log(const std::string& dir);

// A problem as a start tells it: place, fault, and what to do.
[[nodiscard]] LogError log_error(const LogProblem& problem, const std::string& dir);
// The system refused something: "<path>: <what>: <errno's text>", that it is no damage, and what to do about it.
[[nodiscard]] LogError system_error_of(const std::string& path, const std::string& what, int error);
[[nodiscard]] LogFault fault_of(int error) noexcept;

}  // namespace exchange
