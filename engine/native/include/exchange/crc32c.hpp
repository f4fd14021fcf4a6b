// CRC-32C (Castagnoli): with the processor's instructions where there are any, by table elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace exchange {

// `before`: the CRC of what stands in front of `data`, when it is taken piece by piece.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::uint8_t> data, std::uint32_t before = 0) noexcept;
// The table version, kept visible so that a test can hold the others against it.
[[nodiscard]] std::uint32_t crc32c_table(std::span<const std::uint8_t> data, std::uint32_t before = 0) noexcept;

// The part of a log record that its CRC covers. The same CRC as above, in three lanes at once: one lane alone would
// wait for the instruction's latency 15 times over.
inline constexpr std::size_t kRecordCrcBytes = 124;
[[nodiscard]] std::uint32_t crc32c_record(std::span<const std::uint8_t, kRecordCrcBytes> data) noexcept;

}  // namespace exchange
