// engine._core.Engine: the state machine by itself. Converts values; decides nothing.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "convert.hpp"
#include "exchange/c_records.hpp"
#include "exchange/engine.hpp"
#include "exchange/exchange.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

nb::tuple report_tuple(const exchange::Report& r) {
  return nb::make_tuple(r.exec_id, r.seq_num, r.order_id, r.trade_id, r.contra_order_id, r.firm, r.instrument, static_cast<int>(r.exec_type),
                        static_cast<int>(r.ord_status), static_cast<int>(r.reason), static_cast<int>(r.side), static_cast<int>(r.ord_type),
                        static_cast<int>(r.tif), static_cast<int>(r.liquidity), r.stop_price_ticks, r.price_ticks, r.last_px_ticks, r.last_qty,
                        r.order_qty, r.cum_qty, r.leaves_qty, r.cum_notional, r.value, r.limit);
}

nb::list apply(exchange::Engine& engine, std::uint8_t kind, std::uint8_t side, std::uint8_t ord_type, std::uint8_t tif, std::uint8_t stp,
               std::uint8_t state, std::uint32_t firm, std::uint32_t instrument, std::int64_t price_ticks, std::int64_t qty,
               std::int64_t stop_price_ticks, std::uint64_t order_id, std::int64_t ts_ns, const std::string& cl_ord_id) {
  exchange::Command command;
  const auto parsed = exchange::ClOrdId::parse(cl_ord_id);
  // A kind that no command has: the engine itself refuses what the link would refuse.
  command.kind = parsed ? static_cast<exchange::CommandKind>(kind) : exchange::CommandKind{};
  command.side = static_cast<exchange::Side>(side);
  command.ord_type = static_cast<exchange::OrdType>(ord_type);
  command.tif = static_cast<exchange::TimeInForce>(tif);
  command.stp = static_cast<exchange::StpMode>(stp);
  command.state = static_cast<exchange::SessionState>(state);
  command.firm = firm;
  command.instrument = instrument;
  command.price_ticks = price_ticks;
  command.qty = qty;
  command.stop_price_ticks = stop_price_ticks;
  command.order_id = order_id;
  command.ts_ns = ts_ns;
  command.cl_ord_id = parsed.value_or(exchange::ClOrdId{});
  nb::list made;
  for (const exchange::Report& report : engine.apply(command)) {
    made.append(report_tuple(report));
  }
  return made;
}

using Bytes = nb::ndarray<nb::numpy, const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using MadeBytes = nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>>;

// Commands as the bytes of exch_command, reports as those of exch_report; Python gives both their names.
MadeBytes apply_batch(exchange::Engine& engine, const Bytes& commands) {
  if (commands.size() % sizeof(exch_command) != 0) {
    throw nb::value_error("commands must be whole records");
  }
  auto reports = std::make_unique<std::vector<exchange::Report>>();
  {
    const nb::gil_scoped_release released;
    const std::size_t count = commands.size() / sizeof(exch_command);
    constexpr std::size_t kAtOnce = 256;
    std::vector<exchange::Command> batch;
    batch.reserve(std::min(count, kAtOnce));
    for (std::size_t at = 0; at < count; at += kAtOnce) {
      batch.clear();
      for (std::size_t i = at; i < std::min(count, at + kAtOnce); ++i) {
        exch_command one;
        std::memcpy(&one, commands.data() + i * sizeof one, sizeof one);
        batch.push_back(exchange::command_of(one));
      }
      const std::span<const exchange::Report> made = engine.apply_batch(batch);
      reports->insert(reports->end(), made.begin(), made.end());
    }
  }
  std::vector<exchange::Report>* const made = reports.release();
  const nb::capsule owner(made, [](void* at) noexcept { delete static_cast<std::vector<exchange::Report>*>(at); });
  return MadeBytes(made->data(), {made->size() * sizeof(exchange::Report)}, owner);
}

nb::list levels_of(const std::vector<exchange::PriceQty>& levels) {
  nb::list made;
  for (const exchange::PriceQty& level : levels) {
    made.append(nb::make_tuple(level.price_ticks, level.qty));
  }
  return made;
}

