// CRC-32C (Castagnoli): with the processor's instruction where there is one, by table elsewhere.
#pragma once

#include <cstdint>
#include <span>

namespace exchange {

[[nodiscard]] std::uint32_t crc32c(std::span<const std::uint8_t> data) noexcept;
// The table version, kept visible so that a test can hold the two against each other.
[[nodiscard]] std::uint32_t crc32c_table(std::span<const std::uint8_t> data) noexcept;

}  // namespace exchange
