// One log record: 128 bytes, little-endian, fixed places (docs of the fields in record.cpp).
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
};

enum class RecordState : std::uint8_t { empty, valid, damaged };

void encode_record(const LogRecord& record, std::span<std::uint8_t, kRecordSize> to) noexcept;
// `record` is filled in when the answer is valid.
[[nodiscard]] RecordState decode_record(std::span<const std::uint8_t, kRecordSize> from, LogRecord& record) noexcept;

}  // namespace exchange
