// The price levels of one side of one book, ordered by key: the best level has the lowest key (a sell's key is
// its price, a buy's is the negated price), so that one class serves both sides.
//
// Levels near the first price live in a flat window with a two-step bitmap: the next level is two bit scans away.
// Prices outside the window live in an ordered map. A level is in the window if and only if its key is inside the
// window's range, so each key has one place. The window moves only when it is empty: far trading stays correct
// and merely costs a map look-up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "exchange/types.hpp"

namespace exchange {

using LevelKey = std::int64_t;
using OrderSlot = std::uint32_t;
inline constexpr OrderSlot kNoSlot = 0;

[[nodiscard]] constexpr LevelKey level_key(Side side, Price price) noexcept { return side == Side::sell ? price : -price; }
[[nodiscard]] constexpr Price level_price(Side side, LevelKey key) noexcept { return side == Side::sell ? key : -key; }

// The orders of one price, oldest first, and the sum of their leaves_qty.
struct Level {
  OrderSlot head = kNoSlot;
  OrderSlot tail = kNoSlot;
  Qty qty = 0;
};

class Ladder {
 public:
  // The best (lowest) key, or nothing when this side is empty.
  [[nodiscard]] std::optional<LevelKey> best() const noexcept;
  // The next level behind `key`, which need not exist itself.
  [[nodiscard]] std::optional<LevelKey> next(LevelKey key) const noexcept;
  // The level of `key`; it must exist. Valid until the next make() or erase().
  [[nodiscard]] Level& at(LevelKey key) noexcept;
  [[nodiscard]] const Level& at(LevelKey key) const noexcept;
  // The level of `key`, empty when it is new. May move levels: earlier references end here.
  Level& make(LevelKey key);
  // Forgets an existing level.
  void erase(LevelKey key) noexcept;

 private:
  static constexpr std::size_t kWords = 16;
  static constexpr LevelKey kWindow = kWords * 64;

  [[nodiscard]] bool in_window(LevelKey key) const noexcept { return window_ && key >= base_ && key - base_ < kWindow; }
  [[nodiscard]] std::size_t index(LevelKey key) const noexcept { return static_cast<std::size_t>(key - base_); }
  [[nodiscard]] std::optional<LevelKey> window_from(std::size_t from) const noexcept;
  void mark(std::size_t at) noexcept;
  void move_window(LevelKey key);

  std::unique_ptr<std::array<Level, static_cast<std::size_t>(kWindow)>> window_;  // made with the first order
  LevelKey base_ = 0;
  std::array<std::uint64_t, kWords> bits_{};
  std::uint32_t summary_ = 0;  // bit w is set when bits_[w] is not zero
  std::map<LevelKey, Level> far_;
};

}  // namespace exchange
