// The venue's nouns. The enum values are part of the log and link formats and equal engine/types.py:
// never renumber, only append. Prices are integer ticks, quantities whole shares, times nanoseconds since
// the Unix epoch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace exchange {

using OrderId = std::uint64_t;   // dense from 1 over a partition, times the number of partitions
using TradeId = std::uint64_t;   // likewise
using ExecId = std::uint64_t;    // dense from 1 over a partition's reports
using SeqNum = std::uint64_t;    // dense from 1 over a partition; 0 means "never logged"
using Price = std::int64_t;      // ticks
using Qty = std::int64_t;        // shares
using TimeNs = std::int64_t;     // since the Unix epoch
using FirmId = std::uint32_t;
using InstrumentId = std::uint32_t;

enum class Side : std::uint8_t { buy = 1, sell = 2 };
enum class OrdType : std::uint8_t { market = 1, limit = 2, stop = 3, stop_limit = 4 };
enum class TimeInForce : std::uint8_t { day = 0, gtc = 1, ioc = 3, fok = 4 };
enum class OrdStatus : std::uint8_t { fresh = 0, partially_filled = 1, filled = 2, cancelled = 4, rejected = 8, expired = 12 };
// What a report says happened: FIX's values, then the venue's own.
enum class ExecType : std::uint8_t {
  fresh = 0,
  cancelled = 4,
  replaced = 5,
  rejected = 8,
  expired = 12,
  restated = 13,
  trade = 15,
  triggered = 21,
  cancel_rejected = 32,
  session = 33,
  limit_state = 34,
  settlement = 35,
  control = 36,
};
enum class Liquidity : std::uint8_t { none = 0, maker = 1, taker = 2, auction = 3 };
enum class SessionState : std::uint8_t { pre_open = 0, opening_auction = 1, continuous = 2, halted = 3, closing_auction = 4, closed = 5 };
enum class StpMode : std::uint8_t { none = 0, cancel_newest = 1, cancel_oldest = 2, decrement = 3 };
enum class CommandKind : std::uint8_t {
  new_order = 1,
  cancel = 2,
  reduce = 3,
  amend = 4,
  session = 5,
  timer = 6,
  kill = 7,
  limits = 8,
  mass_cancel = 9,
  corporate_action = 10,
  end_of_day = 11,
  reference = 12,
};
// Why a command was refused, or why an order was cancelled that nobody asked to cancel.
enum class RejectReason : std::uint8_t {
  none = 0,
  unknown_instrument = 1,
  bad_price = 2,
  bad_quantity = 3,
  duplicate_cl_ord_id = 4,
  unknown_order = 5,
  not_owner = 6,
  too_late = 7,
  bad_command = 8,
  book_full = 9,
  log_unavailable = 10,
  bad_stop_price = 11,
  bad_time_in_force = 12,
  wrong_state = 13,
  firm_killed = 14,
  order_rate = 15,
  order_size = 16,
  fat_finger = 17,
  notional_cap = 18,
  position_limit = 19,
  bad_limits = 20,
  self_trade = 21,
  price_band = 22,
  fill_limit = 23,
  corporate_action = 24,
  stop_over_cap = 25,
  collar = 26,
};

// With both at their bounds price times quantity is 10^18 and fits 63 bits.
inline constexpr Price kMaxPriceTicks = 1'000'000'000;
inline constexpr Qty kMaxOrderQty = 1'000'000'000;
inline constexpr std::uint32_t kMaxLiveOrders = 1U << 24U;
inline constexpr FirmId kMaxFirmId = 65'535;
inline constexpr TimeNs kMaxTsNs = TimeNs{1} << 62U;  // leaves room for every deadline
inline constexpr InstrumentId kAllInstruments = 0xFFFF'FFFF;
inline constexpr InstrumentId kMaxInstruments = 100'000;
inline constexpr std::uint32_t kMaxPartitions = 64;
// An incoming order meets at most this many resting orders; what is left is cancelled, even of a DAY order. A reply tells
// at most as many fills (its quantities count all of them): those of stops that met the rest of the same order come on top.
inline constexpr std::size_t kMaxFillsPerCommand = 32'000;
inline constexpr std::size_t kMaxClOrdIdLength = 40;

// Computed, not chosen, as all that depends on a side is: which side comes next is what no processor can foresee.
[[nodiscard]] constexpr Side opposite(Side side) noexcept { return static_cast<Side>(3 - static_cast<unsigned>(side)); }

// A member's own order id: up to 40 printable ASCII characters; empty when the member gave none.
class ClOrdId {
 public:
  ClOrdId() = default;

  // Nothing when `text` is too long or holds anything but printable ASCII.
  [[nodiscard]] static std::optional<ClOrdId> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), length_}; }
  [[nodiscard]] bool empty() const noexcept { return length_ == 0; }

 private:
  std::array<char, kMaxClOrdIdLength> bytes_{};
  std::uint8_t length_ = 0;
};

// One input of the state machine. Which fields a kind uses, and for what: docs/engine.md; the rest is ignored.
struct Command {
  CommandKind kind = CommandKind::new_order;
  Side side = Side::buy;
  OrdType ord_type = OrdType::limit;
  TimeInForce tif = TimeInForce::day;
  StpMode stp = StpMode::none;
  SessionState state = SessionState::pre_open;
  FirmId firm = 0;
  InstrumentId instrument = 0;
  Price price_ticks = 0;
  Qty qty = 0;
  Price stop_price_ticks = 0;
  OrderId order_id = 0;
  TimeNs ts_ns = 0;
  ClOrdId cl_ord_id;
};

// The part of well_formed() that few commands come to: of the kinds but new_order and cancel.
[[nodiscard]] bool well_formed_control(const Command& command) noexcept;
// True when every field that the kind uses holds a named value. What is not well formed is never logged.
[[nodiscard]] inline bool well_formed(const Command& c) noexcept {
  if (c.firm > kMaxFirmId || c.ts_ns < 0 || c.ts_ns > kMaxTsNs) {
    return false;
  }
  if (c.kind == CommandKind::new_order) {
    const auto side = static_cast<unsigned>(c.side);
    const auto type = static_cast<unsigned>(c.ord_type);
    const auto tif = static_cast<unsigned>(c.tif);
    return side - 1 < 2 && type - 1 < 4 && tif <= 4 && tif != 2;
  }
  return c.kind == CommandKind::cancel || well_formed_control(c);
}

// One aggregated price level, or the last trade.
struct PriceQty {
  Price price_ticks = 0;
  Qty qty = 0;
};

// What an uncross would do now; all zero while the book is not crossed. `imbalance`: buys minus sells at that price.
struct Indicative {
  Price price_ticks = 0;
  Qty qty = 0;
  Qty imbalance = 0;
};

// Aggregated levels, best first.
struct Depth {
  SeqNum seq_num = 0;
  std::vector<PriceQty> bids;
  std::vector<PriceQty> asks;
  std::optional<PriceQty> last_trade;
  SessionState state = SessionState::continuous;
  bool limit_state = false;
  Indicative indicative;  // zero in continuous trading
};

}  // namespace exchange
