// Orders into and out of books. On most orders' way, so it is inlined there; what becomes of stops is in match.cpp.
#pragma once

#include "state.hpp"

namespace exchange {

inline void State::rest(Instrument& in, OrderSlot slot) {
  keep(slot);
  Order& order = slab[slot];
  const LevelKey key = level_key(order.side, order.price);
  append(ladder(in, order.side).make(key, far(in, order.side), ladder_memory), order, slot, slab);
  open_of(cells[order.cell], order.side) += order.leaves;
}

inline void State::take_out(OrderSlot slot) noexcept {
  const Order& order = slab[slot];
  Instrument& in = instruments[order.instrument];
  open_of(cells[order.cell], order.side) -= order.leaves;
  if (order.untriggered) [[unlikely]] {
    take_out_stop(in, slot);
    return;
  }
  const LevelKey key = level_key(order.side, order.price);
  Ladder& side = ladder(in, order.side);
  Level& level = side.at(key, far(in, order.side));
  level.qty -= order.leaves;
  unlink(level, slot, slab);
  if (level.head == kNoSlot) {
    side.erase(key, far(in, order.side));
  }
}

}  // namespace exchange
