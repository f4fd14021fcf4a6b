// The price levels of one side of one book, ordered by key: the best level has the lowest key (a sell's key is its
// price, a buy's the negated price), so that one class serves both sides.
//
// Levels near the best lie in a ring of 64 to 4096 places: a key's place is its low bits, so the window slides along
// with the market without moving anything. A two-step bitmap finds the next level in two or three loads. Keys outside
// the window live in an ordered map. A level is in the window if and only if its key lies in [base, base + size).
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <memory_resource>
#include <optional>

#include "exchange/types.hpp"
#include "memory.hpp"

namespace exchange {

using LevelKey = std::int32_t;
using OrderSlot = std::uint32_t;
inline constexpr OrderSlot kNoSlot = 0;
inline constexpr LevelKey kNoKey = std::numeric_limits<LevelKey>::max();

// Without a branch, see opposite(): all bits set for a buy, so that it negates.
[[nodiscard]] constexpr LevelKey level_key(Side side, std::int32_t price) noexcept {
  const auto negates = static_cast<std::int32_t>(side) - static_cast<std::int32_t>(Side::sell);
  return (price ^ negates) - negates;
}
[[nodiscard]] constexpr std::int32_t level_price(Side side, LevelKey key) noexcept { return level_key(side, key); }

// The orders of one price, oldest first, and the sum of their leaves_qty.
struct Level {
  OrderSlot head = kNoSlot;
  OrderSlot tail = kNoSlot;
  Qty qty = 0;
};

// What all ladders of an engine share.
struct LadderMemory {
  BlockArena windows;
  std::pmr::unsynchronized_pool_resource far_nodes;
};

using FarLevels = std::pmr::map<LevelKey, Level>;

class Ladder {
 public:
  // kNoKey when this side is empty.
  [[nodiscard]] LevelKey best() const noexcept { return best_; }
  // The next level behind `key`, or kNoKey.
  [[nodiscard]] LevelKey next(LevelKey key, const FarLevels& far) const noexcept;
  // The level of `key`; it must exist. Valid until the next make() or erase().
  [[nodiscard]] Level& at(LevelKey key, FarLevels& far) noexcept {
    return in_window(key) ? levels_[index(key)] : far_level(key, far);
  }
  [[nodiscard]] const Level& at(LevelKey key, const FarLevels& far) const noexcept {
    return in_window(key) ? levels_[index(key)] : far.find(key)->second;
  }
  // The level of `key`, empty when it is new. May move levels: earlier references end here.
  Level& make(LevelKey key, FarLevels& far, LadderMemory& memory) {
    if (!in_window(key)) [[unlikely]] {
      return make_outside(key, far, memory);
    }
    Level& level = levels_[index(key)];
    if (level.head == kNoSlot) {
      mark(index(key));
      best_ = key < best_ ? key : best_;
    }
    return level;
  }
  // Forgets an existing level, which holds no order any more.
  void erase(LevelKey key, FarLevels& far) noexcept;
  // The level of `key` if it is in the window, or `other`.
  [[nodiscard]] const Level& near(LevelKey key, const Level& other) const noexcept { return in_window(key) ? levels_[index(key)] : other; }
  // Fetches what make() or erase() of `key` would touch in the window. Inlined before a compiler can take it for a call
  // without effect.
  [[gnu::always_inline]] void prefetch(LevelKey key) const noexcept {
    if (in_window(key)) {
      __builtin_prefetch(&levels_[index(key)], 1);
      __builtin_prefetch(words_ + (index(key) >> 6U), 1);
    }
  }

 private:
  static constexpr unsigned kFirstShift = 6;  // 64 levels
  static constexpr unsigned kLastShift = 12;  // 4096 levels

  [[nodiscard]] unsigned shift() const noexcept { return static_cast<unsigned>(std::countr_zero(size_)); }
  [[nodiscard]] bool in_window(LevelKey key) const noexcept {
    return static_cast<std::uint32_t>(key) - static_cast<std::uint32_t>(base_) < size_;
  }
  [[nodiscard]] std::uint32_t index(LevelKey key) const noexcept { return static_cast<std::uint32_t>(key) & (size_ - 1); }
  void mark(std::uint32_t at) noexcept {
    if (words_ == nullptr) {
      summary_ |= std::uint64_t{1} << at;
      return;
    }
    words_[at >> 6U] |= std::uint64_t{1} << (at & 63U);
    summary_ |= std::uint64_t{1} << (at >> 6U);
  }
  void unmark(std::uint32_t at) noexcept {
    if (words_ == nullptr) {
      summary_ &= ~(std::uint64_t{1} << at);
      return;
    }
    std::uint64_t& word = words_[at >> 6U];
    word &= ~(std::uint64_t{1} << (at & 63U));
    summary_ &= ~(std::uint64_t{word == 0} << (at >> 6U));
  }
  // The first level of the window whose key is at least `key`, which lies in the window; kNoKey when there is none.
  [[nodiscard]] LevelKey window_from(LevelKey key) const noexcept;
  [[nodiscard]] LevelKey window_last() const noexcept;
  [[nodiscard]] static Level& far_level(LevelKey key, FarLevels& far) noexcept;
  Level& make_outside(LevelKey key, FarLevels& far, LadderMemory& memory);
  void resize(unsigned to_shift, LevelKey base, LadderMemory& memory);
  void slide(LevelKey base, FarLevels& far);
  void pull_in(FarLevels& far) noexcept;
  void refill(FarLevels& far) noexcept;

  Level* levels_ = nullptr;         // `size_` of them
  std::uint64_t* words_ = nullptr;  // their bitmap; null while one word does, which is `summary_` then
  std::uint64_t summary_ = 0;       // bit w: word w of the bitmap is not zero
  LevelKey base_ = 0;
  LevelKey best_ = kNoKey;
  std::uint32_t size_ = 0;  // a power of two, or 0 as long as there is no window
};

}  // namespace exchange
