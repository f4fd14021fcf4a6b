// What a partition is told before its first command. A log is bound to it: config_digest() stands in every segment and
// snapshot, because a replay under other rules would diverge.
#pragma once

#include <cstdint>
#include <vector>

#include "exchange/types.hpp"

namespace exchange {

// 0 (or none): no such rule. Sources: requirement rows E6 to E9.
struct InstrumentConfig {
  Qty max_qty = kMaxOrderQty;             // largest order
  Price reference_ticks = 0;              // the close before the first day
  std::uint32_t luld_bps = 0;             // half width of the price band around the reference
  std::uint32_t collar_bps = 0;           // how far a market order may go from the midpoint
  std::int64_t market_notional_cap = 0;   // ticks times shares
  std::uint32_t fat_finger_pct = 0;       // 200: an order priced above twice the last trade is refused
  SessionState initial_state = SessionState::continuous;
};

struct FirmLimits {
  Qty max_order_qty = 0;
  Qty position_limit = 0;  // net, counting everything that rests as if it had traded
  std::int64_t rate_per_s = 0;
  std::int64_t burst = 0;
  StpMode stp = StpMode::none;
};

struct EngineConfig {
  std::vector<InstrumentConfig> instruments;
  FirmLimits default_limits;
  std::uint32_t max_live_orders = kMaxLiveOrders;
  TimeNs limit_state_ns = 15'000'000'000;  // E7
  TimeNs halt_ns = 300'000'000'000;        // E7
  std::uint32_t partitions = 1;
  std::uint32_t partition = 0;  // this one, from 0
};

// Throws std::invalid_argument naming the field.
void check_config(const EngineConfig& config);
[[nodiscard]] std::uint64_t config_digest(const EngineConfig& config) noexcept;

}  // namespace exchange
