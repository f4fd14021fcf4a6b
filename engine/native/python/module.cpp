// engine._core: the only file that knows Python. It converts values and names errors; it decides nothing.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cerrno>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "exchange/codec.hpp"
#include "exchange/core.hpp"
#include "exchange/crc32c.hpp"
#include "exchange/engine.hpp"

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

nb::tuple reply_tuple(const exchange::Reply& reply) {
  return nb::make_tuple(reply.seq_num, reply.order_id, static_cast<int>(reply.status), static_cast<int>(reply.reason), reply.order_qty,
                        reply.cum_qty, reply.leaves_qty, fills_of(reply));
}

// Turns each frame kind into the tuple that engine/_core.pyi describes.
struct FrameTuple {
  nb::tuple operator()(const exchange::HelloFrame& frame) const { return nb::make_tuple("hello", text(frame.name), frame.epoch, text(frame.key)); }
  nb::tuple operator()(const exchange::WelcomeFrame& frame) const {
    return nb::make_tuple("welcome", frame.epoch, frame.last_seq_num, frame.instruments_digest);
  }
  nb::tuple operator()(const exchange::NewOrderFrame& frame) const {
    return nb::make_tuple("new_order", frame.request_id, frame.firm, frame.instrument, frame.side, frame.ord_type, frame.tif,
                          frame.price_ticks, frame.qty, text(frame.cl_ord_id));
  }
  nb::tuple operator()(const exchange::CancelFrame& frame) const {
    return nb::make_tuple("cancel", frame.request_id, frame.firm, frame.order_id);
  }
  nb::tuple operator()(const exchange::ReduceFrame& frame) const {
    return nb::make_tuple("reduce", frame.request_id, frame.firm, frame.order_id, frame.new_leaves_qty);
  }
  nb::tuple operator()(const exchange::DepthRequestFrame& frame) const {
    return nb::make_tuple("depth_request", frame.request_id, frame.instrument, frame.levels);
  }
  nb::tuple operator()(const exchange::ReplyFrame& frame) const {
    const exchange::Reply& reply = frame.reply;
    return nb::make_tuple("reply", frame.request_id, reply.seq_num, reply.order_id, static_cast<int>(reply.status),
                          static_cast<int>(reply.reason), reply.order_qty, reply.cum_qty, reply.leaves_qty, fills_of(reply));
  }
  nb::tuple operator()(const exchange::DepthFrame& frame) const {
    return nb::make_tuple("depth", frame.request_id, frame.depth.seq_num, levels_of(frame.depth.bids), levels_of(frame.depth.asks),
                          last_trade_of(frame.depth));
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

nb::bytes encode_reply(std::uint64_t request_id, std::uint64_t seq_num, std::uint64_t order_id, std::uint8_t status, std::uint8_t reason,
                       std::int64_t order_qty, std::int64_t cum_qty, std::int64_t leaves_qty, const nb::sequence& fills) {
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
  for (const nb::handle item : fills) {
    reply.fills.push_back({nb::cast<std::uint64_t>(item[0]), nb::cast<std::int64_t>(item[1]), nb::cast<std::int64_t>(item[2]),
                           nb::cast<std::uint64_t>(item[3])});
  }
  return encoded(frame);
}

exchange::PriceQty price_qty_of(const nb::handle& item) { return {nb::cast<std::int64_t>(item[0]), nb::cast<std::int64_t>(item[1])}; }

nb::bytes encode_depth(std::uint64_t request_id, std::uint64_t seq_num, const nb::sequence& bids, const nb::sequence& asks,
                       const nb::object& last_trade) {
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
  return encoded(frame);
}

nb::tuple engine_new_order(exchange::Engine& engine, std::uint32_t firm, std::uint32_t instrument, std::uint8_t side, std::uint8_t ord_type,
                           std::uint8_t tif, std::int64_t price_ticks, std::int64_t qty, const std::string& cl_ord_id, std::int64_t ts_ns) {
  exchange::Command command;
  const auto parsed = exchange::ClOrdId::parse(cl_ord_id);
  // A kind that no command has: the engine itself refuses what the link would refuse.
  command.kind = parsed ? exchange::CommandKind::new_order : exchange::CommandKind{};
  command.side = static_cast<exchange::Side>(side);
  command.ord_type = static_cast<exchange::OrdType>(ord_type);
  command.tif = static_cast<exchange::TimeInForce>(tif);
  command.firm = firm;
  command.instrument = instrument;
  command.price_ticks = price_ticks;
  command.qty = qty;
  command.ts_ns = ts_ns;
  command.cl_ord_id = parsed.value_or(exchange::ClOrdId{});
  return reply_tuple(engine.apply(command));
}

nb::tuple engine_by_id(exchange::Engine& engine, exchange::CommandKind kind, std::uint32_t firm, std::uint64_t order_id, std::int64_t qty,
                       std::int64_t ts_ns) {
  exchange::Command command;
  command.kind = kind;
  command.firm = firm;
  command.order_id = order_id;
  command.qty = qty;
  command.ts_ns = ts_ns;
  return reply_tuple(engine.apply(command));
}

exchange::AckPolicy ack_policy_of(const std::string& name) {
  if (name == "memory") {
    return exchange::AckPolicy::memory;
  }
  if (name == "device") {
    return exchange::AckPolicy::device;
  }
  throw nb::value_error("ack_policy must be 'memory' or 'device'");
}

void make_core(exchange::Core* at, const std::string& log_dir, std::vector<std::int64_t> instrument_max_qty, const std::string& ack_policy,
               std::uint64_t epoch, std::uint64_t segment_records, std::uint64_t instruments_digest, const std::string& link_key) {
  if (link_key.size() > exchange::kMaxLinkKeyLength) {
    throw nb::value_error("link_key is longer than a hello can carry");
  }
  new (at) exchange::Core(
      {log_dir, std::move(instrument_max_qty), ack_policy_of(ack_policy), epoch, segment_records, instruments_digest, link_key});
}

nb::dict core_recover(exchange::Core& core) {
  exchange::RecoveryReport report;
  {
    const nb::gil_scoped_release released;
    report = core.recover();
  }
  nb::dict made;
  made["records"] = report.records;
  made["last_seq_num"] = report.last_seq_num;
  made["torn_records_cut"] = report.torn_records_cut;
  made["segments"] = report.segments;
  made["elapsed_us"] = report.elapsed_us;
  return made;
}

std::uint16_t core_listen(exchange::Core& core, const std::string& host, std::uint16_t port) {
  try {
    const nb::gil_scoped_release released;
    return core.listen(host, port);
  } catch (const std::system_error& error) {
    const nb::object args = nb::make_tuple(error.code().value(), error.what());
    PyErr_SetObject(PyExc_OSError, args.ptr());
    throw nb::python_error();
  }
}

nb::dict core_stats(const exchange::Core& core, bool with_state_hash) {
  exchange::CoreStats stats;
  {
    const nb::gil_scoped_release released;
    stats = core.stats(with_state_hash);
  }
  nb::dict made;
  made["seq_num"] = stats.seq_num;
  made["written_seq_num"] = stats.written_seq_num;
  made["durable_seq_num"] = stats.durable_seq_num;
  made["commands"] = stats.commands;
  made["trades"] = stats.trades;
  made["rejects"] = stats.rejects;
  made["queue_depth"] = stats.queue_depth;
  made["links"] = stats.links;
  made["live_orders"] = stats.live_orders;
  made["last_tick_ns"] = stats.last_tick_ns;
  made["log_healthy"] = stats.log_healthy ? 1 : 0;
  made["running"] = stats.running ? 1 : 0;
  made["epoch"] = stats.epoch;
  made["state_hash"] = stats.state_hash;
  return made;
}

void bind_engine(nb::module_& m) {
  nb::class_<exchange::Engine>(m, "Engine")
      .def(nb::init<std::vector<std::int64_t>, std::uint32_t>(), "instrument_max_qty"_a, "max_live_orders"_a = exchange::kMaxLiveOrders)
      .def("new_order", &engine_new_order, "firm"_a, "instrument"_a, "side"_a, "ord_type"_a, "tif"_a, "price_ticks"_a, "qty"_a,
           "cl_ord_id"_a, "ts_ns"_a)
      .def(
          "cancel",
          [](exchange::Engine& engine, std::uint32_t firm, std::uint64_t order_id, std::int64_t ts_ns) {
            return engine_by_id(engine, exchange::CommandKind::cancel, firm, order_id, 0, ts_ns);
          },
          "firm"_a, "order_id"_a, "ts_ns"_a)
      .def(
          "reduce",
          [](exchange::Engine& engine, std::uint32_t firm, std::uint64_t order_id, std::int64_t new_leaves_qty, std::int64_t ts_ns) {
            return engine_by_id(engine, exchange::CommandKind::reduce, firm, order_id, new_leaves_qty, ts_ns);
          },
          "firm"_a, "order_id"_a, "new_leaves_qty"_a, "ts_ns"_a)
      .def(
          "depth",
          [](const exchange::Engine& engine, std::uint32_t instrument, std::uint32_t levels) {
            const exchange::Depth depth = engine.depth(instrument, levels);
            return nb::make_tuple(levels_of(depth.bids), levels_of(depth.asks), last_trade_of(depth));
          },
          "instrument"_a, "levels"_a)
      .def("state_hash", &exchange::Engine::state_hash)
      .def("last_seq_num", &exchange::Engine::last_seq_num)
      .def("live_orders", &exchange::Engine::live_orders);
}

void bind_core(nb::module_& m) {
  nb::class_<exchange::Core>(m, "Core")
      .def("__init__", &make_core, nb::kw_only(), "log_dir"_a, "instrument_max_qty"_a, "ack_policy"_a = "device", "epoch"_a = 1,
           "segment_records"_a = 262144, "instruments_digest"_a = 0, "link_key"_a = "")
      .def("recover", &core_recover)
      .def("listen", &core_listen, "host"_a, "port"_a)
      .def("start", &exchange::Core::start)
      .def("stop", &exchange::Core::stop, nb::call_guard<nb::gil_scoped_release>())
      .def("stats", &core_stats, "with_state_hash"_a = true);
}

void bind_link(nb::module_& m) {
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
  m.def(
      "encode_new_order",
      [](std::uint64_t request_id, std::uint32_t firm, std::uint32_t instrument, std::uint8_t side, std::uint8_t ord_type, std::uint8_t tif,
         std::int64_t price_ticks, std::int64_t qty, const std::string& cl_ord_id) {
        return encoded(exchange::NewOrderFrame{request_id, firm, instrument, side, ord_type, tif, price_ticks, qty, cl_ord_id});
      },
      "request_id"_a, "firm"_a, "instrument"_a, "side"_a, "ord_type"_a, "tif"_a, "price_ticks"_a, "qty"_a, "cl_ord_id"_a);
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
      "encode_depth_request",
      [](std::uint64_t request_id, std::uint32_t instrument, std::uint32_t levels) {
        return encoded(exchange::DepthRequestFrame{request_id, instrument, levels});
      },
      "request_id"_a, "instrument"_a, "levels"_a);
  m.def(
      "encode_logon", [](std::uint64_t request_id, const std::string& token) { return encoded(exchange::LogonFrame{request_id, token}); },
      "request_id"_a, "token"_a);
  m.def("encode_reply", &encode_reply, "request_id"_a, "seq_num"_a, "order_id"_a, "status"_a, "reason"_a, "order_qty"_a, "cum_qty"_a,
        "leaves_qty"_a, "fills"_a);
  m.def("encode_depth", &encode_depth, "request_id"_a, "seq_num"_a, "bids"_a, "asks"_a, "last_trade"_a.none());
  nb::class_<exchange::FrameDecoder>(m, "FrameDecoder").def(nb::init<>()).def("feed", &feed, "data"_a);
  m.def(
      "crc32c", [](const nb::bytes& data) { return exchange::crc32c(bytes_of(data)); }, "data"_a);
}

}  // namespace

NB_MODULE(_core, m) {
  nb::exception<exchange::LogError> const log_error(m, "LogError");
  nb::exception<LinkError> const link_error(m, "LinkError");
  bind_engine(m);
  bind_core(m);
  bind_link(m);
}
