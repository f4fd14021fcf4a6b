// Inputs made from others: seeded, so that a number names each of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "support.hpp"

namespace fuzz {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::size_t kLargestInput = 16'384;

inline Bytes random_bytes(support::Random& random) {
  Bytes bytes(random.below(random.below(8) == 0 ? 4096 : 256));
  // Small values are likelier: they reach enum fields, counts and lengths that mean something.
  const bool small = random.below(2) == 0;
  for (auto& byte : bytes) {
    byte = static_cast<std::uint8_t>(small ? random.below(16) : random.next());
  }
  return bytes;
}

// A little-endian number of 1, 2, 4 or 8 bytes that is likely to be a bound of something.
inline void put_bound(Bytes& bytes, std::size_t at, support::Random& random) {
  constexpr std::array<std::uint64_t, 12> kBounds = {0,      1,      2,          0x7F,       0x80,
                                                     0xFFFF, 0x8000, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFFFFFFFFFF,
                                                     ~0ULL,  ~1ULL};
  const std::uint64_t value = kBounds.at(random.below(kBounds.size()));
  const std::size_t size = std::min<std::size_t>(std::size_t{1} << random.below(4), bytes.size() - at);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

inline void mutate_once(Bytes& bytes, const Bytes& other, support::Random& random) {
  if (bytes.empty()) {
    bytes = random_bytes(random);
    return;
  }
  const std::size_t at = random.below(bytes.size());
  const std::size_t size = 1 + random.below(std::min<std::size_t>(bytes.size() - at, 32));
  const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random.below(8)) {
    case 0:
      bytes[at] ^= static_cast<std::uint8_t>(1U << random.below(8));
      return;
    case 1:
      bytes[at] = static_cast<std::uint8_t>(random.next());
      return;
    case 2:
      bytes[at] = static_cast<std::uint8_t>(bytes[at] + (random.below(2) == 0 ? 1 : 255));
      return;
    case 3:
      put_bound(bytes, at, random);
      return;
    case 4:
      bytes.erase(place, place + static_cast<std::ptrdiff_t>(size));
      return;
    case 5: {  // twice
      const Bytes part(place, place + static_cast<std::ptrdiff_t>(size));
      bytes.insert(place, part.begin(), part.end());
      return;
    }
    case 6:  // the front of one, the end of another
      bytes.resize(at);
      bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(std::min(at, other.size())), other.end());
      return;
    default:
      bytes.resize(random.below(4) == 0 ? at : bytes.size());
      return;
  }
}

// One in eight knows nothing of the corpus.
inline Bytes next_input(const std::vector<Bytes>& corpus, support::Random& random) {
  if (corpus.empty() || random.below(8) == 0) {
    return random_bytes(random);
  }
  Bytes bytes = corpus[random.below(corpus.size())];
  const Bytes& other = corpus[random.below(corpus.size())];
  for (std::uint64_t count = 1 + random.below(random.below(2) == 0 ? 3 : 20); count > 0; --count) {
    mutate_once(bytes, other, random);
  }
  bytes.resize(std::min(bytes.size(), kLargestInput));
  return bytes;
}

}  // namespace fuzz
