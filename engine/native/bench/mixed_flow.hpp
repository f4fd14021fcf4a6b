// Everything that a member can do to a book in continuous trading, in no particular order: all order types and times in
// force, cancels, reductions and amendments, of orders that live and that are gone; firms with every mode of self-trade
// prevention; prices near enough that bands, collars and stops come into play. Makes no call to anybody.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include "exchange/engine.hpp"

namespace bench {

class MixedFlow {
 public:
  static constexpr std::uint32_t kInstruments = 64;
  static constexpr exchange::FirmId kFirms = 8;

  explicit MixedFlow(std::uint64_t seed) : state_(seed), firm_of_(kRemembered) {}

  // Bands of 3 % and collars of 2 % around 10,000, limits that are sometimes met. Limit states come and go; none lasts the
  // 15 s that would make a halt of it, because halts and auctions are no part of the match path.
  static exchange::EngineConfig config() {
    exchange::InstrumentConfig one;
    one.reference_ticks = kMiddle;
    one.luld_bps = 300;
    one.collar_bps = 200;
    one.market_notional_cap = 400 * kMiddle;
    one.fat_finger_pct = 110;
    exchange::EngineConfig config;
    config.instruments.assign(kInstruments, one);
    config.default_limits = {400, 100'000, 100'000, 10'000, exchange::StpMode::none};
    config.max_live_orders = 1U << 18U;
    return config;
  }

  // Gives every firm its mode of self-trade prevention.
  void begin(exchange::Engine& engine) {
    for (exchange::FirmId firm = 0; firm < kFirms; ++firm) {
      exchange::Command limits;
      limits.kind = exchange::CommandKind::limits;
      limits.firm = firm;
      limits.qty = 400;
      limits.price_ticks = 100'000;
      limits.stop_price_ticks = 100'000;
      limits.order_id = 10'000;
      limits.stp = static_cast<exchange::StpMode>(firm % 4);
      limits.ts_ns = now_ns_;
      static_cast<void>(engine.apply(limits));
    }
  }

  void step(exchange::Engine& engine) {
    now_ns_ += 1'000;
    const std::uint64_t draw = below(100);
    if (draw < 58) {
      place(engine);
    } else if (draw < 88) {
      touch(engine, exchange::CommandKind::cancel);
    } else if (draw < 92) {
      touch(engine, exchange::CommandKind::reduce);
    } else {
      touch(engine, exchange::CommandKind::amend);
    }
  }

  [[nodiscard]] std::uint64_t accepted() const noexcept { return last_id_; }
  [[nodiscard]] std::uint64_t seen(exchange::ExecType type) const noexcept { return seen_[static_cast<std::size_t>(type)]; }
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  static constexpr exchange::Price kMiddle = 10'000;
  static constexpr std::size_t kRemembered = 1U << 16U;

  std::uint64_t below(std::uint64_t bound) noexcept {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t mixed = (state_ ^ (state_ >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
    return (mixed ^ (mixed >> 31U)) % bound;
  }
  // Most within 50 ticks of the middle, a few as far as the bands and beyond.
  exchange::Price price() noexcept {
    const std::uint64_t width = below(40) == 0 ? 450 : 50;
    return kMiddle - static_cast<exchange::Price>(width) + static_cast<exchange::Price>(below(2 * width + 1));
  }

  void place(exchange::Engine& engine) {
    exchange::Command order;
    const std::uint64_t draw = below(100);
    order.side = below(2) == 0 ? exchange::Side::buy : exchange::Side::sell;
    order.ord_type = draw < 78   ? exchange::OrdType::limit
                     : draw < 86 ? exchange::OrdType::market
                     : draw < 93 ? exchange::OrdType::stop
                                 : exchange::OrdType::stop_limit;
    constexpr std::array kTimes{exchange::TimeInForce::day, exchange::TimeInForce::day, exchange::TimeInForce::gtc,
                                exchange::TimeInForce::ioc, exchange::TimeInForce::fok};
    order.tif = kTimes[below(draw < 86 ? 5 : 3)];
    order.firm = static_cast<exchange::FirmId>(below(kFirms));
    order.instrument = static_cast<exchange::InstrumentId>(below(kInstruments));
    order.price_ticks = price();
    order.stop_price_ticks = price();
    order.qty = static_cast<exchange::Qty>(1 + below(below(50) == 0 ? 500 : 100));
    if (below(2) == 0) {
      std::array<char, 24> text{};
      std::snprintf(text.data(), text.size(), "m-%llu", static_cast<unsigned long long>(below(64) == 0 ? last_id_ / 2 : last_id_));
      order.cl_ord_id = exchange::ClOrdId::parse(text.data()).value_or(exchange::ClOrdId{});
    }
    apply(engine, order);
  }

  void touch(exchange::Engine& engine, exchange::CommandKind kind) {
    if (last_id_ == 0) {
      return;
    }
    exchange::Command command;
    command.kind = kind;
    command.instrument = exchange::kAllInstruments;
    command.order_id = last_id_ - below(std::min<std::uint64_t>(last_id_, 20'000));
    command.firm = below(100) == 0 ? kFirms : firm_of_[command.order_id % kRemembered];
    command.qty = static_cast<exchange::Qty>(kind == exchange::CommandKind::amend && below(2) == 0 ? 0 : 1 + below(60));
    command.price_ticks = below(2) == 0 ? 0 : price();
    command.stop_price_ticks = below(4) == 0 ? price() : 0;
    apply(engine, command);
  }

  void apply(exchange::Engine& engine, exchange::Command& command) {
    command.ts_ns = now_ns_;
    for (const exchange::Report& report : engine.apply(command)) {
      ++seen_[static_cast<std::size_t>(report.exec_type)];
      refused_ += report.ord_status == exchange::OrdStatus::rejected ? 1 : 0;
      if (report.exec_type == exchange::ExecType::fresh) {
        last_id_ = report.order_id;
        firm_of_[report.order_id % kRemembered] = report.firm;
      }
    }
  }

  std::uint64_t state_;
  std::vector<exchange::FirmId> firm_of_;
  exchange::OrderId last_id_ = 0;
  exchange::TimeNs now_ns_ = 1'800'000'000'000'000'000;
  std::array<std::uint64_t, 64> seen_{};
  std::uint64_t refused_ = 0;
};

}  // namespace bench
