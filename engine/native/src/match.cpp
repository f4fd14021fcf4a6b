// Continuous trading: an incoming order meets the other side, what is left rests or ends, stops are triggered.
#include "lists.hpp"
#include "state.hpp"

namespace exchange {

namespace {

constexpr std::int64_t kBps = 10'000;

}  // namespace

void State::set_bands(Instrument& in) noexcept {
  const auto bps = static_cast<std::int64_t>(config.instruments[index_of(in)].luld_bps);
  if (bps == 0 || in.reference == 0) {
    in.lower = 0;
    in.upper = kNoBand;
    return;
  }
  in.lower = static_cast<std::int32_t>((std::int64_t{in.reference} * (kBps - bps) + kBps - 1) / kBps);
  in.upper = static_cast<std::int32_t>(std::int64_t{in.reference} * (kBps + bps) / kBps);
}

std::int64_t State::anchor2(const Instrument& in, Side taker) const noexcept {
  const LevelKey bid = ladder(in, Side::buy).best();
  const LevelKey ask = ladder(in, Side::sell).best();
  if (bid != kNoKey && ask != kNoKey) {
    return std::int64_t{ask} - bid;  // a bid's key is its negated price
  }
  if (in.last_px != 0) {
    return 2 * std::int64_t{in.last_px};
  }
  if (in.reference != 0) {
    return 2 * std::int64_t{in.reference};
  }
  const LevelKey other = taker == Side::buy ? ask : bid;
  return other == kNoKey ? 0 : 2 * std::int64_t{level_price(opposite(taker), other)};
}

LevelKey State::collar_key(const Instrument& in, Side taker, std::int64_t twice_anchor) const noexcept {
  const auto bps = static_cast<std::int64_t>(config.instruments[index_of(in)].collar_bps);
  if (bps == 0 || twice_anchor == 0) {
    return kNoKey - 1;  // any price
  }
  if (taker == Side::buy) {
    return static_cast<LevelKey>(std::min<std::int64_t>(twice_anchor * (kBps + bps) / (2 * kBps), kMaxPriceTicks));
  }
  return static_cast<LevelKey>(-std::max<std::int64_t>(1, (twice_anchor * (kBps - bps) + 2 * kBps - 1) / (2 * kBps)));
}

void State::incoming(Instrument& in, OrderSlot slot, LevelKey worst, TimeNs time) {
  Order& taker = slab[slot];
  const bool fok = taker.tif == TimeInForce::fok;
  const std::uint64_t trades_before = trade_count;
  WalkEnd how = WalkEnd::at_limit;
  bool killed = false;
  if (fok) {
    how = dry_walk(in, taker, worst);
    killed = how != WalkEnd::self;  // `self` stands for: all of it can be had
  }
  if (!killed) {
    how = walk(in, taker, worst, fok);
  }
  const bool left = taker.leaves > 0;
  if (!left) {
    end(slot);
  } else if (killed) {
    report_end(taker, ExecType::cancelled, how == WalkEnd::blocked ? outside_bands(in, blocked_price(in, taker.side)) : Refusal{});
    end(slot);
    return;  // no limit state: whoever risks no trade could halt the instrument with it
  } else {
    leave_over(in, slot, worst, how);
  }
  const bool traded = trade_count != trades_before;
  if (left && how == WalkEnd::blocked) {
    // What traded on the way ended the limit state that ran: this is another one.
    if (in.timer != TimerKind::limit_state || traded) {
      set_timer(in, TimerKind::limit_state, time + config.limit_state_ns);
      report_bare(ExecType::limit_state, 0, index_of(in), 1);
    }
  } else if (in.timer == TimerKind::limit_state && traded) {
    clear_timer(in);
    report_bare(ExecType::limit_state, 0, index_of(in), 0);
  }
}

WalkEnd State::walk(Instrument& in, Order& taker, LevelKey worst, bool fixed_bands) {
  Ladder& makers = ladder(in, opposite(taker.side));
  FarLevels* outside = nullptr;
  const StpMode stp = firms[taker.firm].stp;
  const std::int32_t lower = in.lower;
  const std::int32_t upper = in.upper;
  std::size_t steps = 0;
  while (taker.leaves > 0) {
    const LevelKey key = makers.best();
    if (key > worst) {  // kNoKey too
      return WalkEnd::at_limit;
    }
    const std::int32_t price = level_price(opposite(taker.side), key);
    outside = &far(in, opposite(taker.side));
    Level& level = makers.at(key, *outside);
    while (taker.leaves > 0 && level.head != kNoSlot) {
      if (steps == kMaxFillsPerCommand) {
        return WalkEnd::capped;
      }
      if (fixed_bands ? price < lower || price > upper : price < in.lower || price > in.upper) {
        return WalkEnd::blocked;
      }
      ++steps;
      Order& maker = slab[level.head];
      if (stp != StpMode::none && maker.firm == taker.firm) [[unlikely]] {
        if (stp == StpMode::cancel_newest) {
          return WalkEnd::self;
        }
        if (stp == StpMode::cancel_oldest) {
          const OrderSlot gone = level.head;
          level.qty -= maker.leaves;
          open_of(cells[maker.cell], maker.side) -= maker.leaves;
          unlink(level, gone, slab);
          report_end(maker, ExecType::cancelled, own_trade(taker, std::min(taker.leaves, maker.leaves)));
          end(gone);
        } else if (decrement(taker, maker, level)) {
          if (level.head == kNoSlot) {
            makers.erase(key, *outside);
          }
          return WalkEnd::self;
        }
        continue;
      }
      trade(in, taker, maker, level);
    }
    if (level.head == kNoSlot) {
      makers.erase(key, *outside);
    }
  }
  return WalkEnd::at_limit;
}

void State::trade(Instrument& in, Order& taker, Order& maker, Level& level) {
  const std::int32_t qty = std::min(taker.leaves, maker.leaves);
  const std::int32_t price = maker.price;
  const std::int64_t notional = std::int64_t{price} * qty;
  const TradeId id = id_of(++trade_count);
  PositionCell& mine = cells[taker.cell];
  PositionCell& theirs = cells[maker.cell];
  PositionCell& buyer = taker.side == Side::buy ? mine : theirs;
  PositionCell& seller = taker.side == Side::buy ? theirs : mine;
  buyer.net += qty;
  buyer.bought += qty;
  buyer.cash = static_cast<std::int64_t>(static_cast<std::uint64_t>(buyer.cash) - static_cast<std::uint64_t>(notional));
  seller.net -= qty;
  seller.sold += qty;
  seller.cash = static_cast<std::int64_t>(static_cast<std::uint64_t>(seller.cash) + static_cast<std::uint64_t>(notional));
  mine.taker_qty += qty;
  theirs.maker_qty += qty;
  open_of(theirs, maker.side) -= qty;
  level.qty -= qty;
  for (Order* const order : {&taker, &maker}) {
    order->leaves -= qty;
    order->cum += qty;
    order->cum_notional += notional;
  }
  in.last_px = price;
  in.last_qty = qty;
  range_low = std::min(range_low, price);
  range_high = std::max(range_high, price);
  if (in.has_bands && in.reference == 0) [[unlikely]] {
    set_reference(in, price);
  }
  for (const Order* const order : {&taker, &maker}) {
    Report& made = report(*order, ExecType::trade, {}, Qty{order->cum} + order->leaves, order->leaves);
    made.ord_status = order->leaves == 0 ? OrdStatus::filled : OrdStatus::partially_filled;
    made.trade_id = id;
    made.contra_order_id = order == &taker ? maker.id : taker.id;
    made.liquidity = order == &taker ? Liquidity::taker : Liquidity::maker;
    made.last_px_ticks = price;
    made.last_qty = qty;
  }
  if (maker.leaves == 0) {
    const OrderSlot gone = level.head;
    unlink(level, gone, slab);
    end(gone);
  }
}

bool State::decrement(Order& taker, Order& maker, Level& level) {
  const std::int32_t less = std::min(taker.leaves, maker.leaves);
  level.qty -= less;
  open_of(cells[maker.cell], maker.side) -= less;
  maker.leaves -= less;
  taker.leaves -= less;
  const bool maker_ends = maker.leaves == 0;
  if (maker_ends) {
    const OrderSlot gone = level.head;
    unlink(level, gone, slab);
    report_end(maker, ExecType::cancelled, own_trade(taker, less));
    end(gone);
  } else {
    report_live(maker, ExecType::restated, own_trade(taker, less));
  }
  if (taker.leaves == 0) {
    report_end(taker, ExecType::cancelled, own_trade(maker, less));
    return true;
  }
  report_live(taker, ExecType::restated, own_trade(maker, less));
  return false;
}

// `self`: the whole quantity can be had. Changes nothing, and walks by the same rules as walk().
WalkEnd State::dry_walk(const Instrument& in, const Order& taker, LevelKey worst) const noexcept {
  const Side side = opposite(taker.side);
  const Ladder& makers = ladder(in, side);
  const FarLevels& outside = far(in, side);
  const StpMode stp = firms[taker.firm].stp;
  Qty needed = taker.leaves;
  std::size_t steps = 0;
  for (LevelKey key = makers.best(); key <= worst; key = makers.next(key, outside)) {
    const std::int32_t price = level_price(side, key);
    for (OrderSlot slot = makers.at(key, outside).head; slot != kNoSlot; slot = slab.links(slot).next) {
      if (steps == kMaxFillsPerCommand) {
        return WalkEnd::capped;
      }
      if (price < in.lower || price > in.upper) {
        return WalkEnd::blocked;
      }
      ++steps;
      if (stp != StpMode::none && slab[slot].firm == taker.firm) {
        if (stp != StpMode::cancel_oldest) {
          return WalkEnd::at_limit;
        }
        continue;
      }
      needed -= slab[slot].leaves;
      if (needed <= 0) {
        return WalkEnd::self;
      }
    }
  }
  return WalkEnd::at_limit;
}

// What `qty` shares would have been traded with.
Refusal State::own_trade(const Order& other, std::int32_t qty) noexcept { return {RejectReason::self_trade, as_value(other.id), qty}; }

Refusal State::outside_bands(const Instrument& in, std::int32_t price) noexcept {
  return {RejectReason::price_band, price, price < in.lower ? in.lower : in.upper};
}

// The first price that a walk which the bands ended could not trade at.
std::int32_t State::blocked_price(const Instrument& in, Side taker) noexcept {
  const Side side = opposite(taker);
  const Ladder& makers = ladder(in, side);
  LevelKey key = makers.best();
  while (level_price(side, key) >= in.lower && level_price(side, key) <= in.upper) {
    key = makers.next(key, far(in, side));
  }
  return level_price(side, key);
}

void State::leave_over(Instrument& in, OrderSlot slot, LevelKey worst, WalkEnd how) {
  const Order& taker = slab[slot];
  const Side others = opposite(taker.side);
  const LevelKey best = ladder(in, others).best();
  const bool waits = taker.price != 0 && (taker.tif == TimeInForce::day || taker.tif == TimeInForce::gtc);
  Refusal why;
  if (how == WalkEnd::self) {
    const Order& own = slab[ladder(in, others).at(best, far(in, others)).head];
    why = own_trade(own, std::min(taker.leaves, own.leaves));
  } else if (how == WalkEnd::blocked) {
    why = outside_bands(in, level_price(others, best));
  } else if (how == WalkEnd::capped) {
    why = {RejectReason::fill_limit, kMaxFillsPerCommand, kMaxFillsPerCommand};
  } else if (waits && may_rest(in, taker)) {
    rest(in, slot);
    return;
  } else if (waits) {
    why = outside_bands(in, taker.price);
  } else if (taker.price == 0 && best != kNoKey) {
    why = {RejectReason::collar, level_price(others, best), level_price(others, worst)};
  }
  report_end(taker, ExecType::cancelled, why);
  end(slot);
}

// --- stops

void State::enter_stop(OrderSlot slot) {
  keep(slot);
  Order& order = slab[slot];
  Instrument& in = instruments[order.instrument];
  order.untriggered = true;
  append(stops(in, order.side)[order.side == Side::buy ? order.stop : -order.stop], order, slot, slab);
  in.has_stops = true;
  open_of(cells[order.cell], order.side) += order.leaves;
}

void State::take_out_stop(Instrument& in, OrderSlot slot) noexcept {
  const Order& order = slab[slot];
  FarLevels& listed = stops(in, order.side);
  const auto level = listed.find(order.side == Side::buy ? order.stop : -order.stop);
  level->second.qty -= order.leaves;
  unlink(level->second, slot, slab);
  if (level->second.head == kNoSlot) {
    listed.erase(level);
    in.has_stops = !stops(in, Side::buy).empty() || !stops(in, Side::sell).empty();
  }
}

OrderSlot State::next_stop(Instrument& in) noexcept {
  const FarLevels& buys = stops(in, Side::buy);
  if (!buys.empty() && buys.begin()->first <= range_high) {
    return buys.begin()->second.head;
  }
  const FarLevels& sells = stops(in, Side::sell);
  if (!sells.empty() && -sells.begin()->first >= range_low) {
    return sells.begin()->second.head;
  }
  return kNoSlot;
}

// Until nothing more is triggered: each activated stop may trade, and so trigger others. It ends because each turn
// takes one stop out.
void State::trigger_stops(Instrument& in, TimeNs time) {
  if (in.last_px == 0) {
    return;
  }
  range_low = std::min(range_low, in.last_px);
  range_high = std::max(range_high, in.last_px);
  while (in.has_stops) {
    const OrderSlot slot = next_stop(in);
    if (slot == kNoSlot) {
      return;
    }
    Order& taker = slab[slot];
    take_out(slot);
    taker.untriggered = false;
    report_live(taker, ExecType::triggered);
    LevelKey worst = level_key(opposite(taker.side), taker.price);
    if (taker.type == OrdType::stop) {
      const std::int64_t twice_anchor = anchor2(in, taker.side);
      if (over_cap(in, twice_anchor, taker.leaves)) {
        report_end(taker, ExecType::cancelled, {RejectReason::stop_over_cap, twice_anchor * taker.leaves / 2, notional_cap(in)});
        end(slot);
        continue;
      }
      worst = collar_key(in, taker.side, twice_anchor);
    }
    incoming(in, slot, worst, time);
  }
}

}  // namespace exchange
