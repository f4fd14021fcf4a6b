// Little-endian fields, written to and read from bytes without alignment or aliasing tricks.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace exchange {

template <std::integral T>
void store_le(std::uint8_t* at, T value) noexcept {
  auto bits = static_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    at[i] = static_cast<std::uint8_t>(bits & 0xFFU);
    bits >>= 8U;
  }
}

template <std::integral T>
[[nodiscard]] T load_le(const std::uint8_t* at) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bits |= static_cast<std::uint64_t>(at[i]) << (8U * i);
  }
  return static_cast<T>(bits);
}

// Appends fields to a growing buffer.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::uint8_t>& out) noexcept : out_(&out) {}

  template <std::integral T>
  void put(T value) {
    const std::size_t at = out_->size();
    out_->resize(at + sizeof(T));
    store_le(out_->data() + at, value);
  }
  template <typename E>
    requires std::is_enum_v<E>
  void put(E value) {
    put(static_cast<std::underlying_type_t<E>>(value));
  }
  void put_bytes(std::string_view text) { out_->insert(out_->end(), text.begin(), text.end()); }

 private:
  std::vector<std::uint8_t>* out_;
};

// Takes fields from a buffer; reading past its end yields zeros and makes ok() false for good.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> in) noexcept : in_(in) {}

  template <std::integral T>
  [[nodiscard]] T get() noexcept {
    if (!take(sizeof(T))) {
      return T{};
    }
    return load_le<T>(in_.data() + at_ - sizeof(T));
  }
  [[nodiscard]] std::string_view get_bytes(std::size_t size) noexcept {
    if (!take(size)) {
      return {};
    }
    return {reinterpret_cast<const char*>(in_.data() + at_ - size), size};
  }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  // True when every byte was read and none was missing.
  [[nodiscard]] bool finished() const noexcept { return ok_ && at_ == in_.size(); }
  [[nodiscard]] std::size_t remaining() const noexcept { return in_.size() - at_; }

 private:
  [[nodiscard]] bool take(std::size_t size) noexcept {
    if (!ok_ || size > in_.size() - at_) {
      ok_ = false;
      return false;
    }
    at_ += size;
    return true;
  }

  std::span<const std::uint8_t> in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace exchange
