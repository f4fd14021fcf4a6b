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

using OrderId = std::uint64_t;   // dense from 1 over the whole engine
using TradeId = std::uint64_t;   // dense from 1 over the whole engine
using SeqNum = std::uint64_t;    // dense from 1; 0 means "never logged"
using Price = std::int64_t;      // ticks
using Qty = std::int64_t;        // shares
using TimeNs = std::int64_t;     // since the Unix epoch
using FirmId = std::uint32_t;
using InstrumentId = std::uint32_t;

enum class Side : std::uint8_t { buy = 1, sell = 2 };
enum class OrdType : std::uint8_t { market = 1, limit = 2 };
enum class TimeInForce : std::uint8_t { day = 0, ioc = 3, fok = 4 };
enum class OrdStatus : std::uint8_t { fresh = 0, partially_filled = 1, filled = 2, cancelled = 4, rejected = 8, expired = 12 };
enum class CommandKind : std::uint8_t { new_order = 1, cancel = 2, reduce = 3 };
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
};

// A limit above this is a typing error, not a price.
inline constexpr Price kMaxPriceTicks = 1'000'000'000'000;
// Upper bound of an instrument's max_qty: with kMaxLiveOrders of them a level's sum still fits 63 bits.
inline constexpr Qty kMaxOrderQty = 100'000'000'000;
inline constexpr std::uint32_t kMaxLiveOrders = 1U << 24U;
// One command trades with at most this many resting orders; what is left is cancelled, even of a DAY order.
// It bounds the time one command can take, and lets every reply fit one link frame with all of its fills.
inline constexpr std::size_t kMaxFillsPerCommand = 32'000;
inline constexpr std::size_t kMaxClOrdIdLength = 40;

[[nodiscard]] constexpr Side opposite(Side side) noexcept { return side == Side::buy ? Side::sell : Side::buy; }

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

// One input of the state machine. A cancel uses firm and order_id; a reduce also qty (its new leaves_qty).
struct Command {
  CommandKind kind = CommandKind::new_order;
  Side side = Side::buy;
  OrdType ord_type = OrdType::limit;
  TimeInForce tif = TimeInForce::day;
  FirmId firm = 0;
  InstrumentId instrument = 0;
  Price price_ticks = 0;
  Qty qty = 0;
  OrderId order_id = 0;
  TimeNs ts_ns = 0;
  ClOrdId cl_ord_id;
};

// True when every enum field holds a named value. What is not well formed is never logged.
[[nodiscard]] bool well_formed(const Command& command) noexcept;

// One execution as the taker sees it.
struct Fill {
  TradeId trade_id = 0;
  Price price_ticks = 0;
  Qty qty = 0;
  OrderId maker_order_id = 0;
};

// The answer to one command. Live orders: order_qty == cum_qty + leaves_qty; done orders: leaves_qty == 0.
struct Reply {
  SeqNum seq_num = 0;
  OrderId order_id = 0;
  OrdStatus status = OrdStatus::rejected;
  RejectReason reason = RejectReason::none;
  Qty order_qty = 0;
  Qty cum_qty = 0;
  Qty leaves_qty = 0;
  std::vector<Fill> fills;
};

// One aggregated price level, or the last trade.
struct PriceQty {
  Price price_ticks = 0;
  Qty qty = 0;
};

// Aggregated levels, best first.
struct Depth {
  SeqNum seq_num = 0;
  std::vector<PriceQty> bids;
  std::vector<PriceQty> asks;
  std::optional<PriceQty> last_trade;
};

}  // namespace exchange