nb::tuple indicative_tuple(const exchange::Indicative& from) { return nb::make_tuple(from.price_ticks, from.qty, from.imbalance); }

nb::tuple depth(const exchange::Engine& engine, std::uint32_t instrument, std::uint32_t levels) {
  const exchange::Depth found = engine.depth(instrument, levels);
  const nb::object last =
      found.last_trade ? nb::object(nb::make_tuple(found.last_trade->price_ticks, found.last_trade->qty)) : nb::object(nb::none());
  return nb::make_tuple(levels_of(found.bids), levels_of(found.asks), last, static_cast<int>(found.state), found.limit_state,
                        indicative_tuple(found.indicative));
}

nb::list orders(const exchange::Engine& engine, std::uint32_t instrument) {
  nb::list made;
  engine.each_order(instrument, [&made](const exchange::Engine::OrderView& o) {
    made.append(nb::make_tuple(o.order_id, o.firm, o.instrument, static_cast<int>(o.side), static_cast<int>(o.ord_type), static_cast<int>(o.tif),
                               o.untriggered, o.price_ticks, o.stop_price_ticks, o.leaves_qty, o.cum_qty, o.cum_notional));
  });
  return made;
}

nb::list positions(const exchange::Engine& engine) {
  nb::list made;
  engine.each_position([&made](const exchange::Engine::PositionView& p) {
    made.append(
        nb::make_tuple(p.firm, p.instrument, p.net, p.open_buy, p.open_sell, p.bought, p.sold, p.cash, p.maker_qty, p.taker_qty));
  });
  return made;
}

nb::bytes save(const exchange::Engine& engine) {
  std::string made;
  engine.save([&made](std::span<const std::uint8_t> piece) { made.append(reinterpret_cast<const char*>(piece.data()), piece.size()); });
  return nb::bytes(made.data(), made.size());
}

std::unique_ptr<exchange::Engine> load(const nb::handle& config, const nb::bytes& saved) {
  auto made = std::make_unique<exchange::Engine>(binding::config_of(config));
  std::size_t at = 0;
  try {
    made->load([&](std::span<std::uint8_t> piece) {
      const std::size_t count = std::min(piece.size(), saved.size() - at);
      std::memcpy(piece.data(), static_cast<const std::uint8_t*>(saved.data()) + at, count);
      at += count;
      return count;
    });
  } catch (const std::runtime_error& error) {
    throw nb::value_error(error.what());
  }
  return made;
}

}  // namespace

void bind_engine(nb::module_& m) {
  m.attr("COMMAND_SIZE") = sizeof(exch_command);
  m.attr("REPORT_SIZE") = sizeof(exch_report);
  nb::class_<exchange::Engine>(m, "Engine")
      .def(
          "__init__", [](exchange::Engine* at, const nb::handle& config) { new (at) exchange::Engine(binding::config_of(config)); }, "config"_a)
      .def("apply", &apply, "kind"_a, "side"_a = 1, "ord_type"_a = 2, "tif"_a = 0, "stp"_a = 0, "state"_a = 0, "firm"_a = 0,
           "instrument"_a = 0, "price_ticks"_a = 0, "qty"_a = 0, "stop_price_ticks"_a = 0, "order_id"_a = 0, "ts_ns"_a = 0, "cl_ord_id"_a = "")
      .def("apply_batch", &apply_batch, nb::arg("commands").noconvert())  // or floats would be taken for bytes
      .def("depth", &depth, "instrument"_a, "levels"_a)
      .def(
          "indicative", [](const exchange::Engine& engine, std::uint32_t i) { return indicative_tuple(engine.indicative(i)); }, "instrument"_a)
      .def("orders", &orders, "instrument"_a)
      .def("positions", &positions)
      .def("save", &save)
      .def_static("load", &load, "config"_a, "saved"_a)
      .def("next_timer_ns", &exchange::Engine::next_timer_ns)
      .def("state_hash", &exchange::Engine::state_hash)
      .def("config_digest", &exchange::Engine::config_digest)
      .def("last_seq_num", &exchange::Engine::last_seq_num)
      .def("now_ns", &exchange::Engine::now_ns)
      .def("trades", &exchange::Engine::trades)
      .def("live_orders", &exchange::Engine::live_orders);
}
