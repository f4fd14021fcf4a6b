// Call auctions: what an uncross would do, and doing it.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "state.hpp"

namespace exchange {

namespace {

struct Candidate {
  std::int32_t price = 0;
  Qty volume = 0;
  Qty imbalance = 0;  // signed
};

// The better of two candidates: volume, then imbalance, then nearness to the anchor (0: none), then the lower price.
bool better(const Candidate& a, const Candidate& b, std::int32_t anchor) noexcept {
  if (a.volume != b.volume) {
    return a.volume > b.volume;
  }
  if (std::abs(a.imbalance) != std::abs(b.imbalance)) {
    return std::abs(a.imbalance) < std::abs(b.imbalance);
  }
  const std::int32_t far_a = std::abs(a.price - anchor);
  const std::int32_t far_b = std::abs(b.price - anchor);
  if (anchor != 0 && far_a != far_b) {
    return far_a < far_b;
  }
  return a.price < b.price;
}

}  // namespace

// Between two limit prices every price does the same: beside the limits themselves, their neighbours and the anchor stand
// for all. One pass up these prices: sells come in as they are reached, buys fall away behind.
Indicative State::indicative(const Instrument& in) const {
  const Ladder& buys = ladder(in, Side::buy);
  const Ladder& sells = ladder(in, Side::sell);
  const std::int32_t bottom = sells.best();
  const std::int32_t top = buys.best() == kNoKey ? 0 : -buys.best();
  if (sells.best() == kNoKey || top < bottom) {
    return {};
  }
  const FarLevels& far_buys = far(in, Side::buy);
  const FarLevels& far_sells = far(in, Side::sell);
  std::vector<std::pair<std::int32_t, Qty>> bids;  // within the range, best first
  std::vector<std::int32_t> prices;
  Qty buy = 0;
  for (LevelKey key = buys.best(); key != kNoKey && -key >= bottom; key = buys.next(key, far_buys)) {
    bids.emplace_back(-key, buys.at(key, far_buys).qty);
    buy += bids.back().second;
    prices.insert(prices.end(), {-key - 1, -key, -key + 1});
  }
  for (LevelKey key = bottom; key != kNoKey && key <= top; key = sells.next(key, far_sells)) {
    prices.insert(prices.end(), {key - 1, key, key + 1});
  }
  const std::int32_t anchor = in.last_px != 0 ? in.last_px : in.reference;
  prices.push_back(anchor);
  std::sort(prices.begin(), prices.end());
  LevelKey ask = bottom;
  Qty sell = 0;
  Candidate best;
  for (const std::int32_t price : prices) {
    if (price < bottom || price > top) {
      continue;
    }
    while (ask != kNoKey && ask <= price) {
      sell += sells.at(ask, far_sells).qty;
      ask = sells.next(ask, far_sells);
    }
    while (!bids.empty() && bids.back().first < price) {
      buy -= bids.back().second;
      bids.pop_back();
    }
    const Candidate here{price, std::min(buy, sell), buy - sell};
    if (best.price == 0 || better(here, best, anchor)) {
      best = here;
    }
  }
  return {best.price, best.volume, best.imbalance};
}

// Best buy against best sell, both in price-time order, at one price. No self-trade prevention, no bands: what was
// shown as indicative is what happens.
void State::uncross(Instrument& in, const Indicative& at) {
  const auto price = static_cast<std::int32_t>(at.price_ticks);
  Qty left = at.qty;
  while (left > 0) {
    Ladder& buys = ladder(in, Side::buy);
    Ladder& sells = ladder(in, Side::sell);
    const std::array<Level*, 2> levels{&buys.at(buys.best(), far(in, Side::buy)), &sells.at(sells.best(), far(in, Side::sell))};
    const std::array<OrderSlot, 2> slots{levels[0]->head, levels[1]->head};
    const auto qty = static_cast<std::int32_t>(std::min<Qty>({left, slab[slots[0]].leaves, slab[slots[1]].leaves}));
    const std::int64_t notional = std::int64_t{price} * qty;
    const TradeId id = id_of(++trade_count);
    left -= qty;
    in.last_px = price;
    in.last_qty = qty;
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
      Order& order = slab[slots[i]];
      PositionCell& cell = cells[order.cell];
      const Qty sign = i == 0 ? 1 : -1;
      cell.net += sign * qty;
      (i == 0 ? cell.bought : cell.sold) += qty;
      const std::uint64_t paid = static_cast<std::uint64_t>(i == 0 ? -notional : notional);
      cell.cash = static_cast<std::int64_t>(static_cast<std::uint64_t>(cell.cash) + paid);
      open_of(cell, order.side) -= qty;
      levels[i]->qty -= qty;
      order.leaves -= qty;
      order.cum += qty;
      order.cum_notional += notional;
      Report& made = report(order, ExecType::trade, {}, Qty{order.cum} + order.leaves, order.leaves);
      made.ord_status = order.leaves == 0 ? OrdStatus::filled : OrdStatus::partially_filled;
      made.trade_id = id;
      made.contra_order_id = slab[slots[1 - i]].id;
      made.liquidity = Liquidity::auction;
      made.last_px_ticks = price;
      made.last_qty = qty;
    }
    for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
      const Order& order = slab[slots[i]];
      if (order.leaves > 0) {
        continue;
      }
      unlink(*levels[i], slots[i], slab);
      if (levels[i]->head == kNoSlot) {
        ladder(in, order.side).erase(level_key(order.side, order.price), far(in, order.side));
      }
      end(slots[i]);
    }
  }
}

}  // namespace exchange
