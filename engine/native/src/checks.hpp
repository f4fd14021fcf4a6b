// Every check that may refuse a new order, in the order in which the refusals come. All of it is on every order's way, so
// it is inlined there.
#pragma once

#include "order_kinds.hpp"
#include "state.hpp"

namespace exchange {

inline Refusal State::check_shape(const Command& c) const noexcept {
  if (c.instrument >= instruments.size()) {
    return {RejectReason::unknown_instrument, c.instrument, static_cast<std::int64_t>(instruments.size())};
  }
  if (is_stop(c.ord_type) && !may_wait(c.tif)) {
    return {RejectReason::bad_time_in_force, static_cast<std::int64_t>(c.tif), 0};
  }
  if (has_price(c.ord_type) && !is_price(c.price_ticks)) {
    return {RejectReason::bad_price, c.price_ticks, kMaxPriceTicks};
  }
  if (is_stop(c.ord_type) && !is_price(c.stop_price_ticks)) {
    return {RejectReason::bad_stop_price, c.stop_price_ticks, kMaxPriceTicks};
  }
  const Qty max_qty = instruments[c.instrument].max_qty;
  if (c.qty < 1 || c.qty > max_qty) {
    return {RejectReason::bad_quantity, c.qty, max_qty};
  }
  const SessionState state = instruments[c.instrument].state;
  const bool at_once = c.ord_type == OrdType::market || !may_wait(c.tif);
  if (state == SessionState::closed || (state != SessionState::continuous && at_once)) {
    return {RejectReason::wrong_state, static_cast<std::int64_t>(state), 0};
  }
  return {};
}

inline bool State::within_rate(FirmRow& row, TimeNs now) noexcept {
  const std::int64_t full = row.burst * kToken;
  const TimeNs elapsed = now - row.last;
  row.last = now;
  row.tokens = elapsed >= row.fill_ns ? full : std::min(full, row.tokens + elapsed * row.rate);
  const bool within = row.tokens >= kToken;
  row.tokens -= within ? kToken : 0;
  return within;
}

inline bool State::is_fat_finger(const Instrument& in, const Order& order) noexcept {
  const std::int64_t anchor = in.last_px != 0 ? in.last_px : in.reference;
  // The dearer of the two for a buy is its own price, for a sell the anchor; computed, see opposite().
  const std::int64_t swapped = (order.price ^ anchor) & (static_cast<std::int64_t>(order.side) - static_cast<std::int64_t>(Side::sell));
  const std::int64_t dear = anchor ^ swapped;
  const std::int64_t cheap = order.price ^ swapped;
  return anchor != 0 && dear * 100 > cheap * std::int64_t{in.fat_finger_pct};
}

// `more_open`: what the order would add to its side's open quantity.
inline Refusal State::check_risk(const Order& order, Qty order_qty, Qty more_open, std::int64_t twice_anchor) noexcept {
  FirmRow& row = firms[order.firm];
  if (row.rate > 0) {
    if (!within_rate(row, now)) {
      return {RejectReason::order_rate, row.rate, row.burst};
    }
  }
  if (row.max_order_qty > 0 && order_qty > row.max_order_qty) {
    return {RejectReason::order_size, order_qty, row.max_order_qty};
  }
  const Instrument& in = instruments[order.instrument];
  if (in.fat_finger_pct > 0 && has_price(order.type) && is_fat_finger(in, order)) [[unlikely]] {
    return {RejectReason::fat_finger, order.price, in.last_px != 0 ? in.last_px : in.reference};
  }
  if (order.price == 0 && over_cap(in, twice_anchor, order_qty)) {
    return {RejectReason::notional_cap, twice_anchor * order_qty / 2, notional_cap(in)};
  }
  if (row.position_limit > 0) {
    const PositionCell& cell = cells[order.cell];  // cell 0 is nobody's and stays zero
    const Qty held = order.side == Side::buy ? cell.net : -cell.net;
    const Qty would_be = held + cell.open[side_index(order.side)] + more_open;
    if (would_be > row.position_limit && more_open > 0) {  // a limit that was lowered refuses no amendment that adds nothing
      return {RejectReason::position_limit, would_be, row.position_limit};
    }
  }
  return {};
}

}  // namespace exchange
