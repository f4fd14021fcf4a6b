#include "exchange/book.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace exchange {

namespace {

// The worst key of the other side that an order may trade with.
LevelKey worst_key(Side taker, std::optional<Price> limit) noexcept {
  return limit ? level_key(opposite(taker), *limit) : std::numeric_limits<LevelKey>::max();
}

}  // namespace

bool Book::can_fill(Side taker, std::optional<Price> limit, Qty qty) const noexcept {
  const Ladder& makers = ladder(opposite(taker));
  const LevelKey worst = worst_key(taker, limit);
  Qty needed = qty;
  std::size_t orders = 0;
  for (auto key = makers.best(); key && *key <= worst; key = makers.next(*key)) {
    for (OrderSlot slot = makers.at(*key).head; slot != kNoSlot; slot = (*slab_)[slot].next) {
      if (++orders > kMaxFillsPerCommand) {
        return false;
      }
      needed -= (*slab_)[slot].leaves_qty;
      if (needed <= 0) {
        return true;
      }
    }
  }
  return false;
}

Qty Book::match(Side taker, std::optional<Price> limit, Qty qty, std::vector<Match>& matches) {
  Ladder& makers = ladder(opposite(taker));
  const LevelKey worst = worst_key(taker, limit);
  Qty left = qty;
  while (left > 0 && matches.size() < kMaxFillsPerCommand) {
    const auto key = makers.best();
    if (!key || *key > worst) {
      break;
    }
    Level& level = makers.at(*key);
    left = match_level(level, left, matches);
    if (level.head == kNoSlot) {
      makers.erase(*key);
    }
  }
  return left;
}

Qty Book::match_level(Level& level, Qty qty, std::vector<Match>& matches) {
  Qty left = qty;
  while (left > 0 && level.head != kNoSlot && matches.size() < kMaxFillsPerCommand) {
    const OrderSlot slot = level.head;
    RestingOrder& maker = (*slab_)[slot];
    const Qty traded = std::min(left, maker.leaves_qty);
    left -= traded;
    maker.leaves_qty -= traded;
    maker.cum_qty += traded;
    level.qty -= traded;
    last_trade_ = PriceQty{maker.price_ticks, traded};
    const bool done = maker.leaves_qty == 0;
    matches.push_back({maker.id, maker.price_ticks, traded, done});
    if (done) {
      unlink(level, slot);
      slab_->erase(slot);
    }
  }
  return left;
}

OrderSlot Book::rest(const RestingOrder& order) {
  assert(order.leaves_qty > 0);
  const OrderSlot slot = slab_->insert(order);
  Level& level = ladder(order.side).make(level_key(order.side, order.price_ticks));
  RestingOrder& placed = (*slab_)[slot];
  placed.prev = level.tail;
  placed.next = kNoSlot;
  if (level.tail != kNoSlot) {
    (*slab_)[level.tail].next = slot;
  } else {
    level.head = slot;
  }
  level.tail = slot;
  level.qty += order.leaves_qty;
  return slot;
}

void Book::remove(OrderSlot slot) noexcept {
  const RestingOrder& order = (*slab_)[slot];
  const LevelKey key = level_key(order.side, order.price_ticks);
  Ladder& side = ladder(order.side);
  Level& level = side.at(key);
  level.qty -= order.leaves_qty;
  unlink(level, slot);
  if (level.head == kNoSlot) {
    side.erase(key);
  }
  slab_->erase(slot);
}

void Book::reduce(OrderSlot slot, Qty new_leaves) noexcept {
  RestingOrder& order = (*slab_)[slot];
  assert(new_leaves > 0 && new_leaves < order.leaves_qty);
  ladder(order.side).at(level_key(order.side, order.price_ticks)).qty -= order.leaves_qty - new_leaves;
  order.leaves_qty = new_leaves;
}

void Book::unlink(Level& level, OrderSlot slot) noexcept {
  const RestingOrder& order = (*slab_)[slot];
  if (order.prev != kNoSlot) {
    (*slab_)[order.prev].next = order.next;
  } else {
    level.head = order.next;
  }
  if (order.next != kNoSlot) {
    (*slab_)[order.next].prev = order.prev;
  } else {
    level.tail = order.prev;
  }
}

std::vector<PriceQty> Book::levels(Side side, std::size_t limit) const {
  std::vector<PriceQty> found;
  const Ladder& from = ladder(side);
  for (auto key = from.best(); key && found.size() < limit; key = from.next(*key)) {
    found.push_back({level_price(side, *key), from.at(*key).qty});
  }
  return found;
}

void Book::digest(Digest& into) const noexcept {
  into.word(last_trade_ ? last_trade_->price_ticks : Price{0});
  into.word(last_trade_ ? last_trade_->qty : Qty{0});
  digest_side(Side::buy, into);
  digest_side(Side::sell, into);
}

void Book::digest_side(Side side, Digest& into) const noexcept {
  const Ladder& from = ladder(side);
  for (auto key = from.best(); key; key = from.next(*key)) {
    const Level& level = from.at(*key);
    into.word(level_price(side, *key));
    into.word(level.qty);
    for (OrderSlot slot = level.head; slot != kNoSlot; slot = (*slab_)[slot].next) {
      const RestingOrder& order = (*slab_)[slot];
      into.word(order.id);
      into.word(std::uint64_t{order.firm});
      into.word(std::uint64_t{order.instrument});
      into.word(static_cast<std::uint64_t>(order.side));
      into.word(order.price_ticks);
      into.word(order.leaves_qty);
      into.word(order.cum_qty);
    }
  }
}

}  // namespace exchange
