// The framed link, both ends: frames to Python's tuples and back (the shapes stand in engine/_core.pyi). Decides nothing.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "bindings.hpp"
#include "exchange/codec.hpp"
#include "exchange/crc32c.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

class LinkError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

std::span<const std::uint8_t> bytes_of(const nb::bytes& data) { return {static_cast<const std::uint8_t*>(data.data()), data.size()}; }

nb::str text(const std::string& value) {
  PyObject* made = PyUnicode_DecodeUTF8(value.data(), static_cast<Py_ssize_t>(value.size()), nullptr);
  if (made == nullptr) {
    PyErr_Clear();
    throw LinkError("a frame with a text that is not UTF-8");
  }
  return nb::steal<nb::str>(made);
}

nb::list fills_of(const exchange::Reply& reply) {
  nb::list fills;
  for (const exchange::Fill& fill : reply.fills) {
    fills.append(nb::make_tuple(fill.trade_id, fill.price_ticks, fill.qty, fill.maker_order_id));
  }
  return fills;
}

nb::list levels_of(const std::vector<exchange::PriceQty>& levels) {
  nb::list made;
  for (const exchange::PriceQty& level : levels) {
    made.append(nb::make_tuple(level.price_ticks, level.qty));
  }
  return made;
}

nb::object last_trade_of(const exchange::Depth& depth) {
  return depth.last_trade ? nb::object(nb::make_tuple(depth.last_trade->price_ticks, depth.last_trade->qty)) : nb::none();
}

nb::tuple indicative_of(const exchange::Depth& depth) {
  return nb::make_tuple(depth.indicative.price_ticks, depth.indicative.qty, depth.indicative.imbalance);
}

// Turns each frame kind into the tuple that engine/_core.pyi describes.
struct FrameTuple {
  nb::tuple operator()(const exchange::HelloFrame& frame) const {
    return nb::make_tuple("hello", text(frame.name), frame.epoch, text(frame.key));
  }
  nb::tuple operator()(const exchange::WelcomeFrame& frame) const {
    return nb::make_tuple("welcome", frame.epoch, frame.last_seq_num, frame.instruments_digest);
  }
  nb::tuple operator()(const exchange::NewOrderFrame& frame) const {
    return nb::make_tuple("new_order", frame.request_id, frame.firm, frame.instrument, frame.side, frame.ord_type, frame.tif,
                          frame.price_ticks, frame.qty, text(frame.cl_ord_id), frame.stop_price_ticks);
  }
  nb::tuple operator()(const exchange::CancelFrame& frame) const {
    return nb::make_tuple("cancel", frame.request_id, frame.firm, frame.order_id);
  }
  nb::tuple operator()(const exchange::ReduceFrame& frame) const {
    return nb::make_tuple("reduce", frame.request_id, frame.firm, frame.order_id, frame.new_leaves_qty);
  }
  nb::tuple operator()(const exchange::AmendFrame& frame) const {
    return nb::make_tuple("amend", frame.request_id, frame.firm, frame.order_id, frame.price_ticks, frame.qty, frame.stop_price_ticks,
                          frame.instrument);
  }
  nb::tuple operator()(const exchange::ControlFrame& frame) const {
    return nb::make_tuple("control", frame.request_id, frame.kind, frame.firm, frame.instrument, frame.price_ticks, frame.qty,
                          frame.stop_price_ticks, frame.order_id, frame.stp, frame.state);
  }
  nb::tuple operator()(const exchange::DepthRequestFrame& frame) const {
    return nb::make_tuple("depth_request", frame.request_id, frame.instrument, frame.levels);
  }
  nb::tuple operator()(const exchange::ReplyFrame& frame) const {
    const exchange::Reply& reply = frame.reply;
    return nb::make_tuple("reply", frame.request_id, reply.seq_num, reply.order_id, static_cast<int>(reply.status),
                          static_cast<int>(reply.reason), reply.order_qty, reply.cum_qty, reply.leaves_qty, fills_of(reply), reply.value,
                          reply.limit);
  }
  nb::tuple operator()(const exchange::DepthFrame& frame) const {
    const exchange::Depth& depth = frame.depth;
    return nb::make_tuple("depth", frame.request_id, depth.seq_num, levels_of(depth.bids), levels_of(depth.asks), last_trade_of(depth),
                          static_cast<int>(depth.state), depth.limit_state ? 1 : 0, indicative_of(depth));
  }
  nb::tuple operator()(const exchange::LogonFrame& frame) const { return nb::make_tuple("logon", frame.request_id, text(frame.token)); }
};

