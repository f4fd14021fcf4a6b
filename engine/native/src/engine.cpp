#include "exchange/engine.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace exchange {

std::optional<ClOrdId> ClOrdId::parse(std::string_view text) noexcept {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (text.size() > kMaxClOrdIdLength || !printable) {
    return std::nullopt;
  }
  ClOrdId parsed;
  std::copy(text.begin(), text.end(), parsed.bytes_.begin());
  parsed.length_ = static_cast<std::uint8_t>(text.size());
  return parsed;
}

bool well_formed(const Command& command) noexcept {
  if (command.kind == CommandKind::cancel || command.kind == CommandKind::reduce) {
    return true;
  }
  const bool side = command.side == Side::buy || command.side == Side::sell;
  const bool type = command.ord_type == OrdType::market || command.ord_type == OrdType::limit;
  const bool tif = command.tif == TimeInForce::day || command.tif == TimeInForce::ioc || command.tif == TimeInForce::fok;
  return command.kind == CommandKind::new_order && side && type && tif;
}

Engine::Engine(std::vector<Qty> instrument_max_qty, std::uint32_t max_live_orders)
    : max_qty_(std::move(instrument_max_qty)), max_live_orders_(max_live_orders), slab_(max_live_orders) {
  for (const Qty max_qty : max_qty_) {
    if (max_qty < 1 || max_qty > kMaxOrderQty) {
      throw std::invalid_argument("an instrument's max_qty must lie in 1.." + std::to_string(kMaxOrderQty) + ", not " +
                                  std::to_string(max_qty));
    }
  }
  if (max_live_orders < 1 || max_live_orders > kMaxLiveOrders) {
    throw std::invalid_argument("max_live_orders must lie in 1.." + std::to_string(kMaxLiveOrders));
  }
  books_.reserve(max_qty_.size());
  for (std::size_t i = 0; i < max_qty_.size(); ++i) {
    books_.emplace_back(slab_);
  }
}

const Reply& Engine::apply(const Command& command) {
  reply_.seq_num = 0;
  reply_.order_id = 0;
  reply_.order_qty = 0;
  reply_.cum_qty = 0;
  reply_.leaves_qty = 0;
  reply_.fills.clear();
  if (!well_formed(command)) {
    reject(RejectReason::bad_command);
    return reply_;
  }
  reply_.order_id = command.kind == CommandKind::new_order ? 0 : command.order_id;
  reply_.order_qty = command.kind == CommandKind::new_order ? command.qty : 0;
  reply_.seq_num = ++seq_num_;
  reply_.reason = RejectReason::none;
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
  }
  if (reply_.reason == RejectReason::none) {
    last_tick_ns_ = command.ts_ns;
  }
  return reply_;
}

void Engine::reject(RejectReason reason) noexcept {
  reply_.status = OrdStatus::rejected;
  reply_.reason = reason;
}

RejectReason Engine::check_new(const Command& command) const noexcept {
  if (command.instrument >= max_qty_.size()) {
    return RejectReason::unknown_instrument;
  }
  if (command.ord_type == OrdType::limit && (command.price_ticks <= 0 || command.price_ticks > kMaxPriceTicks)) {
    return RejectReason::bad_price;
  }
  if (command.qty <= 0 || command.qty > max_qty_[command.instrument]) {
    return RejectReason::bad_quantity;
  }
  const bool may_rest = command.ord_type == OrdType::limit && command.tif == TimeInForce::day;
  return may_rest && slab_.full() ? RejectReason::book_full : RejectReason::none;
}

void Engine::new_order(const Command& command) {
  // First of all checks: whoever sends an accepted order again learns its order id, whatever else changed.
  const OrderId original = command.cl_ord_id.empty() ? 0 : cl_ord_ids_.find(command.firm, command.cl_ord_id);
  if (original != 0) {
    reply_.order_id = original;
    reject(RejectReason::duplicate_cl_ord_id);
    return;
  }
  const RejectReason reason = check_new(command);
  if (reason != RejectReason::none) {
    reject(reason);
    return;
  }
  accept(command);
  take(command);
  rest_or_end(command);
}

void Engine::accept(const Command& command) {
  orders_.push_back({kNoSlot, command.firm});
  reply_.order_id = orders_.size();
  accepted_.word(reply_.order_id);
  accepted_.word(std::uint64_t{command.firm});
  accepted_.text(command.cl_ord_id.view());
  if (!command.cl_ord_id.empty()) {
    cl_ord_ids_.insert(command.firm, command.cl_ord_id, reply_.order_id);
  }
}

