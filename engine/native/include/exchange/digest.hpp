// The digest behind state_hash: FNV-1a over 64-bit words with one xor-shift per word, so that the reference in
// Python computes the same number cheaply. It finds divergence between honest copies; it is no cryptographic seal.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace exchange {

class Digest {
 public:
  Digest() = default;
  explicit Digest(std::uint64_t state) noexcept : state_(state) {}

  void word(std::uint64_t value) noexcept {
    state_ = (state_ ^ value) * 0x100000001B3ULL;
    state_ ^= state_ >> 29U;
  }
  void word(std::int64_t value) noexcept { word(static_cast<std::uint64_t>(value)); }

  // The length, then the bytes in little-endian words, the last one padded with zeros.
  void text(std::string_view value) noexcept {
    word(static_cast<std::uint64_t>(value.size()));
    for (std::size_t at = 0; at < value.size(); at += 8) {
      std::uint64_t chunk = 0;
      const std::string_view part = value.substr(at, 8);
      for (std::size_t i = 0; i < part.size(); ++i) {
        chunk |= static_cast<std::uint64_t>(static_cast<unsigned char>(part[i])) << (8U * i);
      }
      word(chunk);
    }
  }

  [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325ULL;
};

}  // namespace exchange