nb::list feed(exchange::FrameDecoder& decoder, const nb::bytes& data) {
  decoder.feed(bytes_of(data));
  nb::list frames;
  while (const auto frame = decoder.next()) {
    frames.append(std::visit(FrameTuple{}, *frame));
  }
  if (decoder.bad()) {
    throw LinkError(decoder.error());
  }
  return frames;
}

nb::bytes encoded(const exchange::Frame& frame) {
  std::vector<std::uint8_t> out;
  if (!exchange::encode(frame, out)) {
    throw LinkError("a frame with a text or a list that is too long");
  }
  return nb::bytes(out.data(), out.size());
}

nb::bytes encode_new_order(std::uint64_t request_id, std::uint32_t firm, std::uint32_t instrument, std::uint8_t side, std::uint8_t ord_type,
                           std::uint8_t tif, std::int64_t price_ticks, std::int64_t qty, const std::string& cl_ord_id,
                           std::int64_t stop_price_ticks) {
  return encoded(
      exchange::NewOrderFrame{request_id, firm, instrument, side, ord_type, tif, price_ticks, qty, cl_ord_id, stop_price_ticks});
}

nb::bytes encode_control(std::uint64_t request_id, std::uint8_t kind, std::uint32_t firm, std::uint32_t instrument, std::int64_t price_ticks,
                         std::int64_t qty, std::int64_t stop_price_ticks, std::uint64_t order_id, std::uint8_t stp, std::uint8_t state) {
  return encoded(
      exchange::ControlFrame{request_id, kind, firm, instrument, price_ticks, qty, stop_price_ticks, order_id, stp, state});
}

nb::bytes encode_reply(std::uint64_t request_id, std::uint64_t seq_num, std::uint64_t order_id, std::uint8_t status, std::uint8_t reason,
                       std::int64_t order_qty, std::int64_t cum_qty, std::int64_t leaves_qty, const nb::sequence& fills, std::int64_t value,
                       std::int64_t limit) {
  exchange::ReplyFrame frame;
  frame.request_id = request_id;
  exchange::Reply& reply = frame.reply;
  reply.seq_num = seq_num;
  reply.order_id = order_id;
  reply.status = static_cast<exchange::OrdStatus>(status);
  reply.reason = static_cast<exchange::RejectReason>(reason);
  reply.order_qty = order_qty;
  reply.cum_qty = cum_qty;
  reply.leaves_qty = leaves_qty;
  reply.value = value;
  reply.limit = limit;
  for (const nb::handle item : fills) {
    reply.fills.push_back({nb::cast<std::uint64_t>(item[0]), nb::cast<std::int64_t>(item[1]), nb::cast<std::int64_t>(item[2]),
                           nb::cast<std::uint64_t>(item[3])});
  }
  return encoded(frame);
}

exchange::PriceQty price_qty_of(const nb::handle& item) { return {nb::cast<std::int64_t>(item[0]), nb::cast<std::int64_t>(item[1])}; }

nb::bytes encode_depth(std::uint64_t request_id, std::uint64_t seq_num, const nb::sequence& bids, const nb::sequence& asks,
                       const nb::object& last_trade, std::uint8_t state, bool limit_state, const nb::sequence& indicative) {
  exchange::DepthFrame frame;
  frame.request_id = request_id;
  frame.depth.seq_num = seq_num;
  for (const nb::handle level : bids) {
    frame.depth.bids.push_back(price_qty_of(level));
  }
  for (const nb::handle level : asks) {
    frame.depth.asks.push_back(price_qty_of(level));
  }
  if (!last_trade.is_none()) {
    frame.depth.last_trade = price_qty_of(last_trade);
  }
  frame.depth.state = static_cast<exchange::SessionState>(state);
  frame.depth.limit_state = limit_state;
  frame.depth.indicative = {nb::cast<std::int64_t>(indicative[0]), nb::cast<std::int64_t>(indicative[1]), nb::cast<std::int64_t>(indicative[2])};
  return encoded(frame);
}

