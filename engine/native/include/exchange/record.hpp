// One log record: 128 bytes, little-endian, fixed places (docs/log.md; their offsets in record.cpp).
#pragma once

#include <cstdint>
#include <span>

#include "exchange/types.hpp"

namespace exchange {

inline constexpr std::size_t kRecordSize = 128;

struct LogRecord {
  Command command;
  std::uint64_t epoch = 0;
  SeqNum seq_num = 0;
  // The first seq_num of the batch this record was written with: tells a torn last batch from older damage.
  SeqNum batch_first_seq = 0;
  // Of the whole record; filled in by decode_record(), made by encode_record(). Names the history a snapshot is of.
  std::uint32_t crc = 0;
};

enum class RecordState : std::uint8_t { empty, valid, damaged };

// Returns the record's CRC.
std::uint32_t encode_record(const LogRecord& record, std::span<std::uint8_t, kRecordSize> to) noexcept;
// `record` is meaningful when the answer is valid. A record has one encoding only: what decodes, encodes to the same bytes.
[[nodiscard]] RecordState decode_record(std::span<const std::uint8_t, kRecordSize> from, LogRecord& record) noexcept;
// True when every byte is zero. Any size.
[[nodiscard]] bool all_zero(std::span<const std::uint8_t> bytes) noexcept;

}  // namespace exchange
