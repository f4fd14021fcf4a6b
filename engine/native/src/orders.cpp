// Entry, amendment and cancellation of orders.
#include "checks.hpp"
#include "lists.hpp"
#include "order_kinds.hpp"
#include "state.hpp"

namespace exchange {

namespace {

// A refused price in a report, which has room for sound ones only.
constexpr std::int32_t shown(Price price) noexcept { return price == static_cast<std::int32_t>(price) ? static_cast<std::int32_t>(price) : 0; }

}  // namespace

void State::apply(const Command& command) {
  if (!well_formed(command)) [[unlikely]] {
    Report& made = reports.next();
    made = Report{};
    made.side = Side{};
    made.ord_type = OrdType{};
    made.exec_type = ExecType::rejected;
    made.ord_status = OrdStatus::rejected;
    made.reason = RejectReason::bad_command;
    return;
  }
  ++seq_num;
  now = std::max(now, command.ts_ns);
  if (now >= next_timer) [[unlikely]] {
    fire_timers();
  }
  begin_range();
  const std::size_t first = reports.size();
  if (command.kind == CommandKind::new_order) {
    new_order(command);
  } else if (command.kind == CommandKind::cancel) {
    cancel(command);
  } else {
    apply_rare(command);
  }
  if (reports[first].ord_status != OrdStatus::rejected) {
    last_tick = command.ts_ns;
  }
}

void State::apply_rare(const Command& command) {
  switch (command.kind) {
    case CommandKind::new_order:
    case CommandKind::cancel:
      break;
    case CommandKind::reduce:
      reduce(command);
      break;
    case CommandKind::amend:
      amend(command);
      break;
    case CommandKind::session:
      session(command);
      break;
    case CommandKind::timer:
      control_done(command, 0);
      break;
    case CommandKind::kill:
      kill(command);
      break;
    case CommandKind::limits:
      limits(command);
      break;
    case CommandKind::mass_cancel:
      mass_cancel(command);
      break;
    case CommandKind::corporate_action:
      corporate_action(command);
      break;
    case CommandKind::end_of_day:
      end_of_day(command);
      break;
    case CommandKind::reference:
      reference(command);
      break;
  }
}

// --- reports

Report& State::report_bare(ExecType type, FirmId firm, InstrumentId instrument, std::int64_t value, std::int64_t limit) {
  Report& made = reports.next();
  made = Report{};
  made.exec_id = ++exec_id;
  made.seq_num = seq_num;
  made.firm = firm;
  made.instrument = instrument;
  made.exec_type = type;
  made.side = Side{};
  made.ord_type = OrdType{};
  made.value = value;
  made.limit = limit;
  return made;
}

void State::refuse(const Command& command, RejectReason reason, std::int64_t value, std::int64_t limit, OrderId order_id) {
  const bool by_id =
      command.kind == CommandKind::cancel || command.kind == CommandKind::reduce || command.kind == CommandKind::amend;
  Report& made = report_bare(by_id ? ExecType::cancel_rejected : ExecType::rejected, command.firm, 0, value, limit);
  made.ord_status = OrdStatus::rejected;
  made.reason = reason;
  made.order_id = by_id ? command.order_id : order_id;
  if (!by_id) {
    made.instrument = command.instrument;
  }
  if (command.kind == CommandKind::new_order) {
    made.side = command.side;
    made.ord_type = command.ord_type;
    made.tif = command.tif;
    made.order_qty = command.qty;
    made.price_ticks = has_price(command.ord_type) ? shown(command.price_ticks) : 0;
    made.stop_price_ticks = is_stop(command.ord_type) ? shown(command.stop_price_ticks) : 0;
  }
}

// --- rows and cells

void State::fill_bucket(FirmRow& row) const noexcept {
  set_fill_time(row);
  row.tokens = row.burst * kToken;
  row.last = now;
}

void State::know_firm(FirmId firm) {
  known_firms.insert(std::lower_bound(known_firms.begin(), known_firms.end(), firm), firm);
  FirmRow& row = firms[firm];
  row.used = true;
  row.max_order_qty = config.default_limits.max_order_qty;
  row.position_limit = config.default_limits.position_limit;
  row.rate = config.default_limits.rate_per_s;
  row.burst = config.default_limits.burst;
  row.stp = config.default_limits.stp;
  fill_bucket(row);
}

std::uint32_t State::make_cell(FirmId firm, InstrumentId instrument) {
  FirmRow& row = firms[firm];
  if (row.cell_row == 0) {
    row.cell_row = ++row_count;
    cell_pages.reach((std::size_t{row_count} + 1) * row_size);
  }
  std::uint32_t& page = cell_pages[page_place(firm, instrument)];
  if (page == 0) {
    page = ++page_count;
    cell_numbers.reach((std::size_t{page} + 1) * kPageCells);
  }
  std::uint32_t& number = cell_numbers[cell_place(firm, instrument)];
  if (number == 0) {
    number = ++cell_count;
    cells.reach(std::size_t{number} + 1);
  }
  return number;
}

// --- new orders

inline void State::accept(Order& order, const ClOrdId& cl_ord_id) {
  ++accepted_count;
  whereabouts.reach(accepted_count + 1);
  order.id = id_of(accepted_count);
  accepted.word(order.id);
  accepted.word(std::uint64_t{order.firm});
  if (!cl_ord_id.empty()) {
    accepted.text(cl_ord_id.view());
    order.cl_ord_id = cl_ord_ids.insert(order.firm, cl_ord_id, order.id);
  }
  if (order.cell == 0) [[unlikely]] {
    order.cell = make_cell(order.firm, order.instrument);
  }
  report_live(order, ExecType::fresh);
}

void State::new_order(const Command& command) {
  // First of all checks: whoever sends an accepted order again learns its order id, whatever else changed.
  if (!command.cl_ord_id.empty()) {
    const OrderId original = cl_ord_ids.find(command.firm, command.cl_ord_id);
    if (original != 0) {
      refuse(command, RejectReason::duplicate_cl_ord_id, 0, 0, original);
      return;
    }
  }
  Refusal refusal = check_shape(command);
  if (refusal.reason != RejectReason::none) {
    refuse(command, refusal.reason, refusal.value, refusal.limit);
    return;
  }
  const OrderSlot slot = slab.spare();  // made where it will stand if it comes to rest
  Order& order = slab[slot];
  order = {
      .id = 0,
      .price = has_price(command.ord_type) ? static_cast<std::int32_t>(command.price_ticks) : 0,
      .leaves = static_cast<std::int32_t>(command.qty),
      .stop = is_stop(command.ord_type) ? static_cast<std::int32_t>(command.stop_price_ticks) : 0,
      .cum = 0,
      .cum_notional = 0,
      .instrument = command.instrument,
      .cell = find_cell(command.firm, command.instrument),
      .cl_ord_id = 0,
      .firm = static_cast<std::uint16_t>(command.firm),
      .side = command.side,
      .type = command.ord_type,
      .tif = command.tif,
      .untriggered = false,
  };
  Instrument& in = instruments[command.instrument];
  if (firm_row(command.firm).killed) {
    refuse(command, RejectReason::firm_killed, command.firm);
    return;
  }
  const std::int64_t twice_anchor = order.type == OrdType::market ? anchor2(in, order.side) : 2 * std::int64_t{order.stop};
  refusal = check_risk(order, command.qty, command.qty, twice_anchor);
  if (refusal.reason == RejectReason::none && slab.full() && may_wait(order.tif) && order.type != OrdType::market) {
    refusal = {RejectReason::book_full, slab.live(), slab.capacity()};
  }
  if (refusal.reason == RejectReason::none && !command.cl_ord_id.empty() && cl_ord_ids.full()) [[unlikely]] {
    refusal = {RejectReason::book_full, cl_ord_ids.count(), cl_ord_ids.count()};
  }
  if (refusal.reason != RejectReason::none) {
    refuse(command, refusal.reason, refusal.value, refusal.limit);
    return;
  }
  accept(order, command.cl_ord_id);
  if (is_stop(order.type)) {
    enter_stop(slot);
    if (in.state == SessionState::continuous) {
      trigger_stops(in, now);
    }
  } else if (in.state != SessionState::continuous) {
    rest(in, slot);
  } else {
    const LevelKey worst =
        order.type == OrdType::market ? collar_key(in, order.side, twice_anchor) : level_key(opposite(order.side), order.price);
    if (order.type == OrdType::limit && may_wait(order.tif) && ladder(in, opposite(order.side)).best() > worst && may_rest(in, order)) {
      rest(in, slot);  // what most orders do; incoming() would come to the same
      return;
    }
    incoming(in, slot, worst, now);
    if (in.has_stops && range_high != 0) {
      trigger_stops(in, now);
    }
  }
}

// --- cancel, reduce, amend

inline OrderSlot State::find_live(const Command& command) {
  const std::uint64_t count = command.order_id == 0 ? 0 : count_of(command.order_id);
  if (count == 0) {
    refuse(command, RejectReason::unknown_order, as_value(command.order_id));
    return kNoSlot;
  }
  const Whereabouts where = whereabouts[count];
  const OrderSlot slot = where.slot();
  if (slot != kNoSlot && slab[slot].firm == command.firm) {
    return slot;
  }
  const bool others = slot != kNoSlot || (where.is_done() && where.owner() != command.firm);
  refuse(command, others ? RejectReason::not_owner : RejectReason::too_late);
  return kNoSlot;
}

Refusal State::check_amend(const Command& c, const Order& order) const noexcept {
  if (c.instrument != kAllInstruments && c.instrument != order.instrument) {  // ticks mean money by the instrument alone
    return {RejectReason::unknown_instrument, c.instrument, order.instrument};
  }
  const SessionState state = instruments[order.instrument].state;
  if (state == SessionState::closed) {
    return {RejectReason::wrong_state, static_cast<std::int64_t>(state), 0};
  }
  if (firms[c.firm].killed) {
    return {RejectReason::firm_killed, c.firm, 0};
  }
  if (c.price_ticks != 0 && (!has_price(order.type) || !is_price(c.price_ticks))) {
    return {RejectReason::bad_price, c.price_ticks, has_price(order.type) ? kMaxPriceTicks : 0};
  }
  if (c.stop_price_ticks != 0 && (!order.untriggered || !is_price(c.stop_price_ticks))) {
    return {RejectReason::bad_stop_price, c.stop_price_ticks, order.untriggered ? kMaxPriceTicks : 0};
  }
  const Qty max_qty = instruments[order.instrument].max_qty;
  if (c.qty != 0 && (c.qty <= order.cum || c.qty > max_qty)) {
    return {RejectReason::bad_quantity, c.qty, max_qty};
  }
  return {};
}

void State::cancel(const Command& command) {
  const OrderSlot slot = find_live(command);
  if (slot == kNoSlot) {
    return;
  }
  const Order& order = slab[slot];
  take_out(slot);
  report_end(order, ExecType::cancelled);
  end(slot);
}

void State::amend_in_place(Order& order, Qty order_qty) noexcept {
  const auto leaves = static_cast<std::int32_t>(order_qty - order.cum);
  const std::int32_t less = order.leaves - leaves;
  Instrument& in = instruments[order.instrument];
  Level& level = order.untriggered ? stops(in, order.side).find(order.side == Side::buy ? order.stop : -order.stop)->second
                                   : ladder(in, order.side).at(level_key(order.side, order.price), far(in, order.side));
  level.qty -= less;
  open_of(cells[order.cell], order.side) -= less;
  order.leaves = leaves;
}

void State::reduce(const Command& command) {
  const OrderSlot slot = find_live(command);
  if (slot == kNoSlot) {
    return;
  }
  Order& order = slab[slot];
  if (instruments[order.instrument].state == SessionState::closed) {
    refuse(command, RejectReason::wrong_state, static_cast<std::int64_t>(SessionState::closed));
    return;
  }
  if (command.qty < 1 || command.qty >= order.leaves) {
    refuse(command, RejectReason::bad_quantity, command.qty, order.leaves);
    return;
  }
  amend_in_place(order, order.cum + command.qty);
  report_live(order, ExecType::replaced);
}

void State::amend(const Command& command) {
  const OrderSlot slot = find_live(command);
  if (slot == kNoSlot) {
    return;
  }
  Order& order = slab[slot];
  const Refusal refusal = check_amend(command, order);
  if (refusal.reason != RejectReason::none) {
    refuse(command, refusal.reason, refusal.value, refusal.limit);
    return;
  }
  const Qty old_qty = Qty{order.cum} + order.leaves;
  const Qty new_qty = command.qty == 0 ? old_qty : command.qty;
  Order wanted = order;
  wanted.price = command.price_ticks == 0 ? order.price : static_cast<std::int32_t>(command.price_ticks);
  wanted.stop = command.stop_price_ticks == 0 ? order.stop : static_cast<std::int32_t>(command.stop_price_ticks);
  wanted.leaves = static_cast<std::int32_t>(new_qty - order.cum);
  if (wanted.price == order.price && wanted.stop == order.stop && new_qty <= old_qty) {
    amend_in_place(order, new_qty);
    report_live(order, ExecType::replaced);
    return;
  }
  amend_anew(command, slot, wanted);
}

// The order loses its place: it goes out and comes in again like a new one, under its id.
void State::amend_anew(const Command& command, OrderSlot slot, const Order& wanted) {
  (void)firm_row(wanted.firm);
  const Order& order = slab[slot];
  // Without a price is only a stop that waits: it may be worth more than the cap if it is worth no more than it was.
  const bool dearer = std::int64_t{wanted.stop} * wanted.leaves > std::int64_t{order.stop} * order.leaves;
  const std::int64_t twice_anchor = dearer ? 2 * std::int64_t{wanted.stop} : 0;
  const Refusal refusal = check_risk(wanted, Qty{wanted.cum} + wanted.leaves, wanted.leaves - order.leaves, twice_anchor);
  if (refusal.reason != RejectReason::none) {
    refuse(command, refusal.reason, refusal.value, refusal.limit);
    return;
  }
  take_out(slot);
  slab[slot] = wanted;
  Instrument& in = instruments[wanted.instrument];
  report_live(wanted, ExecType::replaced);
  if (wanted.untriggered) {
    enter_stop(slot);
    if (in.state == SessionState::continuous) {
      trigger_stops(in, now);
    }
  } else if (in.state != SessionState::continuous) {
    rest(in, slot);
  } else {
    incoming(in, slot, level_key(opposite(wanted.side), wanted.price), now);
    if (in.has_stops && range_high != 0) {
      trigger_stops(in, now);
    }
  }
}

}  // namespace exchange
