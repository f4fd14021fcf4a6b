#include "flow.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "map_book.hpp"

namespace bench {

using exchange::Command;
using exchange::CommandKind;
using exchange::FirmId;
using exchange::InstrumentId;
using exchange::OrderId;
using exchange::OrdType;
using exchange::Price;
using exchange::Qty;
using exchange::Side;
using exchange::TimeInForce;

namespace {

constexpr FirmId kMakers = 16;
constexpr FirmId kTakers = 4;
constexpr std::uint64_t kWalkEvery = 64;  // operations of an instrument for one step of its middle
constexpr Qty kMakerQty = 100;
constexpr Qty kTakerQty = 72;  // so that about one cancel in eight comes too late
constexpr Price kThrough = 5;  // how far a crossing limit lies behind the best price
constexpr std::int64_t kStepNs = 1'000;
constexpr std::int64_t kBeginNs = 1'800'000'000'000'000'000;

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  // 0..bound-1; the bias of a 64-bit modulo is of no matter here.
  std::uint64_t below(std::uint64_t bound) noexcept {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = (state_ ^ (state_ >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
    return (mixed ^ (mixed >> 31U)) % bound;
  }

 private:
  std::uint64_t state_;
};

// Draws each command with a book at hand, so that a passive order is passive and a crossing one crosses.
class Generator {
 public:
  explicit Generator(const Shape& shape)
      : shape_(shape), random_(shape.seed), book_(shape.instruments), middles_(shape.instruments, shape.middle) {
    flow_.preload.reserve(shape.preload);
    flow_.ops.reserve(shape.ops);
  }

  Flow make() {
    for (std::uint32_t i = 0; i < shape_.preload; ++i) {
      push(flow_.preload, passive(instrument()));
    }
    flow_.adds = 0;
    for (std::uint32_t i = 0; i < shape_.ops; ++i) {
      const std::uint64_t draw = random_.below(100);
      if (draw < 45 || placed_.empty()) {
        push(flow_.ops, passive(instrument()));
      } else if (draw < 90) {
        push(flow_.ops, cancel());
      } else {
        push(flow_.ops, crossing(instrument()));
      }
    }
    flow_.live_at_end = book_.live_orders();
    for (InstrumentId i = 0; i < shape_.instruments; ++i) {
      flow_.levels_at_end += book_.levels(i);
    }
    return std::move(flow_);
  }

 private:
  struct Placed {
    OrderId id;
    FirmId firm;
    InstrumentId instrument;
  };

  // The cube of an even draw is skewed as order flow is; a stride spreads the busy ones over all indices.
  InstrumentId instrument() {
    const std::uint64_t draw = random_.below(1U << 16U);
    const std::uint64_t rank = (draw * draw * draw * shape_.instruments) >> 48U;
    const auto drawn = static_cast<InstrumentId>(rank * 7'919 % shape_.instruments);
    if (random_.below(kWalkEvery) == 0) {
      middles_[drawn] += random_.below(2) == 0 ? 1 : -1;
    }
    return drawn;
  }

  Command base(CommandKind kind, InstrumentId instrument) {
    Command command;
    command.kind = kind;
    command.instrument = instrument;
    ts_ns_ += kStepNs;
    command.ts_ns = ts_ns_;
    return command;
  }

  Command passive(InstrumentId instrument) {
    Command command = base(CommandKind::new_order, instrument);
    command.side = random_.below(2) == 0 ? Side::buy : Side::sell;
    command.firm = static_cast<FirmId>(1 + random_.below(kMakers));
    command.qty = static_cast<Qty>(1 + random_.below(kMakerQty));
    const auto away = static_cast<Price>(1 + random_.below(shape_.levels));
    const Price bid = book_.best_bid(instrument);
    const Price ask = book_.best_ask(instrument);
    if (command.side == Side::buy) {
      command.price_ticks = middles_[instrument] - away;
      command.price_ticks = ask != 0 ? std::min(command.price_ticks, ask - 1) : command.price_ticks;
    } else {
      command.price_ticks = std::max(middles_[instrument] + away, bid + 1);
    }
    ++flow_.adds;
    return command;
  }

  Command cancel() {
    const std::size_t at = random_.below(placed_.size());
    const Placed picked = placed_[at];
    placed_[at] = placed_.back();
    placed_.pop_back();
    Command command = base(CommandKind::cancel, picked.instrument);
    command.firm = picked.firm;
    command.order_id = picked.id;
    ++flow_.cancels;
    flow_.too_late += book_.live(picked.id) ? 0 : 1;
    return command;
  }

  Command crossing(InstrumentId instrument) {
    const bool buys = random_.below(2) == 0;
    const Price best = buys ? book_.best_ask(instrument) : book_.best_bid(instrument);
    if (best == 0) {
      return passive(instrument);
    }
    Command command = base(CommandKind::new_order, instrument);
    command.side = buys ? Side::buy : Side::sell;
    command.firm = static_cast<FirmId>(1 + kMakers + random_.below(kTakers));
    command.qty = static_cast<Qty>(1 + random_.below(kTakerQty));
    command.tif = TimeInForce::ioc;
    if (random_.below(2) == 0) {
      command.ord_type = OrdType::market;
    } else {
      command.price_ticks = buys ? best + kThrough : best - kThrough;
    }
    ++flow_.crossing;
    return command;
  }

  void push(std::vector<Command>& to, Command command) {
    if (command.kind == CommandKind::new_order) {
      ++last_id_;
      if (command.tif == TimeInForce::day) {
        placed_.push_back({last_id_, command.firm, command.instrument});
      }
      if (shape_.cl_ord_ids) {
        std::array<char, 24> text{};
        std::snprintf(text.data(), text.size(), "ORD-%012llu", static_cast<unsigned long long>(last_id_));
        command.cl_ord_id = exchange::ClOrdId::parse(text.data()).value();
      }
    }
    book_.apply(command, [this](Price price, Qty qty, OrderId maker, OrderId taker) { flow_.hash.add(price, qty, maker, taker); });
    to.push_back(command);
  }

  const Shape shape_;
  Random random_;
  MapVenue book_;
  std::vector<Price> middles_;
  std::vector<Placed> placed_;  // and, as far as the sender knows, not yet cancelled
  OrderId last_id_ = 0;
  std::int64_t ts_ns_ = kBeginNs;
  Flow flow_;
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

}  // namespace

Shape one_book() { return {}; }

Shape many_books() {
  Shape shape;
  shape.instruments = 10'000;
  shape.preload = 1'000'000;
  shape.ops = 3'000'000;
  shape.levels = 100;
  shape.middle = 10'000;
  return shape;
}

Flow make_flow(const Shape& shape) { return Generator(shape).make(); }

exchange::EngineConfig rules(const Shape& shape, bool on) {
  exchange::InstrumentConfig instrument;
  exchange::EngineConfig config;
  if (on) {
    instrument.reference_ticks = shape.middle;
    instrument.luld_bps = 2'500;
    instrument.collar_bps = 2'500;
    instrument.market_notional_cap = 1'000'000'000'000;
    instrument.fat_finger_pct = 200;
    config.default_limits = {1'000'000, 1'000'000'000'000, 1'000'000, 1'000'000, exchange::StpMode::cancel_newest};
  }
  config.instruments.assign(shape.instruments, instrument);
  config.max_live_orders = std::bit_ceil(4 * shape.preload);
  return config;
}

void write_flow(const Flow& flow, const std::string& path) {
  const File file(std::fopen(path.c_str(), "wb"), &std::fclose);
  if (!file) {
    throw std::runtime_error(path + ": cannot be written");
  }
  OrderId last_id = 0;
  for (const std::vector<Command>* part : {&flow.preload, &flow.ops}) {
    for (const Command& command : *part) {
      const bool adds = command.kind == CommandKind::new_order;
      const bool buys = command.side == Side::buy;
      last_id += adds ? 1 : 0;
      const Price worst = buys ? exchange::kMaxPriceTicks : 1;
      const std::array<std::uint8_t, 4> codes{static_cast<std::uint8_t>(adds ? 1 : 2), static_cast<std::uint8_t>(command.side),
                                              static_cast<std::uint8_t>(command.tif == TimeInForce::ioc ? 1 : 0), 0};
      const std::array<std::uint32_t, 3> narrow{command.firm, command.instrument, part == &flow.preload ? 1U : 0U};
      const std::array<std::int64_t, 3> wide{command.ord_type == OrdType::market ? worst : command.price_ticks, command.qty,
                                             static_cast<std::int64_t>(adds ? last_id : command.order_id)};
      std::array<std::uint8_t, 40> record{};
      std::memcpy(record.data(), codes.data(), sizeof codes);
      std::memcpy(record.data() + 4, narrow.data(), sizeof narrow);
      std::memcpy(record.data() + 16, wide.data(), sizeof wide);
      if (std::fwrite(record.data(), record.size(), 1, file.get()) != 1) {
        throw std::runtime_error(path + ": cannot be written");
      }
    }
  }
}

}  // namespace bench
