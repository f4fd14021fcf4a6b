// The state as bytes, and back: little-endian words, in the order written here. What can be computed from the rest
// (level sums, open quantities, bands, indexes) is not stored but built again. The last word is the CRC-32C of all in front
// of it: bytes that are not the ones that were saved are refused, and what has a right sum is checked all the same, so
// that nothing computed from it can overflow.
#include <array>
#include <stdexcept>
#include <string>

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"
#include "lists.hpp"
#include "state.hpp"

namespace exchange {

namespace {

constexpr std::uint64_t kVersion = 4;
// Of the orders since the oldest that rests: a bound on what a damaged count may make us reserve.
constexpr std::uint64_t kMostOrders = std::uint64_t{1} << 44U;  // what the address space has numbers for
constexpr std::uint64_t kMostKept = std::uint64_t{1} << 36U;
// Far beyond what trades can make of a holding, which a corporate action ends at 10^18; as far from the end of 64 bits.
constexpr Qty kMostHeld = Qty{1} << 62U;
constexpr std::size_t kPiece = std::size_t{1} << 16U;

class Saver {
 public:
  explicit Saver(const std::function<void(std::span<const std::uint8_t>)>& put) : put_(put) { buffer_.reserve(kPiece + 64); }
  template <std::integral T>
  void word(T value) {
    const std::size_t at = buffer_.size();
    buffer_.resize(at + sizeof(T));
    store_le(buffer_.data() + at, value);
    if (buffer_.size() >= kPiece) {
      flush();
    }
  }
  void text(std::string_view value) {
    word(static_cast<std::uint8_t>(value.size()));
    buffer_.insert(buffer_.end(), value.begin(), value.end());
  }
  // The sum is the last there is.
  void finish() {
    sum_ = crc32c(buffer_, sum_);
    buffer_.resize(buffer_.size() + sizeof sum_);
    store_le(buffer_.data() + buffer_.size() - sizeof sum_, sum_);
    put_(buffer_);
  }

 private:
  void flush() {
    sum_ = crc32c(buffer_, sum_);
    put_(buffer_);
    buffer_.clear();
  }

  const std::function<void(std::span<const std::uint8_t>)>& put_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t sum_ = 0;  // of what was put
};

[[noreturn]] void bad(const std::string& what) { throw std::runtime_error("the saved state is not sound: " + what); }

void need(bool holds, const char* what) {
  if (!holds) {
    bad(what);
  }
}

class Loader {
 public:
  explicit Loader(const std::function<std::size_t(std::span<std::uint8_t>)>& get) : get_(get), buffer_(kPiece) {}
  template <std::integral T>
  T word() {
    if (end_ - at_ < sizeof(T)) {
      fill(sizeof(T));
    }
    at_ += sizeof(T);
    return load_le<T>(buffer_.data() + at_ - sizeof(T));
  }
  template <std::integral T>
  T between(T low, T high, const char* what) {
    const T value = word<T>();
    need(value >= low && value <= high, what);
    return value;
  }
  std::string_view text() {
    const std::size_t size = between<std::uint8_t>(0, kMaxClOrdIdLength, "a cl_ord_id is too long");
    if (end_ - at_ < size) {
      fill(size);
    }
    at_ += size;
    return {reinterpret_cast<const char*>(buffer_.data() + at_ - size), size};
  }
  void finish() {
    take_into_sum();
    const std::uint32_t wanted = sum_;
    need(word<std::uint32_t>() == wanted, "its sum (CRC) is another");
    std::array<std::uint8_t, 1> more{};
    need(at_ == end_ && get_(more) == 0, "something follows its end");
  }

 private:
  void take_into_sum() noexcept {
    sum_ = crc32c(std::span(buffer_).subspan(summed_, at_ - summed_), sum_);
    summed_ = at_;
  }
  void fill(std::size_t wanted) {
    take_into_sum();
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= at_;
    at_ = summed_ = 0;
    while (end_ < wanted) {
      const std::size_t got = get_(std::span(buffer_).subspan(end_));
      need(got != 0 && got <= buffer_.size() - end_, "it ends too early");
      end_ += got;
    }
  }

