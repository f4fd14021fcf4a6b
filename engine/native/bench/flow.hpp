// The order flows that everything here is measured with. The same seed gives the same flow on every platform.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "exchange/config.hpp"
#include "exchange/types.hpp"
#include "trade_hash.hpp"

namespace bench {

struct Shape {
  std::uint32_t instruments = 1;
  std::uint32_t preload = 20'000;      // resting orders before the clock starts
  std::uint32_t ops = 4'000'000;       // 45 % passive adds, 45 % cancels, 10 % crossing (half IOC, half market)
  std::uint32_t levels = 1'000;        // a side: how far from the middle an order is placed, evenly
  exchange::Price middle = 100'000;    // where the walk of the middle begins, ticks
  bool cl_ord_ids = false;
  std::uint64_t seed = 20261121;
};

// The research's two: one warm book, and 10,000 instruments of which the busiest gets 4.6 % and the busiest 1,000 get 46 %.
[[nodiscard]] Shape one_book();
[[nodiscard]] Shape many_books();

// Nothing in a flow is refused by the engine under rules(), and no self-trade occurs: makers and takers are different
// firms. Some cancels come too late, as they do in life. `hash` is of the trades of preload and ops together.
struct Flow {
  std::vector<exchange::Command> preload;
  std::vector<exchange::Command> ops;
  TradeHash hash;
  std::uint64_t adds = 0;
  std::uint64_t cancels = 0;
  std::uint64_t too_late = 0;  // of the cancels
  std::uint64_t crossing = 0;
  std::uint64_t live_at_end = 0;
  std::uint64_t levels_at_end = 0;  // both sides, all instruments
};

[[nodiscard]] Flow make_flow(const Shape& shape);

// Every rule configured so wide that it is computed for each order and refuses none; `on` false: no rule at all.
[[nodiscard]] exchange::EngineConfig rules(const Shape& shape, bool on);

// Writes the flow as little-endian records of 40 bytes, for peers in other languages: u8 kind (1 new, 2 cancel), u8 side
// (1 buy), u8 immediate (IOC or market), u8 0, u32 firm, u32 instrument, u32 preload (1: before the clock starts),
// i64 price (of a market order: the worst there is), i64 qty, u64 order_id.
void write_flow(const Flow& flow, const std::string& path);

}  // namespace bench
