// What came of a command: execution reports, in order. The report stream of a partition is this, and nothing else:
// the answer to the sender, market data, drop copy and audit are all made from it.
#pragma once

#include <span>
#include <vector>

#include "exchange/types.hpp"

namespace exchange {

// 128 bytes, so that two reports never share a cache line by accident. An order's report tells the order as it stands
// after this step. `value` and `limit` are the two numbers that decided a refusal, or what the exec_type says.
struct Report {
  ExecId exec_id = 0;
  SeqNum seq_num = 0;
  OrderId order_id = 0;
  TradeId trade_id = 0;        // trade; settlement: the trade date
  OrderId contra_order_id = 0;  // trade: the other order; stays inside the venue
  FirmId firm = 0;
  InstrumentId instrument = 0;
  ExecType exec_type = ExecType::fresh;
  OrdStatus ord_status = OrdStatus::fresh;
  RejectReason reason = RejectReason::none;
  Side side = Side::buy;
  OrdType ord_type = OrdType::limit;
  TimeInForce tif = TimeInForce::day;
  Liquidity liquidity = Liquidity::none;
  std::uint8_t reserved = 0;  // named, so that every byte of a report is known: equal reports are equal bytes
  std::int32_t stop_price_ticks = 0;
  std::int32_t price_ticks = 0;
  std::int32_t last_px_ticks = 0;
  std::int32_t reserved2 = 0;
  Qty last_qty = 0;  // 64 bit: also auction volumes and settlement
  Qty order_qty = 0;
  Qty cum_qty = 0;
  Qty leaves_qty = 0;
  std::int64_t cum_notional = 0;  // ticks times shares; avg_px = cum_notional / cum_qty
  std::int64_t value = 0;
  std::int64_t limit = 0;
};
static_assert(sizeof(Report) == 128);

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
  std::int64_t value = 0;  // of a refusal: what was asked, and
  std::int64_t limit = 0;  // what bounds it
  std::vector<Fill> fills;
};

// The answer to `command`, from the reports that it caused.
void make_reply(const Command& command, SeqNum seq_num, std::span<const Report> reports, Reply& reply);

}  // namespace exchange
