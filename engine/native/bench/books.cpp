// Operations a second of the engine and of the textbook's book, on the same flow, in turns.
#include "exchange/engine.hpp"
#include "flow.hpp"
#include "map_book.hpp"
#include "program.hpp"

namespace bench {

using exchange::Command;
using exchange::Engine;
using exchange::Report;

namespace {

constexpr std::size_t kBatch = 256;

void hash_trades(std::span<const Report> reports, TradeHash& hash) noexcept {
  for (const Report& report : reports) {
    if (report.exec_type == exchange::ExecType::trade && report.liquidity == exchange::Liquidity::taker) {
      hash.add(report.last_px_ticks, report.last_qty, report.contra_order_id, report.order_id);
    }
  }
}

void apply_each(Engine& engine, const std::vector<Command>& commands, TradeHash& hash) {
  for (const Command& command : commands) {
    hash_trades(engine.apply(command), hash);
  }
}

void apply_in_batches(Engine& engine, const std::vector<Command>& commands, TradeHash& hash) {
  const std::span<const Command> all(commands);
  for (std::size_t at = 0; at < all.size(); at += kBatch) {
    hash_trades(engine.apply_batch(all.subspan(at, std::min(kBatch, all.size() - at))), hash);
  }
}

void apply_map(MapVenue& book, const std::vector<Command>& commands, TradeHash& hash) {
  for (const Command& command : commands) {
    book.apply(command, [&hash](auto price, auto qty, auto maker, auto taker) { hash.add(price, qty, maker, taker); });
  }
}

void same(const TradeHash& hash, const Flow& flow, const char* whose) {
  need(hash == flow.hash, std::string(whose) + " did not make the flow's trades: " + std::to_string(hash.trades()) + " of " +
                              std::to_string(flow.hash.trades()));
}

enum class Way : std::uint8_t { each, batches };

// Operations a second.
double engine_rate(const Flow& flow, const exchange::EngineConfig& config, Way way) {
  Engine engine(config);
  TradeHash hash;
  apply_each(engine, flow.preload, hash);
  const double took = seconds([&] {
    if (way == Way::each) {
      apply_each(engine, flow.ops, hash);
    } else {
      apply_in_batches(engine, flow.ops, hash);
    }
  });
  same(hash, flow, "the engine");
  need(engine.live_orders() == flow.live_at_end,
       "the engine has " + std::to_string(engine.live_orders()) + " live orders, the flow " + std::to_string(flow.live_at_end));
  return static_cast<double>(flow.ops.size()) / took;
}

double map_rate(const Flow& flow, const Shape& shape) {
  MapVenue book(shape.instruments);
  TradeHash hash;
  apply_map(book, flow.preload, hash);
  const double took = seconds([&] { apply_map(book, flow.ops, hash); });
  same(hash, flow, "the std::map book");
  return static_cast<double>(flow.ops.size()) / took;
}

void describe(const Flow& flow, Json& json) {
  json.put("ops", std::uint64_t{flow.ops.size()}).put("adds", flow.adds).put("cancels", flow.cancels).put("too_late", flow.too_late);
  json.put("crossing", flow.crossing).put("trades", flow.hash.trades()).put("trade_hash", hex(flow.hash.value()));
  json.put("live_at_end", flow.live_at_end).put("levels_at_end", flow.levels_at_end);
}

Json compare(const Shape& shape, const Options& options) {
  const Flow flow = make_flow(shape);
  std::vector<double> batches;
  std::vector<double> each;
  std::vector<double> map;
  for (unsigned run = 0; run < options.runs; ++run) {
    batches.push_back(engine_rate(flow, rules(shape, true), Way::batches));
    each.push_back(engine_rate(flow, rules(shape, true), Way::each));
    map.push_back(map_rate(flow, shape));
  }
  Json json;
  describe(flow, json);
  return json.put("batch_per_s", batches).put("apply_per_s", each).put("map_per_s", map);
}

// Ns an order of the same flow, and of one order that rests at an empty price and its cancel, over and over.
double micro_ns(const exchange::EngineConfig& config, std::uint64_t orders) {
  Engine engine(config);
  Command add;
  add.firm = 1;
  add.side = exchange::Side::buy;
  add.price_ticks = one_book().middle;
  add.qty = 1;
  Command cancel = add;
  cancel.kind = exchange::CommandKind::cancel;
  const double took = seconds([&] {
    for (std::uint64_t i = 1; i <= orders; ++i) {
      add.ts_ns += 1'000;
      cancel.ts_ns = add.ts_ns;
      cancel.order_id = i;
      static_cast<void>(engine.apply(add));
      static_cast<void>(engine.apply(cancel));
    }
  });
  need(engine.live_orders() == 0 && engine.last_exec_id() == 2 * orders, "an order of the micro row was refused");
  return took * 1e9 / static_cast<double>(orders);
}

}  // namespace

Json one_book(const Options& options) { return compare(sized(one_book(), options), options); }

Json many_books(const Options& options) { return compare(sized(many_books(), options), options); }

Json risk(const Options& options) {
  const Shape shape = sized(one_book(), options);
  const Flow flow = make_flow(shape);
  const auto orders = static_cast<double>(flow.adds + flow.crossing);
  const auto ops = static_cast<double>(flow.ops.size());
  std::vector<double> on;
  std::vector<double> off;
  std::vector<double> micro_on;
  std::vector<double> micro_off;
  for (unsigned run = 0; run < options.runs; ++run) {
    on.push_back(1e9 * ops / engine_rate(flow, rules(shape, true), Way::each) / orders);
    off.push_back(1e9 * ops / engine_rate(flow, rules(shape, false), Way::each) / orders);
    micro_on.push_back(micro_ns(rules(shape, true), shape.ops / 2));
    micro_off.push_back(micro_ns(rules(shape, false), shape.ops / 2));
  }
  Json json;
  json.put("on_ns", on).put("off_ns", off).put("micro_on_ns", micro_on).put("micro_off_ns", micro_off);
  return json.put("orders", orders);
}

Json write_flows(const Options& options) {
  for (const auto& [name, shape] : {std::pair{"one_book", one_book()}, std::pair{"many_books", many_books()}}) {
    write_flow(make_flow(shape), options.dir + '/' + name + ".flow");
  }
  return {};
}

}  // namespace bench
