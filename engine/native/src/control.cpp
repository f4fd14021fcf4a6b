// What operators do, all of it sequenced: kill switch, limits, mass cancel, corporate actions, end of day.
#include "lists.hpp"
#include "state.hpp"

namespace exchange {

namespace {

// A number of an operator's command and what it must lie between.
struct Bound {
  std::int64_t value;
  std::int64_t least;
  std::int64_t most;
  [[nodiscard]] bool holds() const noexcept { return value >= least && value <= most; }
  // Of a bound that does not hold: the end it is beyond.
  [[nodiscard]] std::int64_t broken() const noexcept { return value < least ? least : most; }
};

}  // namespace

std::vector<OrderSlot> State::slots_of(const Instrument& in) const {
  std::vector<OrderSlot> found;
  each_slot(in, [&found](OrderSlot slot) { found.push_back(slot); });
  return found;
}

std::int64_t State::cancel_where(Instrument& in, const std::function<bool(const Order&)>& which, ExecType type, const Refusal& why) {
  std::int64_t count = 0;
  for (const OrderSlot slot : slots_of(in)) {
    const Order& order = slab[slot];
    if (which(order)) {
      take_out(slot);
      report_end(order, type, why);
      end(slot);
      ++count;
    }
  }
  return count;
}

void State::kill(const Command& command) {
  FirmRow& row = firm_row(command.firm);
  row.killed = command.qty == 1;
  std::int64_t cancelled = 0;
  if (row.killed) {
    for (Instrument& in : instruments) {
      cancelled += cancel_where(in, [&](const Order& order) { return order.firm == command.firm; }, ExecType::cancelled,
                                {RejectReason::firm_killed, command.firm});
    }
  }
  control_done(command, cancelled);
}

void State::mass_cancel(const Command& command) {
  const bool all = command.instrument == kAllInstruments;
  if (!all && command.instrument >= instruments.size()) {
    refuse(command, RejectReason::unknown_instrument, command.instrument, static_cast<std::int64_t>(instruments.size()));
    return;
  }
  std::int64_t cancelled = 0;
  for (std::size_t i = all ? 0 : command.instrument; i < (all ? instruments.size() : std::size_t{command.instrument} + 1); ++i) {
    cancelled += cancel_where(instruments[i], [&](const Order& order) { return order.firm == command.firm; }, ExecType::cancelled,
                              {});
  }
  control_done(command, cancelled);
}

void State::limits(const Command& command) {
  constexpr Qty kMaxPosition = 1'000'000'000'000'000;
  constexpr std::int64_t kMaxRate = 10'000'000;
  const auto burst = static_cast<std::int64_t>(std::min<OrderId>(command.order_id, std::numeric_limits<std::int64_t>::max()));
  const std::int64_t least_burst = command.stop_price_ticks == 0 ? 0 : 1;
  for (const Bound& one : {Bound{command.qty, 0, kMaxOrderQty}, Bound{command.price_ticks, 0, kMaxPosition},
                           Bound{command.stop_price_ticks, 0, kMaxRate}, Bound{burst, least_burst, kMaxRate}}) {
    if (!one.holds()) {
      refuse(command, RejectReason::bad_limits, one.value, one.broken());
      return;
    }
  }
  FirmRow& row = firm_row(command.firm);
  row.max_order_qty = command.qty;
  row.position_limit = command.price_ticks;
  row.rate = command.stop_price_ticks;
  row.burst = burst;
  row.stp = command.stp;
  fill_bucket(row);
  control_done(command, 0);
}

void State::reference(const Command& command) {
  if (command.instrument >= instruments.size()) {
    refuse(command, RejectReason::unknown_instrument, command.instrument, static_cast<std::int64_t>(instruments.size()));
  } else if (command.price_ticks < 1 || command.price_ticks > kMaxPriceTicks) {
    refuse(command, RejectReason::bad_price, command.price_ticks, kMaxPriceTicks);
  } else {
    set_reference(instruments[command.instrument], static_cast<std::int32_t>(command.price_ticks));
    control_done(command, 0);
  }
}

namespace {

// New shares for old ones: quantities times num / den, prices the other way round, less the dividend.
struct Split {
  std::int64_t num;
  std::int64_t den;
  std::int64_t dividend;

