// One file of the log: header, and the place of each record in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exchange/log.hpp"
#include "exchange/posix.hpp"

namespace exchange {

inline constexpr std::uint64_t kSegmentHeaderSize = 4096;

struct SegmentHeader {
  std::uint64_t index = 0;  // from 1; also the file's name
  SeqNum first_seq_num = 0;
  std::uint64_t records = 0;  // places for records, fixed at creation
  std::uint64_t epoch = 0;    // of the core that made it
  std::uint64_t config_digest = 0;
};

struct Segment {
  std::string path;
  SegmentHeader header;
  UniqueFd fd;

  [[nodiscard]] SeqNum end_seq_num() const noexcept { return header.first_seq_num + header.records; }
  [[nodiscard]] std::uint64_t offset_of(SeqNum seq_num) const noexcept {
    return kSegmentHeaderSize + (seq_num - header.first_seq_num) * kRecordSize;
  }
  [[nodiscard]] std::uint64_t file_size() const noexcept { return kSegmentHeaderSize + header.records * kRecordSize; }
};

[[nodiscard]] std::string segment_path(const std::string& dir, std::uint64_t index);

// Makes a segment full of zeros under a temporary name and renames it when it is whole and on the device, so that
// a crash in between leaves no half segment. 0, or errno with nothing left behind.
[[nodiscard]] int create_segment(const std::string& dir, const SegmentHeader& header, Segment& made) noexcept;

// Opens a segment and checks its header against itself and its file. Throws LogError.
[[nodiscard]] Segment open_segment(const std::string& dir, std::uint64_t index);

// The indexes of the segments in `dir`, ascending. Removes leftovers of unfinished creations. Throws LogError.
[[nodiscard]] std::vector<std::uint64_t> list_segments(const std::string& dir);

// A LogError about a place: "<file>: offset <n>: <what>; <advice>".
[[nodiscard]] LogError log_error_at(const std::string& path, std::uint64_t offset, const std::string& what);

}  // namespace exchange