  const std::function<std::size_t(std::span<std::uint8_t>)>& get_;
  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::size_t summed_ = 0;  // in front of it all is in the sum
  std::uint32_t sum_ = 0;
};

void save_order(Saver& to, const Order& order) {
  to.word(order.id);
  to.word(order.firm);
  to.word(static_cast<std::uint8_t>(order.side));
  to.word(static_cast<std::uint8_t>(order.type));
  to.word(static_cast<std::uint8_t>(order.tif));
  to.word(static_cast<std::uint8_t>(order.untriggered ? 1 : 0));
  to.word(order.price);
  to.word(order.stop);
  to.word(order.leaves);
  to.word(order.cum);
  to.word(order.cum_notional);
}

Order load_order(Loader& from) {
  Order order{};
  order.id = from.word<OrderId>();
  order.firm = from.word<std::uint16_t>();
  order.side = static_cast<Side>(from.between<std::uint8_t>(1, 2, "a side"));
  order.type = static_cast<OrdType>(from.between<std::uint8_t>(2, 4, "an order type"));
  order.tif = static_cast<TimeInForce>(from.between<std::uint8_t>(0, 1, "a time in force"));
  order.untriggered = from.between<std::uint8_t>(0, 1, "a flag") == 1;
  constexpr auto kMax = static_cast<std::int32_t>(kMaxPriceTicks);
  order.price = from.between<std::int32_t>(0, kMax, "a price");
  order.stop = from.between<std::int32_t>(0, kMax, "a stop price");
  order.leaves = from.between<std::int32_t>(1, kMax, "a quantity");
  order.cum = from.between<std::int32_t>(0, static_cast<std::int32_t>(kMaxOrderQty) - order.leaves, "a filled quantity");
  order.cum_notional = from.between<std::int64_t>(0, order.cum * kMaxPriceTicks, "the worth of what was filled");
  const bool stop = order.type != OrdType::limit;
  need((order.price != 0) == (order.type != OrdType::stop), "an order's price does not fit its type");
  need((order.stop != 0) == stop && (!order.untriggered || stop) && (order.untriggered || order.type != OrdType::stop),
       "an order's stop price does not fit its type");
  return order;
}

void save_instrument(Saver& to, const State& state, const Instrument& in) {
  to.word(static_cast<std::uint8_t>(in.state));
  to.word(static_cast<std::uint8_t>(in.timer));
  to.word(in.reference);
  to.word(in.last_px);
  to.word(in.last_qty);
  to.word(state.details[state.index_of(in)].deadline);
  std::uint32_t count = 0;
  state.each_slot(in, [&count](OrderSlot) { ++count; });
  to.word(count);
  state.each_slot(in, [&](OrderSlot slot) { save_order(to, state.slab[slot]); });
}

void load_instrument(Loader& from, State& state, Instrument& in) {
  constexpr auto kMax = static_cast<std::int32_t>(kMaxPriceTicks);
  in.state = static_cast<SessionState>(from.between<std::uint8_t>(0, 5, "a session state"));
  const auto timer = static_cast<TimerKind>(from.between<std::uint8_t>(0, 2, "a timer"));
  state.set_reference(in, from.between<std::int32_t>(0, kMax, "a reference price"));
  in.last_px = from.between<std::int32_t>(0, kMax, "a last price");
  in.last_qty = from.between<std::int32_t>(0, kMax, "a last quantity");
  const TimeNs wait = timer == TimerKind::halt ? state.config.halt_ns : state.config.limit_state_ns;
  const auto deadline = from.between<TimeNs>(0, timer == TimerKind::none ? 0 : state.now + wait, "a deadline");
  if (timer != TimerKind::none) {
    state.set_timer(in, timer, deadline);
  }
  const auto count = from.word<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    need(!state.slab.full(), "more orders than the configuration allows");
    const OrderSlot slot = state.slab.spare();
    Order& order = state.slab[slot];
    order = load_order(from);
    order.instrument = state.index_of(in);
    const std::uint64_t number = order.id == 0 ? 0 : state.count_of(order.id);
    need(number >= state.first_kept && state.whereabouts[number].slot() == kNoSlot, "an order id is unknown or appears twice");
    need(state.firms[order.firm].used, "an order of a firm that is not known");
    order.cell = state.make_cell(order.firm, order.instrument);
    state.slab.keep_spare();
    state.whereabouts[number] = Whereabouts::live(slot);
    if (order.untriggered) {
      state.enter_stop(slot);
    } else {
      state.rest(in, slot);
    }
  }
}

void save_firms(Saver& to, const State& state) {
  to.word(static_cast<std::uint32_t>(state.known_firms.size()));
  for (const FirmId firm : state.known_firms) {
    const FirmRow& row = state.firms[firm];
    to.word(firm);
    for (const std::int64_t value : {row.max_order_qty, row.position_limit, row.rate, row.burst, row.tokens, row.last}) {
      to.word(value);
    }
    to.word(static_cast<std::uint8_t>(row.stp));
    to.word(static_cast<std::uint8_t>(row.killed ? 1 : 0));
  }
}

void load_firms(Loader& from, State& state) {
  const auto count = from.between<std::uint32_t>(0, kMaxFirmId + 1, "the number of firms");
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto firm = from.between<FirmId>(0, kMaxFirmId, "a firm");
    need(!state.firms[firm].used, "a firm appears twice");
    FirmRow& row = state.firm_row(firm);
    row.max_order_qty = from.between<Qty>(0, kMaxOrderQty, "a limit");
    row.position_limit = from.between<Qty>(0, 1'000'000'000'000'000, "a limit");
    row.rate = from.between<std::int64_t>(0, 10'000'000, "a rate");
    row.burst = from.between<std::int64_t>(row.rate > 0 ? 1 : 0, 10'000'000, "a burst");
    row.tokens = from.between<std::int64_t>(0, row.burst * kToken, "a bucket");
    row.last = from.between<TimeNs>(0, state.now, "the time of a bucket");
    set_fill_time(row);
    row.stp = static_cast<StpMode>(from.between<std::uint8_t>(0, 3, "a self-trade mode"));
    row.killed = from.between<std::uint8_t>(0, 1, "a flag") == 1;
  }
}

void save_cells(Saver& to, const State& state) {
  to.word(state.cell_count);
  state.each_cell([&](FirmId firm, InstrumentId instrument, const PositionCell& cell) {
    to.word(firm);
    to.word(instrument);
    for (const std::int64_t value : {cell.net, cell.bought, cell.sold, cell.cash, cell.maker_qty, cell.taker_qty}) {
      to.word(value);
    }
  });
}

void load_cells(Loader& from, State& state) {
  const auto count = from.word<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto firm = from.between<FirmId>(0, kMaxFirmId, "a firm");
    const auto instrument = from.between<InstrumentId>(0, static_cast<InstrumentId>(state.instruments.size() - 1), "an instrument");
    need(state.firms[firm].used, "a position of a firm that is not known");
    PositionCell& cell = state.cells[state.make_cell(firm, instrument)];
    constexpr const char* kOfTheDay = "a quantity of the day";
    cell.net = from.between<Qty>(-kMostHeld, kMostHeld, "a position");
    cell.bought = from.between<Qty>(0, kMostHeld, kOfTheDay);
    cell.sold = from.between<Qty>(0, kMostHeld, kOfTheDay);
    cell.cash = from.word<std::int64_t>();  // may wrap
    cell.maker_qty = from.between<Qty>(0, kMostHeld, kOfTheDay);
    cell.taker_qty = from.between<Qty>(0, kMostHeld, kOfTheDay);
  }
}

