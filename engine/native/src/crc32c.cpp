#include "exchange/crc32c.hpp"

#include <array>
#include <cstring>

namespace exchange {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected

constexpr std::array<std::uint32_t, 256> make_table() noexcept {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? kPolynomial : 0U);
    }
    table[byte] = crc;
  }
  return table;
}

constexpr auto kTable = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::span<const std::uint8_t> data) noexcept {
  std::uint64_t crc = ~std::uint32_t{0};
  std::size_t at = 0;
  for (; at + 8 <= data.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data.data() + at, sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; at < data.size(); ++at) {
    narrow = __builtin_ia32_crc32qi(narrow, data[at]);
  }
  return ~narrow;
}
#endif

}  // namespace

std::uint32_t crc32c_table(std::span<const std::uint8_t> data) noexcept {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::uint8_t byte : data) {
    crc = kTable[(crc ^ byte) & 0xFFU] ^ (crc >> 8U);
  }
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::uint8_t> data) noexcept {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) {
    return crc32c_sse42(data);
  }
#endif
  return crc32c_table(data);
}

}  // namespace exchange