void Engine::take(const Command& command) {
  Book& book = books_[command.instrument];
  const auto limit = command.ord_type == OrdType::limit ? std::optional<Price>(command.price_ticks) : std::nullopt;
  // Whether it can be whole is known before the first trade: a killed FOK must leave no trace.
  if (command.tif == TimeInForce::fok && !book.can_fill(command.side, limit, command.qty)) {
    return;
  }
  matches_.clear();
  const Qty left = book.match(command.side, limit, command.qty, matches_);
  for (const Match& match : matches_) {
    reply_.fills.push_back({++trade_id_, match.price_ticks, match.qty, match.maker_order_id});
    if (match.maker_done) {
      orders_[match.maker_order_id - 1].slot = kNoSlot;
    }
  }
  reply_.cum_qty = command.qty - left;
}

void Engine::rest_or_end(const Command& command) {
  const Qty left = command.qty - reply_.cum_qty;
  if (left == 0) {
    reply_.status = OrdStatus::filled;
    return;
  }
  const bool may_rest = command.ord_type == OrdType::limit && command.tif == TimeInForce::day;
  if (!may_rest || reply_.fills.size() >= kMaxFillsPerCommand) {
    reply_.status = OrdStatus::cancelled;
    return;
  }
  RestingOrder order;
  order.id = reply_.order_id;
  order.price_ticks = command.price_ticks;
  order.leaves_qty = left;
  order.cum_qty = reply_.cum_qty;
  order.firm = command.firm;
  order.instrument = command.instrument;
  order.side = command.side;
  orders_.back().slot = books_[command.instrument].rest(order);
  reply_.leaves_qty = left;
  reply_.status = reply_.cum_qty > 0 ? OrdStatus::partially_filled : OrdStatus::fresh;
}

Engine::Owned* Engine::find_live(const Command& command) noexcept {
  if (command.order_id == 0 || command.order_id > orders_.size()) {
    reject(RejectReason::unknown_order);
    return nullptr;
  }
  Owned& owned = orders_[command.order_id - 1];
  if (owned.firm != command.firm) {
    reject(RejectReason::not_owner);
    return nullptr;
  }
  if (owned.slot == kNoSlot) {
    reject(RejectReason::too_late);
    return nullptr;
  }
  return &owned;
}

void Engine::cancel(const Command& command) {
  Owned* owned = find_live(command);
  if (owned == nullptr) {
    return;
  }
  const RestingOrder& order = slab_[owned->slot];
  reply_.status = OrdStatus::cancelled;
  reply_.cum_qty = order.cum_qty;
  reply_.order_qty = order.cum_qty + order.leaves_qty;
  books_[order.instrument].remove(owned->slot);
  owned->slot = kNoSlot;
}

void Engine::reduce(const Command& command) {
  const Owned* owned = find_live(command);
  if (owned == nullptr) {
    return;
  }
  const RestingOrder& order = slab_[owned->slot];
  if (command.qty <= 0 || command.qty >= order.leaves_qty) {
    reject(RejectReason::bad_quantity);
    return;
  }
  books_[order.instrument].reduce(owned->slot, command.qty);
  reply_.status = order.cum_qty > 0 ? OrdStatus::partially_filled : OrdStatus::fresh;
  reply_.cum_qty = order.cum_qty;
  reply_.leaves_qty = order.leaves_qty;
  reply_.order_qty = order.cum_qty + order.leaves_qty;
}

Depth Engine::depth(InstrumentId instrument, std::size_t limit) const {
  Depth depth;
  depth.seq_num = seq_num_;
  if (instrument < books_.size()) {
    depth.bids = books_[instrument].levels(Side::buy, limit);
    depth.asks = books_[instrument].levels(Side::sell, limit);
    depth.last_trade = books_[instrument].last_trade();
  }
  return depth;
}

std::uint64_t Engine::state_hash() const noexcept {
  Digest digest;
  digest.word(config_digest());
  digest.word(seq_num_);
  digest.word(static_cast<std::uint64_t>(orders_.size()));
  digest.word(trade_id_);
  digest.word(accepted_.value());
  for (const Book& book : books_) {
    book.digest(digest);
  }
  return digest.value();
}

std::uint64_t Engine::config_digest() const noexcept {
  Digest digest;
  digest.word(std::uint64_t{max_live_orders_});
  digest.word(static_cast<std::uint64_t>(max_qty_.size()));
  for (const Qty max_qty : max_qty_) {
    digest.word(max_qty);
  }
  return digest.value();
}

}  // namespace exchange
