// The bytes of a snapshot file: its header and the blocks behind it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "exchange/posix.hpp"
#include "exchange/snapshot.hpp"

namespace exchange {

inline constexpr std::size_t kSnapshotHeaderSize = 4096;
inline constexpr std::uint32_t kSnapshotFormatVersion = 1;
// Of one block's bytes. A block is u32 length, u32 CRC-32C of the bytes, the bytes; only the last may be shorter.
inline constexpr std::size_t kSnapshotBlock = std::size_t{1} << 20U;
inline constexpr std::size_t kSnapshotBlockHeader = 8;

struct SnapshotHeader {
  std::uint64_t config_digest = 0;
  SeqNum seq_num = 0;
  std::uint64_t epoch = 0;
  TimeNs ts_ns = 0;
  std::uint32_t record_crc = 0;
  std::uint32_t blocks_crc = 0;  // CRC-32C over the CRCs of all blocks: no block is missing, twice or in another's place
  std::uint64_t state_hash = 0;
  std::uint64_t payload_bytes = 0;  // of Engine::save(), without the blocks' own headers
  std::uint64_t file_bytes = 0;
};

using SnapshotHeaderBytes = std::array<std::uint8_t, kSnapshotHeaderSize>;

[[nodiscard]] SnapshotHeaderBytes encode_snapshot_header(const SnapshotHeader& header) noexcept;
// What is wrong with it, or empty: then `header` is filled in.
[[nodiscard]] std::string decode_snapshot_header(std::span<const std::uint8_t> bytes, SnapshotHeader& header);

// Takes the pieces of Engine::save() and writes them as blocks behind the header's place. Throws SnapshotError.
class SnapshotWriter {
 public:
  SnapshotWriter(std::string path, int fd) : path_(std::move(path)), fd_(fd) { block_.reserve(kSnapshotBlockHeader + kSnapshotBlock); }

  void put(std::span<const std::uint8_t> bytes);
  // Writes what is left, then the header with the sums filled in.
  void finish(SnapshotHeader header);

 private:
  void write_block();

  std::string path_;
  int fd_;
  std::vector<std::uint8_t> block_;  // with room for its header in front
  std::vector<std::uint8_t> crcs_;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t at_ = kSnapshotHeaderSize;
};

// Hands out the payload; no byte of a block before the block's CRC was found right. Throws SnapshotError.
class SnapshotReader {
 public:
  explicit SnapshotReader(const std::string& path);

  [[nodiscard]] const SnapshotHeader& header() const noexcept { return header_; }
  // As much as there is up to the size of `to`.
  std::size_t get(std::span<std::uint8_t> to);
  // After the last byte was taken: the sums over the whole file.
  void check_end() const;

 private:
  [[noreturn]] void refuse(const std::string& why) const;
  void read_block();
  void read_exactly(std::span<std::uint8_t> to);

  std::string path_;
  UniqueFd fd_;
  SnapshotHeader header_;
  std::vector<std::uint8_t> block_;
  std::size_t taken_ = 0;  // of the block
  std::vector<std::uint8_t> crcs_;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t at_ = kSnapshotHeaderSize;
};

}  // namespace exchange
