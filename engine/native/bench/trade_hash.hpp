// One number for all the trades of a run, in order, so that two books can be shown to have done the same work.
// tests/bench/peers/exchange_core computes it, too.
#pragma once

#include <cstdint>

#include "exchange/types.hpp"

namespace bench {

class TradeHash {
 public:
  void add(exchange::Price price_ticks, exchange::Qty qty, exchange::OrderId maker, exchange::OrderId taker) noexcept {
    word(static_cast<std::uint64_t>(price_ticks));
    word(static_cast<std::uint64_t>(qty));
    word(maker);
    word(taker);
    ++trades_;
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return state_; }
  [[nodiscard]] std::uint64_t trades() const noexcept { return trades_; }
  bool operator==(const TradeHash&) const = default;

 private:
  void word(std::uint64_t value) noexcept {
    state_ = (state_ ^ value) * 0x100000001B3ULL;
    state_ ^= state_ >> 29U;
  }

  std::uint64_t state_ = 0xCBF29CE484222325ULL;
  std::uint64_t trades_ = 0;
};

}  // namespace bench