// Owners of the day's orders (done ones too: whoever asks for another firm's order must be told so), then client ids.
void save_ids(Saver& to, const State& state) {
  to.word(state.first_kept);
  // In runs: an order that rests for weeks must not bring along all that came and went after it.
  for (std::uint64_t count = state.first_kept; count <= state.accepted_count;) {
    std::uint64_t end = count;
    while (end <= state.accepted_count && state.whereabouts[end].known()) {
      ++end;
    }
    if (end > count) {
      to.word(count);
      to.word(end - count);
      for (; count < end; ++count) {
        const Whereabouts where = state.whereabouts[count];
        to.word((where.is_done() ? where.owner() : FirmId{state.slab[where.slot()].firm}) + 1);
      }
    }
    ++count;
  }
  to.word(std::uint64_t{0});
  to.word(state.cl_ord_ids.count());
  state.cl_ord_ids.each([&to](const ClOrdIds::Entry& entry) {
    to.word(entry.order_id);
    to.text(entry.text);
  });
}

void load_ids(Loader& from, State& state) {
  state.first_kept = from.between<std::uint64_t>(1, state.accepted_count + 1, "the first order kept");
  need(state.accepted_count + 1 - state.first_kept <= kMostKept, "too many orders at once");
  state.whereabouts.reach(state.accepted_count + 2);
  std::uint64_t last = state.first_kept - 1;
  for (auto first = from.word<std::uint64_t>(); first != 0; first = from.word<std::uint64_t>()) {
    need(first > last && first <= state.accepted_count, "an owner's order");
    const auto count = from.between<std::uint64_t>(1, state.accepted_count - first + 1, "a number of owners");
    last = first + count - 1;
    for (std::uint64_t i = first; i <= last; ++i) {
      state.whereabouts[i] = Whereabouts::done(from.between<std::uint32_t>(1, kMaxFirmId + 1, "an owner") - 1);
    }
  }
  const auto entries = from.word<std::uint32_t>();
  for (std::uint32_t i = 0; i < entries; ++i) {
    const auto id = from.word<OrderId>();
    const auto parsed = ClOrdId::parse(from.text());
    const std::uint64_t count = id == 0 ? 0 : state.count_of(id);
    need(parsed && !parsed->empty() && count >= state.first_kept && state.whereabouts[count].known(), "a cl_ord_id");
    const FirmId firm = state.whereabouts[count].owner();
    need(state.cl_ord_ids.find(firm, *parsed) == 0, "a cl_ord_id appears twice");
    const std::uint32_t number = state.cl_ord_ids.insert(firm, *parsed, id);
    state.pending_cl_ord_ids.emplace_back(count, number);
  }
}