  [[nodiscard]] std::int64_t down(std::int64_t price) const noexcept { return price * den / num; }
  [[nodiscard]] std::int64_t up(std::int64_t price) const noexcept { return (price * den + num - 1) / num; }
  // Rounded so that no member buys dearer or sells cheaper than it said.
  [[nodiscard]] std::int64_t limit(Side side, std::int64_t price) const noexcept {
    return side == Side::buy ? down(price) - dividend : up(price);
  }
  // What a triggered one shows decides nothing any more. One that waits and was not reached by the last price (0: none) is
  // kept a tick from it where rounding would let it be reached.
  [[nodiscard]] std::int64_t stop(const Order& order, std::int32_t last_px) const noexcept {
    const std::int64_t price = order.stop;
    const std::int64_t moved = order.side == Side::buy ? up(price) : down(price) - dividend;
    if (!order.untriggered) {
      return std::clamp<std::int64_t>(moved, 1, kMaxPriceTicks);
    }
    const std::int64_t last = mark(last_px);
    if (last_px != 0 && order.side == Side::buy && price > last_px) {
      return std::max(moved, last + 1);
    }
    return last_px != 0 && order.side == Side::sell && price < last_px ? std::min(moved, last - 1) : moved;
  }
  [[nodiscard]] Qty holding(Qty net) const noexcept {
    __extension__ using Wide = __int128;
    constexpr Wide kMost = 1'000'000'000'000'000'000;
    return static_cast<Qty>(std::clamp<Wide>(static_cast<Wide>(net) * num / den, -kMost, kMost));
  }
  [[nodiscard]] std::int32_t mark(std::int32_t price) const noexcept {
    return price == 0 ? 0 : static_cast<std::int32_t>(std::clamp<std::int64_t>(down(price) - dividend, 1, kMaxPriceTicks));
  }
};

constexpr bool in_range(std::int64_t value) noexcept { return value >= 1 && value <= kMaxPriceTicks; }

}  // namespace

void State::corporate_action(const Command& command) {
  constexpr std::int64_t kMaxRatio = 1000;
  if (command.instrument >= instruments.size()) {
    refuse(command, RejectReason::unknown_instrument, command.instrument, static_cast<std::int64_t>(instruments.size()));
    return;
  }
  Instrument& in = instruments[command.instrument];
  for (const Bound& one : {Bound{command.qty, 1, kMaxRatio}, Bound{command.price_ticks, 1, kMaxRatio},
                           Bound{command.stop_price_ticks, 0, kMaxPriceTicks}}) {
    if (!one.holds()) {
      refuse(command, RejectReason::bad_quantity, one.value, one.broken());
      return;
    }
  }
  if (in.state != SessionState::closed) {
    refuse(command, RejectReason::wrong_state, static_cast<std::int64_t>(in.state));
    return;
  }
  const Split split{command.qty, command.price_ticks, command.stop_price_ticks};
  const std::vector<OrderSlot> slots = slots_of(in);
  for (const OrderSlot slot : slots) {
    take_out(slot);
  }
  // Only `net` is a holding; the trades of the day stay as they were made.
  for (const FirmId firm : known_firms) {
    if (const std::uint32_t number = find_cell(firm, command.instrument); number != 0) {
      cells[number].net = split.holding(cells[number].net);
    }
  }
  for (const OrderSlot slot : slots) {
    Order& order = slab[slot];
    const std::int64_t leaves = std::int64_t{order.leaves} * split.num / split.den;
    const std::int64_t price = order.price == 0 ? 0 : split.limit(order.side, order.price);
    const std::int64_t stop = order.stop == 0 ? 0 : split.stop(order, in.last_px);
    if (!in_range(leaves) || order.cum + leaves > kMaxOrderQty || (order.price != 0 && !in_range(price)) || (order.stop != 0 && !in_range(stop))) {
      report_end(order, ExecType::cancelled, {RejectReason::corporate_action, split.num, split.den});
      end(slot);
      continue;
    }
    order.leaves = static_cast<std::int32_t>(leaves);
    order.price = static_cast<std::int32_t>(price);
    order.stop = static_cast<std::int32_t>(stop);
    report_live(order, ExecType::restated, {RejectReason::corporate_action, split.num, split.den});
    if (order.untriggered) {
      enter_stop(slot);
    } else {
      rest(in, slot);
    }
  }
  in.last_px = split.mark(in.last_px);
  set_reference(in, split.mark(in.reference));
  control_done(command, static_cast<std::int64_t>(slots.size()));
}

void State::end_of_day(const Command& command) {
  for (const Instrument& in : instruments) {
    if (in.state != SessionState::closed) {
      refuse(command, RejectReason::wrong_state, static_cast<std::int64_t>(in.state), index_of(in));
      return;
    }
  }
  std::int64_t settled = 0;
  each_cell([&](FirmId firm, InstrumentId instrument, const PositionCell& cell) {
    if (cell.bought == 0 && cell.sold == 0 && cell.maker_qty == 0 && cell.taker_qty == 0) {
      return;
    }
    Report& made = report_bare(ExecType::settlement, firm, instrument, cell.maker_qty, cell.taker_qty);
    made.trade_id = static_cast<TradeId>(command.qty);
    made.order_qty = cell.bought;
    made.cum_qty = cell.sold;
    made.leaves_qty = cell.net;
    made.last_qty = cell.bought - cell.sold;
    made.cum_notional = cell.cash;
    ++settled;
  });
  for (std::uint32_t number = 1; number <= cell_count; ++number) {
    PositionCell& cell = cells[number];
    cell.bought = cell.sold = cell.maker_qty = cell.taker_qty = 0;
    cell.cash = 0;
  }
  forget_done();
  control_done(command, settled);
}

// What is done by the end of the day cannot be asked for any more: memory does not grow from day to day.
void State::forget_done() {
  ClOrdIds kept;
  accepted = Digest{};
  std::uint64_t first_live = accepted_count + 1;
  for (std::uint64_t count = first_kept; count <= accepted_count; ++count) {
    const OrderSlot slot = whereabouts[count].slot();
    if (slot == kNoSlot) {
      whereabouts[count] = {};
      continue;
    }
    first_live = std::min(first_live, count);
    Order& order = slab[slot];
    accepted.word(order.id);
    accepted.word(std::uint64_t{order.firm});
    if (order.cl_ord_id != 0) {
      const std::string_view text = cl_ord_ids.entry(order.cl_ord_id).text;
      accepted.text(text);
      order.cl_ord_id = kept.insert(order.firm, *ClOrdId::parse(text), order.id);
    }
  }
  first_kept = first_live;
  whereabouts.trim(first_kept, accepted_count + 1);
  cl_ord_ids = std::move(kept);
}

}  // namespace exchange
