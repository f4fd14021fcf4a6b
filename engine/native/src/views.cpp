// Looking at the state without changing it.
#include "state.hpp"

namespace exchange {

namespace {

void each_in_side(const Ladder& side, const FarLevels& far, const std::function<void(LevelKey, const Level&)>& visit) {
  for (LevelKey key = side.best(); key != kNoKey; key = side.next(key, far)) {
    visit(key, side.at(key, far));
  }
}

void add_order(Digest& digest, const Order& order) {
  digest.word(order.id);
  digest.word(std::uint64_t{order.firm});
  digest.word(static_cast<std::uint64_t>(order.side));
  digest.word(static_cast<std::uint64_t>(order.type));
  digest.word(static_cast<std::uint64_t>(order.tif));
  digest.word(std::int64_t{order.price});
  digest.word(std::int64_t{order.stop});
  digest.word(std::int64_t{order.leaves});
  digest.word(std::int64_t{order.cum});
  digest.word(order.cum_notional);
}

}  // namespace

void State::each_slot(const Instrument& in, const std::function<void(OrderSlot)>& visit) const {
  const auto each_of = [&](const Level& level) {
    for (OrderSlot slot = level.head; slot != kNoSlot; slot = slab.links(slot).next) {
      visit(slot);
    }
  };
  const InstrumentDetail& detail = details[index_of(in)];
  for (const Side side : {Side::buy, Side::sell}) {
    each_in_side(ladder(in, side), far(in, side), [&](LevelKey, const Level& level) { each_of(level); });
  }
  for (const FarLevels& stops : detail.stops) {
    for (const auto& [key, level] : stops) {
      each_of(level);
    }
  }
}

void State::each_cell(const std::function<void(FirmId, InstrumentId, const PositionCell&)>& visit) const {
  for (const FirmId firm : known_firms) {
    for (InstrumentId instrument = 0; firms[firm].cell_row != 0 && instrument < instruments.size(); ++instrument) {
      if (const std::uint32_t number = find_cell(firm, instrument); number != 0) {
        visit(firm, instrument, cells[number]);
      }
    }
  }
}

std::uint64_t State::state_hash() const {
  Digest digest_now;
  for (const std::uint64_t word : {digest, seq_num, accepted_count, trade_count, exec_id, static_cast<std::uint64_t>(now), accepted.value()}) {
    digest_now.word(word);
  }
  for (const Instrument& in : instruments) {
    const InstrumentDetail& detail = details[index_of(in)];
    for (const std::int64_t word : {static_cast<std::int64_t>(in.state), std::int64_t{in.reference}, std::int64_t{in.last_px}, std::int64_t{in.last_qty},
                                    static_cast<std::int64_t>(in.timer), detail.deadline}) {
      digest_now.word(word);
    }
    for (const Side side : {Side::buy, Side::sell}) {
      each_in_side(ladder(in, side), far(in, side), [&](LevelKey key, const Level& level) {
        digest_now.word(std::int64_t{level_price(side, key)});
        digest_now.word(level.qty);
        for (OrderSlot slot = level.head; slot != kNoSlot; slot = slab.links(slot).next) {
          add_order(digest_now, slab[slot]);
        }
      });
    }
    for (const FarLevels& listed : detail.stops) {
      for (const auto& [key, level] : listed) {
        for (OrderSlot slot = level.head; slot != kNoSlot; slot = slab.links(slot).next) {
          add_order(digest_now, slab[slot]);
        }
      }
    }
  }
  for (const FirmId firm : known_firms) {
    const FirmRow& row = firms[firm];
    for (const std::int64_t word : {std::int64_t{firm}, row.max_order_qty, row.position_limit, row.rate, row.burst,
                                    static_cast<std::int64_t>(row.stp), std::int64_t{row.killed ? 1 : 0}, row.tokens, row.last}) {
      digest_now.word(word);
    }
  }
  each_cell([&](FirmId firm, InstrumentId instrument, const PositionCell& cell) {
    for (const std::int64_t word : {std::int64_t{firm}, std::int64_t{instrument}, cell.net, cell.open[0], cell.open[1], cell.bought,
                                    cell.sold, cell.cash, cell.maker_qty, cell.taker_qty}) {
      digest_now.word(word);
    }
  });
  return digest_now.value();
}

Depth State::depth(InstrumentId instrument, std::size_t limit) const {
  Depth made;
  made.seq_num = seq_num;
  if (instrument >= instruments.size()) {
    return made;
  }
  const Instrument& in = instruments[instrument];
  for (const Side side : {Side::buy, Side::sell}) {
    std::vector<PriceQty>& levels = side == Side::buy ? made.bids : made.asks;
    const Ladder& from = ladder(in, side);
    const FarLevels& outside = far(in, side);
    for (LevelKey key = from.best(); key != kNoKey && levels.size() < limit; key = from.next(key, outside)) {
      levels.push_back({level_price(side, key), from.at(key, outside).qty});
    }
  }
  if (in.last_px != 0) {
    made.last_trade = PriceQty{in.last_px, in.last_qty};
  }
  made.state = in.state;
  made.limit_state = in.timer == TimerKind::limit_state;
  made.indicative = in.state == SessionState::continuous ? Indicative{} : indicative(in);
  return made;
}

}  // namespace exchange