void tie_cl_ord_ids(State& state) {
  for (const auto& [count, number] : state.pending_cl_ord_ids) {
    if (const OrderSlot slot = state.whereabouts[count].slot(); slot != kNoSlot) {
      state.slab[slot].cl_ord_id = number;
    }
  }
  state.pending_cl_ord_ids = {};
}

}  // namespace

void Engine::save(const std::function<void(std::span<const std::uint8_t>)>& put) const {
  const State& state = *state_;
  Saver to(put);
  for (const std::uint64_t value :
       {kVersion, state.digest, state.seq_num, state.accepted_count, state.trade_count, state.exec_id, static_cast<std::uint64_t>(state.now),
        static_cast<std::uint64_t>(state.last_tick), state.accepted.value()}) {
    to.word(value);
  }
  save_firms(to, state);
  save_ids(to, state);
  for (const Instrument& in : state.instruments) {
    save_instrument(to, state, in);
  }
  save_cells(to, state);
  to.finish();
}

void Engine::load(const std::function<std::size_t(std::span<std::uint8_t>)>& get) {
  State& state = *state_;
  need(state.seq_num == 0, "the engine has seen commands already");
  Loader from(get);
  if (const auto version = from.word<std::uint64_t>(); version != kVersion) {
    bad("it has format version " + std::to_string(version) + ", this program reads version " + std::to_string(kVersion));
  }
  need(from.word<std::uint64_t>() == state.digest, "it was made under another configuration");
  state.seq_num = from.word<SeqNum>();
  state.accepted_count = from.between<std::uint64_t>(0, std::min(state.seq_num, kMostOrders), "the number of orders");
  state.trade_count = from.word<std::uint64_t>();
  state.exec_id = from.word<ExecId>();
  state.now = from.between<TimeNs>(0, kMaxTsNs, "the time");
  state.last_tick = from.between<TimeNs>(0, state.now, "the time of the last command");
  state.accepted = Digest(from.word<std::uint64_t>());
  load_firms(from, state);
  load_ids(from, state);
  for (Instrument& in : state.instruments) {
    load_instrument(from, state, in);
  }
  load_cells(from, state);
  from.finish();
  tie_cl_ord_ids(state);
}

}  // namespace exchange
