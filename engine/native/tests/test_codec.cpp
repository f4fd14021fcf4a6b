#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/codec.hpp"
#include "exchange/crc32c.hpp"
#include "exchange/report.hpp"

namespace {

using namespace exchange;

constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();

std::vector<std::uint8_t> bytes_of(const Frame& frame) {
  std::vector<std::uint8_t> out;
  CHECK(encode(frame, out));
  return out;
}

std::vector<std::uint8_t> framed(std::span<const std::uint8_t> payload) {
  std::vector<std::uint8_t> frame(kFrameHeader);
  store_le(frame.data(), static_cast<std::uint32_t>(payload.size() + 4));
  store_le(frame.data() + 4, crc32c(payload));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Depth some_depth() {
  Depth depth;
  depth.seq_num = 7;
  depth.bids = {{kLow, 1}, {2, 3}};
  depth.asks = {{4, kHigh}};
  depth.last_trade = PriceQty{5, 6};
  depth.state = SessionState::closing_auction;
  depth.limit_state = true;
  depth.indicative = {8, 9, kLow};
  return depth;
}

Reply some_reply() {
  Reply reply;
  reply.seq_num = 1;
  reply.order_id = 2;
  reply.status = OrdStatus::partially_filled;
  reply.reason = RejectReason::self_trade;
  reply.order_qty = 3;
  reply.cum_qty = 4;
  reply.leaves_qty = 5;
  reply.value = kLow;
  reply.limit = kHigh;
  reply.fills = {{6, 7, 8, 9}, {10, 11, 12, 13}};
  return reply;
}

std::vector<Frame> one_of_each() {
  return {HelloFrame{"name", 1, "key"},
          WelcomeFrame{1, 2, 3},
          NewOrderFrame{1, 2, 3, 1, 4, 0, kLow, kHigh, "mine", kHigh},
          CancelFrame{1, 2, 3},
          ReduceFrame{1, 2, 3, 4},
          DepthRequestFrame{1, 2, 3},
          ReplyFrame{1, some_reply()},
          DepthFrame{1, some_depth()},
          LogonFrame{1, "token"},
          AmendFrame{1, 2, 3, kLow, kHigh, 4, 5},
          ControlFrame{1, 8, 2, kAllInstruments, 3, 4, 5, std::numeric_limits<OrderId>::max(), 3, 5}};
}

TEST("every kind of frame comes out with all of its fields") {
  for (const Frame& frame : one_of_each()) {
    const auto bytes = bytes_of(frame);
    FrameDecoder decoder;
    decoder.feed(bytes);
    const auto found = decoder.next();
    CHECK(found && found->index() == frame.index());
    CHECK(bytes_of(*found) == bytes);
    CHECK(!decoder.next() && !decoder.bad());
  }
}

TEST("the new fields of an order, an amendment, a control, a reply and a depth hold what was put in") {
  const auto through = [](const Frame& frame) {
    FrameDecoder decoder;
    decoder.feed(bytes_of(frame));
    return *decoder.next();
  };
  const auto all = one_of_each();
  CHECK(std::get<NewOrderFrame>(through(all[2])).stop_price_ticks == kHigh);
  const auto amend = std::get<AmendFrame>(through(all[9]));
  CHECK(amend.firm == 2 && amend.order_id == 3 && amend.price_ticks == kLow && amend.qty == kHigh && amend.stop_price_ticks == 4);
  CHECK(amend.instrument == 5 && AmendFrame{}.instrument == kAllInstruments);
  const auto control = std::get<ControlFrame>(through(all[10]));
  CHECK(control.kind == 8 && control.firm == 2 && control.instrument == kAllInstruments && control.price_ticks == 3 && control.qty == 4);
  CHECK(control.stop_price_ticks == 5 && control.order_id == std::numeric_limits<OrderId>::max() && control.stp == 3 && control.state == 5);
  const auto reply = std::get<ReplyFrame>(through(all[6])).reply;
  CHECK(reply.value == kLow && reply.limit == kHigh && reply.fills.size() == 2 && reply.fills[1].maker_order_id == 13);
  const auto depth = std::get<DepthFrame>(through(all[7])).depth;
  CHECK(depth.state == SessionState::closing_auction && depth.limit_state);
  CHECK(depth.indicative.price_ticks == 8 && depth.indicative.qty == 9 && depth.indicative.imbalance == kLow);
}

TEST("a frame with a byte too many or too few is refused, whatever its kind") {
  for (const Frame& frame : one_of_each()) {
    const auto bytes = bytes_of(frame);
    for (const int change : {-1, 1}) {
      std::vector<std::uint8_t> payload(bytes.begin() + kFrameHeader, bytes.end());
      payload.resize(static_cast<std::size_t>(static_cast<std::ptrdiff_t>(payload.size()) + change));
      FrameDecoder decoder;
      decoder.feed(framed(payload));
      CHECK(!decoder.next() && decoder.bad());
    }
  }
}

TEST("a depth whose limit state is neither yes nor no is refused") {
  auto bytes = bytes_of(DepthFrame{1, some_depth()});
  bytes[bytes.size() - 25] = 2;
  FrameDecoder decoder;
  decoder.feed(framed(std::span(bytes).subspan(kFrameHeader)));
  CHECK(!decoder.next() && decoder.bad());
}

TEST("a reply with the most fills a command can have fits one frame") {
  Reply reply = some_reply();
  reply.fills.resize(kMaxFillsPerCommand);
  std::vector<std::uint8_t> out;
  CHECK(encode_reply(1, reply, out) && out.size() <= kFrameMax + 4);
}

// ---- what an answer says ----

Report report(ExecType type, OrderId order_id, OrdStatus status, Qty cum, Qty leaves) {
  Report made;
  made.exec_type = type;
  made.seq_num = 9;
  made.order_id = order_id;
  made.ord_status = status;
  made.order_qty = cum + leaves;
  made.cum_qty = cum;
  made.leaves_qty = leaves;
  return made;
}

Report trade(OrderId order_id, OrderId other, TradeId id, Qty qty, Qty cum, Qty leaves) {
  Report made = report(ExecType::trade, order_id, leaves == 0 ? OrdStatus::filled : OrdStatus::partially_filled, cum, leaves);
  made.trade_id = id;
  made.contra_order_id = other;
  made.last_px_ticks = 100;
  made.last_qty = qty;
  return made;
}

Reply answer(CommandKind kind, const std::vector<Report>& reports, OrderId order_id = 0) {
  Command command;
  command.kind = kind;
  command.order_id = order_id;
  Reply reply;
  reply.fills = {{1, 1, 1, 1}};  // of the answer before
  make_reply(command, 9, reports, reply);
  return reply;
}

TEST("an order's answer is its last report, with its own trades as fills") {
  const Reply reply = answer(CommandKind::new_order, {report(ExecType::fresh, 5, OrdStatus::fresh, 0, 10), trade(5, 1, 70, 4, 4, 6),
                                                      trade(1, 5, 70, 4, 4, 0), trade(5, 2, 71, 1, 5, 5), trade(2, 5, 71, 1, 1, 0)});
  CHECK(reply.seq_num == 9 && reply.order_id == 5 && reply.status == OrdStatus::partially_filled);
  CHECK(reply.order_qty == 10 && reply.cum_qty == 5 && reply.leaves_qty == 5 && reply.fills.size() == 2);
  CHECK(reply.fills[0].trade_id == 70 && reply.fills[0].maker_order_id == 1 && reply.fills[0].price_ticks == 100 && reply.fills[1].qty == 1);
}

TEST("what an IOC leaves over is cancelled without a reason, and its fills stay") {
  Report ended = report(ExecType::cancelled, 5, OrdStatus::cancelled, 4, 0);
  ended.order_qty = 10;
  const Reply reply = answer(CommandKind::new_order, {report(ExecType::fresh, 5, OrdStatus::fresh, 0, 10), trade(5, 1, 70, 4, 4, 6), ended});
  CHECK(reply.status == OrdStatus::cancelled && reply.reason == RejectReason::none && reply.cum_qty == 4 && reply.fills.size() == 1);
}

TEST("timers that fired before the command, and stops that it set off, are no part of its answer") {
  std::vector<Report> reports{trade(3, 5, 60, 1, 1, 9), trade(5, 3, 60, 1, 1, 9), report(ExecType::replaced, 5, OrdStatus::partially_filled, 1, 2),
                              trade(5, 8, 61, 1, 2, 1), trade(8, 5, 61, 1, 1, 0), report(ExecType::triggered, 4, OrdStatus::fresh, 0, 7),
                              trade(4, 8, 62, 7, 7, 0)};
  const Reply reply = answer(CommandKind::amend, reports, 5);
  CHECK(reply.order_id == 5 && reply.cum_qty == 2 && reply.leaves_qty == 1);
  CHECK(reply.fills.size() == 1 && reply.fills[0].trade_id == 61);
}

TEST("a timer that cancelled the very order first leaves the late cancel its refusal") {
  Report refused = report(ExecType::cancel_rejected, 5, OrdStatus::rejected, 0, 0);
  refused.reason = RejectReason::too_late;
  const Reply reply = answer(CommandKind::cancel, {report(ExecType::cancelled, 5, OrdStatus::cancelled, 0, 0), refused}, 5);
  CHECK(reply.status == OrdStatus::rejected && reply.reason == RejectReason::too_late && reply.fills.empty());
}

TEST("a refusal carries its two numbers, and a duplicate the order it is a duplicate of") {
  Report refused = report(ExecType::rejected, 3, OrdStatus::rejected, 0, 0);
  refused.reason = RejectReason::duplicate_cl_ord_id;
  refused.order_qty = 12;
  refused.value = 12;
  refused.limit = 10;
  const Reply reply = answer(CommandKind::new_order, {refused});
  CHECK(reply.order_id == 3 && reply.reason == RejectReason::duplicate_cl_ord_id && reply.order_qty == 12);
  CHECK(reply.value == 12 && reply.limit == 10 && reply.status == OrdStatus::rejected);
}

TEST("a control's answer counts what it moved, and names no order") {
  Report done = report(ExecType::control, 0, OrdStatus::fresh, 0, 0);
  done.value = 2;
  const Reply killed = answer(CommandKind::kill, {report(ExecType::cancelled, 5, OrdStatus::cancelled, 0, 0),
                                                  report(ExecType::cancelled, 6, OrdStatus::cancelled, 0, 0), done});
  CHECK(killed.status == OrdStatus::fresh && killed.order_qty == 2 && killed.order_id == 0 && killed.seq_num == 9);
  Report refused = report(ExecType::rejected, 0, OrdStatus::rejected, 0, 0);
  refused.reason = RejectReason::wrong_state;
  refused.value = 2;
  refused.limit = 1;
  const Reply open = answer(CommandKind::end_of_day, {refused});
  CHECK(open.status == OrdStatus::rejected && open.reason == RejectReason::wrong_state && open.value == 2 && open.limit == 1);
  CHECK(open.order_qty == 0);
}

TEST("what was not well formed has no seq_num") {
  Report bad = report(ExecType::rejected, 0, OrdStatus::rejected, 0, 0);
  bad.seq_num = 0;
  bad.reason = RejectReason::bad_command;
  CHECK(answer(CommandKind::new_order, {bad}).seq_num == 0);
}

}  // namespace
