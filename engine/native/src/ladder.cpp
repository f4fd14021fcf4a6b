#include "exchange/ladder.hpp"

#include <bit>
#include <cassert>

namespace exchange {

std::optional<LevelKey> Ladder::window_from(std::size_t from) const noexcept {
  std::size_t word = from / 64;
  if (word >= kWords) {
    return std::nullopt;
  }
  std::uint64_t bits = bits_[word] & (~std::uint64_t{0} << (from % 64));
  if (bits == 0) {
    const std::uint32_t later = summary_ & static_cast<std::uint32_t>(~((std::uint64_t{2} << word) - 1));
    if (later == 0) {
      return std::nullopt;
    }
    word = static_cast<std::size_t>(std::countr_zero(later));
    bits = bits_[word];
  }
  return base_ + static_cast<LevelKey>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
}

std::optional<LevelKey> Ladder::best() const noexcept {
  const std::optional<LevelKey> near = summary_ != 0 ? window_from(0) : std::nullopt;
  if (far_.empty()) {
    return near;
  }
  const LevelKey far = far_.begin()->first;
  return near && *near < far ? near : far;
}

std::optional<LevelKey> Ladder::next(LevelKey key) const noexcept {
  std::optional<LevelKey> near;
  if (summary_ != 0 && key + 1 < base_ + kWindow) {
    near = window_from(key < base_ ? 0 : index(key) + 1);
  }
  const auto far = far_.upper_bound(key);
  if (far == far_.end()) {
    return near;
  }
  return near && *near < far->first ? near : far->first;
}

Level& Ladder::at(LevelKey key) noexcept {
  if (in_window(key)) {
    return (*window_)[index(key)];
  }
  const auto far = far_.find(key);
  assert(far != far_.end());
  return far->second;
}

const Level& Ladder::at(LevelKey key) const noexcept {
  if (in_window(key)) {
    return (*window_)[index(key)];
  }
  const auto far = far_.find(key);
  assert(far != far_.end());
  return far->second;
}

Level& Ladder::make(LevelKey key) {
  if (!in_window(key)) {
    if (summary_ != 0) {
      return far_[key];
    }
    move_window(key);
  }
  mark(index(key));
  return (*window_)[index(key)];
}

void Ladder::erase(LevelKey key) noexcept {
  if (!in_window(key)) {
    far_.erase(key);
    return;
  }
  const std::size_t at = index(key);
  (*window_)[at] = Level{};
  bits_[at / 64] &= ~(std::uint64_t{1} << (at % 64));
  if (bits_[at / 64] == 0) {
    summary_ &= ~(1U << (at / 64));
  }
}

void Ladder::mark(std::size_t at) noexcept {
  bits_[at / 64] |= std::uint64_t{1} << (at % 64);
  summary_ |= 1U << (at / 64);
}

// Puts the empty window around `key` and takes in the far levels that it now covers: each key keeps one place.
void Ladder::move_window(LevelKey key) {
  assert(summary_ == 0);
  if (!window_) {
    window_ = std::make_unique<std::array<Level, static_cast<std::size_t>(kWindow)>>();
  }
  base_ = key - kWindow / 2;
  auto from = far_.lower_bound(base_);
  const auto to = far_.lower_bound(base_ + kWindow);
  while (from != to) {
    (*window_)[index(from->first)] = from->second;
    mark(index(from->first));
    from = far_.erase(from);
  }
}

}  // namespace exchange