void bind_commands(nb::module_& m) {
  m.def("encode_new_order", &encode_new_order, "request_id"_a, "firm"_a, "instrument"_a, "side"_a, "ord_type"_a, "tif"_a, "price_ticks"_a,
        "qty"_a, "cl_ord_id"_a, "stop_price_ticks"_a = 0);
  m.def(
      "encode_cancel",
      [](std::uint64_t request_id, std::uint32_t firm, std::uint64_t order_id) {
        return encoded(exchange::CancelFrame{request_id, firm, order_id});
      },
      "request_id"_a, "firm"_a, "order_id"_a);
  m.def(
      "encode_reduce",
      [](std::uint64_t request_id, std::uint32_t firm, std::uint64_t order_id, std::int64_t new_leaves_qty) {
        return encoded(exchange::ReduceFrame{request_id, firm, order_id, new_leaves_qty});
      },
      "request_id"_a, "firm"_a, "order_id"_a, "new_leaves_qty"_a);
  m.def(
      "encode_amend",
      [](std::uint64_t request_id, std::uint32_t firm, std::uint64_t order_id, std::int64_t price_ticks, std::int64_t qty,
         std::int64_t stop_price_ticks, std::uint32_t instrument) {
        return encoded(exchange::AmendFrame{request_id, firm, order_id, price_ticks, qty, stop_price_ticks, instrument});
      },
      "request_id"_a, "firm"_a, "order_id"_a, "price_ticks"_a, "qty"_a, "stop_price_ticks"_a, "instrument"_a = exchange::kAllInstruments);
  m.def("encode_control", &encode_control, "request_id"_a, "kind"_a, "firm"_a, "instrument"_a, "price_ticks"_a, "qty"_a,
        "stop_price_ticks"_a, "order_id"_a, "stp"_a, "state"_a);
  m.def(
      "encode_depth_request",
      [](std::uint64_t request_id, std::uint32_t instrument, std::uint32_t levels) {
        return encoded(exchange::DepthRequestFrame{request_id, instrument, levels});
      },
      "request_id"_a, "instrument"_a, "levels"_a);
}

}  // namespace

void bind_link(nb::module_& m) {
  nb::exception<LinkError> const link_error(m, "LinkError");
  m.attr("FRAME_MAX") = exchange::kFrameMax;
  m.def(
      "encode_hello",
      [](const std::string& name, std::uint64_t epoch, const std::string& key) { return encoded(exchange::HelloFrame{name, epoch, key}); },
      "name"_a, "epoch"_a, "key"_a = "");
  m.def(
      "encode_welcome",
      [](std::uint64_t epoch, std::uint64_t last_seq_num, std::uint64_t instruments_digest) {
        return encoded(exchange::WelcomeFrame{epoch, last_seq_num, instruments_digest});
      },
      "epoch"_a, "last_seq_num"_a, "instruments_digest"_a = 0);
  bind_commands(m);
  m.def(
      "encode_logon", [](std::uint64_t request_id, const std::string& token) { return encoded(exchange::LogonFrame{request_id, token}); },
      "request_id"_a, "token"_a);
  m.def("encode_reply", &encode_reply, "request_id"_a, "seq_num"_a, "order_id"_a, "status"_a, "reason"_a, "order_qty"_a, "cum_qty"_a,
        "leaves_qty"_a, "fills"_a, "value"_a = 0, "limit"_a = 0);
  m.def("encode_depth", &encode_depth, "request_id"_a, "seq_num"_a, "bids"_a, "asks"_a, "last_trade"_a.none(),
        "state"_a = static_cast<std::uint8_t>(exchange::SessionState::continuous), "limit_state"_a = false,
        "indicative"_a = nb::make_tuple(0, 0, 0));
  nb::class_<exchange::FrameDecoder>(m, "FrameDecoder").def(nb::init<>()).def("feed", &feed, "data"_a);
  m.def(
      "crc32c", [](const nb::bytes& data) { return exchange::crc32c(bytes_of(data)); }, "data"_a);
}
