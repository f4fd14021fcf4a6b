// What several bindings need: the engine's configuration from Python's tuples.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "exchange/config.hpp"

namespace binding {

namespace nb = nanobind;

// (instruments: [(max_qty, reference_ticks, luld_bps, collar_bps, market_notional_cap, fat_finger_pct, initial_state), ...],
//  (max_order_qty, position_limit, rate_per_s, burst, stp), max_live_orders, limit_state_ns, halt_ns, partitions, partition)
inline exchange::EngineConfig config_of(const nb::handle& from) {
  exchange::EngineConfig config;
  for (const nb::handle one : nb::cast<nb::sequence>(from[0])) {
    exchange::InstrumentConfig made;
    made.max_qty = nb::cast<std::int64_t>(one[0]);
    made.reference_ticks = nb::cast<std::int64_t>(one[1]);
    made.luld_bps = nb::cast<std::uint32_t>(one[2]);
    made.collar_bps = nb::cast<std::uint32_t>(one[3]);
    made.market_notional_cap = nb::cast<std::int64_t>(one[4]);
    made.fat_finger_pct = nb::cast<std::uint32_t>(one[5]);
    made.initial_state = static_cast<exchange::SessionState>(nb::cast<std::uint8_t>(one[6]));
    config.instruments.push_back(made);
  }
  const nb::object limits = nb::borrow(from[1]);
  config.default_limits.max_order_qty = nb::cast<std::int64_t>(limits[0]);
  config.default_limits.position_limit = nb::cast<std::int64_t>(limits[1]);
  config.default_limits.rate_per_s = nb::cast<std::int64_t>(limits[2]);
  config.default_limits.burst = nb::cast<std::int64_t>(limits[3]);
  config.default_limits.stp = static_cast<exchange::StpMode>(nb::cast<std::uint8_t>(limits[4]));
  config.max_live_orders = nb::cast<std::uint32_t>(from[2]);
  config.limit_state_ns = nb::cast<std::int64_t>(from[3]);
  config.halt_ns = nb::cast<std::int64_t>(from[4]);
  config.partitions = nb::cast<std::uint32_t>(from[5]);
  config.partition = nb::cast<std::uint32_t>(from[6]);
  return config;
}

}  // namespace binding
