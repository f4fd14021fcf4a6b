#include "exchange/crc32c.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

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
// x^power modulo the polynomial, reflected: bit 31 stands for x^0.
constexpr std::uint32_t power_of_x(std::uint32_t power) noexcept {
  std::uint32_t value = 0x8000'0000;
  for (; power > 0; --power) {
    value = (value >> 1U) ^ ((value & 1U) != 0 ? kPolynomial : 0U);
  }
  return value;
}

std::uint64_t word_at(const std::uint8_t* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::span<const std::uint8_t> data, std::uint32_t before) noexcept {
  std::uint64_t crc = ~before;
  std::size_t at = 0;
  for (; at + 8 <= data.size(); at += 8) {
    crc = _mm_crc32_u64(crc, word_at(data.data() + at));
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; at < data.size(); ++at) {
    narrow = _mm_crc32_u8(narrow, data[at]);
  }
  return ~narrow;
}

// 4 bytes, then three lanes of 40. A lane's CRC counts for the whole once it is moved past the bytes behind it: its
// product with x^(8 n - 33), folded in as if it were message, because the instruction itself brings the other 33.
constexpr std::uint32_t kLane = 40;
constexpr std::uint32_t kPastTwoLanes = power_of_x(16 * kLane - 33);
constexpr std::uint32_t kPastOneLane = power_of_x(8 * kLane - 33);

__attribute__((target("sse4.2,pclmul"))) std::uint64_t moved(std::uint64_t crc, std::uint32_t power) noexcept {
  const __m128i from = _mm_cvtsi64_si128(static_cast<std::int64_t>(crc));
  const __m128i product = _mm_clmulepi64_si128(from, _mm_cvtsi32_si128(static_cast<int>(power)), 0);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t crc32c_lanes(std::span<const std::uint8_t, kRecordCrcBytes> data) noexcept {
  std::uint32_t head = 0;
  std::memcpy(&head, data.data(), sizeof head);
  const std::uint8_t* const first = data.data() + sizeof head;
  const std::uint8_t* const second = first + kLane;
  const std::uint8_t* const third = second + kLane;
  std::uint64_t a = _mm_crc32_u64(_mm_crc32_u32(~std::uint32_t{0}, head), word_at(first));
  std::uint64_t b = _mm_crc32_u64(0, word_at(second));
  std::uint64_t c = _mm_crc32_u64(0, word_at(third));
  for (std::size_t at = 8; at < kLane - 8; at += 8) {
    a = _mm_crc32_u64(a, word_at(first + at));
    b = _mm_crc32_u64(b, word_at(second + at));
    c = _mm_crc32_u64(c, word_at(third + at));
  }
  a = _mm_crc32_u64(a, word_at(first + kLane - 8));
  b = _mm_crc32_u64(b, word_at(second + kLane - 8));
  c = _mm_crc32_u64(c, word_at(third + kLane - 8) ^ moved(a, kPastTwoLanes) ^ moved(b, kPastOneLane));
  return ~static_cast<std::uint32_t>(c);
}
#endif

}  // namespace

std::uint32_t crc32c_table(std::span<const std::uint8_t> data, std::uint32_t before) noexcept {
  std::uint32_t crc = ~before;
  for (const std::uint8_t byte : data) {
    crc = kTable[(crc ^ byte) & 0xFFU] ^ (crc >> 8U);
  }
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::uint8_t> data, std::uint32_t before) noexcept {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) {
    return crc32c_sse42(data, before);
  }
#endif
  return crc32c_table(data, before);
}

std::uint32_t crc32c_record(std::span<const std::uint8_t, kRecordCrcBytes> data) noexcept {
#if defined(__x86_64__)
  static const bool has_instructions = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
  if (has_instructions) {
    return crc32c_lanes(data);
  }
#endif
  return crc32c(data);
}

}  // namespace exchange
