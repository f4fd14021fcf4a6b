// Entry, amendment and cancellation of orders. What may refuse them: checks.cpp.
#include "order_kinds.hpp"
#include "state.hpp"

namespace exchange {

namespace {

// A refused price in a report, which has room for sound ones only.
constexpr std::int32_t shown(Price price) noexcept { return price == static_cast<std::int32_t>(price) ? static_cast<std::int32_t>(price) : 0; }

}  // namespace

void State::apply(const Command& command) {
  if (!well_formed(command)) {
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
  switch (command.kind) {
    case CommandKind::new_order:
      new_order(command);
      break;
    case CommandKind::cancel:
      cancel(command);
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
  if (reports[first].ord_status != OrdStatus::rejected) {
    last_tick = command.ts_ns;
  }
}

// --- reports

Report& State::report(const Order& order, ExecType type, RejectReason reason, Qty order_qty, Qty leaves) {
  Report& made = reports.next();
  made = {
      .exec_id = ++exec_id,
      .seq_num = seq_num,
      .order_id = order.id,
      .trade_id = 0,
      .contra_order_id = 0,
      .firm = order.firm,
      .instrument = order.instrument,
      .exec_type = type,
      .ord_status = order.cum == 0 ? OrdStatus::fresh : OrdStatus::partially_filled,
      .reason = reason,
      .side = order.side,
      .ord_type = order.type,
      .tif = order.tif,
      .liquidity = Liquidity::none,
      .reserved = 0,
      .stop_price_ticks = order.stop,
      .price_ticks = order.price,
      .last_px_ticks = 0,
      .reserved2 = 0,
      .last_qty = 0,
      .order_qty = order_qty,
      .cum_qty = order.cum,
      .leaves_qty = leaves,
      .cum_notional = order.cum_notional,
      .value = 0,
      .limit = 0,
  };
  return made;
}

void State::report_end(const Order& order, ExecType type, RejectReason reason) {
  Report& made = report(order, type, reason, Qty{order.cum} + order.leaves, 0);
  made.ord_status = type == ExecType::expired ? OrdStatus::expired : OrdStatus::cancelled;
}

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

std::uint32_t State::find_cell(FirmId firm, InstrumentId instrument) const noexcept {
  const std::uint32_t row = firms[firm].cell_pages;
  const std::uint32_t page = row == 0 ? 0 : cell_pages[row - 1][instrument / 64];
  return page == 0 ? 0 : cell_numbers[std::size_t{page} * 64 + instrument % 64];
}

std::uint32_t State::make_cell(FirmId firm, InstrumentId instrument) {
  FirmRow& row = firms[firm];
  if (row.cell_pages == 0) {
    cell_pages.emplace_back(instruments.size() / 64 + 1);
    row.cell_pages = static_cast<std::uint32_t>(cell_pages.size());
  }
  std::uint32_t& page = cell_pages[row.cell_pages - 1][instrument / 64];
  if (page == 0) {
    page = ++pages;
    cell_numbers.reach((std::size_t{page} + 1) * 64);
  }
  std::uint32_t& number = cell_numbers[std::size_t{page} * 64 + instrument % 64];
  if (number == 0) {
    number = ++cell_count;
    cells.reach(std::size_t{number} + 1);
  }
  return number;
}

// --- new orders

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
  Order order{};
  order.price = has_price(command.ord_type) ? static_cast<std::int32_t>(command.price_ticks) : 0;
  order.stop = is_stop(command.ord_type) ? static_cast<std::int32_t>(command.stop_price_ticks) : 0;
  order.leaves = static_cast<std::int32_t>(command.qty);
  order.instrument = command.instrument;
  order.firm = static_cast<std::uint16_t>(command.firm);
  order.side = command.side;
  order.type = command.ord_type;
  order.tif = command.tif;
  order.cell = find_cell(command.firm, command.instrument);
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
  if (refusal.reason != RejectReason::none) {
    refuse(command, refusal.reason, refusal.value, refusal.limit);
    return;
  }
  accept(order, command.cl_ord_id);
  if (is_stop(order.type)) {
    const OrderSlot slot = slab.insert(order);
    owned[accepted_count].slot = slot;
    enter_stop(slab[slot], slot);
    if (in.state == SessionState::continuous) {
      trigger_stops(in, now);
    }
  } else if (in.state != SessionState::continuous) {
    rest(in, order, kNoSlot);
  } else {
    const LevelKey worst =
        order.type == OrdType::market ? collar_key(in, order.side, twice_anchor) : level_key(opposite(order.side), order.price);
    incoming(in, order, kNoSlot, worst, now);
    if (in.has_stops && range_high != 0) {
      trigger_stops(in, now);
    }
  }
}

void State::accept(Order& order, const ClOrdId& cl_ord_id) {
  ++accepted_count;
  owned.reach(accepted_count + 1);
  owned[accepted_count].firm_plus_1 = std::uint32_t{order.firm} + 1;
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

// --- in and out of the lists

void State::rest(Instrument& in, const Order& order, OrderSlot slot) {
  if (slot == kNoSlot) {
    slot = slab.insert(order);
    owned_by(order.id).slot = slot;
  } else {
    slab[slot] = order;
  }
  const LevelKey key = level_key(order.side, order.price);
  append(ladder(in, order.side).make(key, far(in, order.side), ladder_memory), slab[slot], slot, slab);
  open_of(cells[order.cell], order.side) += order.leaves;
}

void State::enter_stop(Order& order, OrderSlot slot) {
  Instrument& in = instruments[order.instrument];
  order.untriggered = true;
  append(stops(in, order.side)[order.side == Side::buy ? order.stop : -order.stop], order, slot, slab);
  in.has_stops = true;
  open_of(cells[order.cell], order.side) += order.leaves;
}

void State::take_out(const Order& order) noexcept {
  Instrument& in = instruments[order.instrument];
  open_of(cells[order.cell], order.side) -= order.leaves;
  if (order.untriggered) {
    FarLevels& listed = stops(in, order.side);
    const auto level = listed.find(order.side == Side::buy ? order.stop : -order.stop);
    level->second.qty -= order.leaves;
    unlink(level->second, order, slab);
    if (level->second.head == kNoSlot) {
      listed.erase(level);
      in.has_stops = !stops(in, Side::buy).empty() || !stops(in, Side::sell).empty();
    }
    return;
  }
  const LevelKey key = level_key(order.side, order.price);
  Ladder& side = ladder(in, order.side);
  FarLevels& outside = far(in, order.side);
  Level& level = side.at(key, outside);
  level.qty -= order.leaves;
  unlink(level, order, slab);
  if (level.head == kNoSlot) {
    side.erase(key, outside);
  }
}

// --- cancel, reduce, amend

Owned* State::find_live(const Command& command) {
  const std::uint64_t count = command.order_id == 0 ? 0 : count_of(command.order_id);
  if (count == 0) {
    refuse(command, RejectReason::unknown_order, static_cast<std::int64_t>(command.order_id));
    return nullptr;
  }
  if (count < first_kept) {
    refuse(command, RejectReason::too_late);
    return nullptr;
  }
  Owned& entry = owned[count];
  if (entry.firm_plus_1 != 0 && entry.firm_plus_1 != command.firm + 1) {
    refuse(command, RejectReason::not_owner);
    return nullptr;
  }
  if (entry.slot == kNoSlot) {
    refuse(command, RejectReason::too_late);
    return nullptr;
  }
  return &entry;
}

void State::cancel(const Command& command) {
  const Owned* const entry = find_live(command);
  if (entry == nullptr) {
    return;
  }
  const OrderSlot slot = entry->slot;
  const Order& order = slab[slot];
  take_out(order);
  report_end(order, ExecType::cancelled, RejectReason::none);
  end(order, slot);
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
  const Owned* const entry = find_live(command);
  if (entry == nullptr) {
    return;
  }
  Order& order = slab[entry->slot];
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
  Owned* const entry = find_live(command);
  if (entry == nullptr) {
    return;
  }
  Order& order = slab[entry->slot];
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
  amend_anew(command, *entry, wanted);
}

// The order loses its place: it goes out and comes in again like a new one, under its id.
void State::amend_anew(const Command& command, Owned& entry, const Order& wanted) {
  const OrderSlot slot = entry.slot;
  (void)firm_row(wanted.firm);
  const Refusal refusal = check_risk(wanted, Qty{wanted.cum} + wanted.leaves, wanted.leaves - slab[slot].leaves, 0);
  if (refusal.reason != RejectReason::none) {
    refuse(command, refusal.reason, refusal.value, refusal.limit);
    return;
  }
  take_out(slab[slot]);
  slab[slot] = wanted;
  Instrument& in = instruments[wanted.instrument];
  report_live(wanted, ExecType::replaced);
  if (wanted.untriggered) {
    enter_stop(slab[slot], slot);
    if (in.state == SessionState::continuous) {
      trigger_stops(in, now);
    }
  } else if (in.state != SessionState::continuous) {
    rest(in, wanted, slot);
  } else {
    Order taker = wanted;
    incoming(in, taker, slot, level_key(opposite(taker.side), taker.price), now);
    if (in.has_stops && range_high != 0) {
      trigger_stops(in, now);
    }
  }
}

}  // namespace exchange
