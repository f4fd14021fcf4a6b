// The instruments that figures are taken with: a wrong one would make every figure wrong.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "../bench/flow.hpp"
#include "../bench/histogram.hpp"
#include "../bench/map_book.hpp"
#include "check.hpp"
#include "exchange/engine.hpp"
#include "support.hpp"

namespace {

bench::Shape small(std::uint32_t instruments) {
  bench::Shape shape;
  shape.instruments = instruments;
  shape.preload = 2'000;
  shape.ops = 20'000;
  shape.levels = 60;
  shape.middle = 5'000;
  return shape;
}

bench::TradeHash trades_of_engine(const bench::Flow& flow, const exchange::EngineConfig& config) {
  exchange::Engine engine(config);
  bench::TradeHash hash;
  for (const std::vector<exchange::Command>* part : {&flow.preload, &flow.ops}) {
    for (const exchange::Command& command : *part) {
      for (const exchange::Report& report : engine.apply(command)) {
        CHECK(report.exec_type != exchange::ExecType::rejected);
        if (report.exec_type == exchange::ExecType::trade && report.liquidity == exchange::Liquidity::taker) {
          hash.add(report.last_px_ticks, report.last_qty, report.contra_order_id, report.order_id);
        }
      }
    }
  }
  CHECK(engine.live_orders() == flow.live_at_end);
  return hash;
}

}  // namespace

TEST("a histogram's quantiles are those of the sorted values, to three digits") {
  support::Random random(7);
  bench::Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random.below(std::uint64_t{1} << (1 + random.below(40))));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const std::uint64_t per_million : {1U, 10'000U, 500'000U, 990'000U, 999'000U, 1'000'000U}) {
    const std::uint64_t rank = std::max<std::uint64_t>(1, (values.size() * per_million + 999'999) / 1'000'000);
    const std::uint64_t wanted = values[rank - 1];
    const std::uint64_t found = histogram.quantile(per_million);
    CHECK(found >= wanted && found - wanted <= wanted / 1'000);
  }
  CHECK(histogram.count() == values.size());
  CHECK(histogram.max() == values.back());
}

TEST("an empty histogram answers zero, and two added have the values of both") {
  bench::Histogram one;
  CHECK(one.quantile(500'000) == 0 && one.max() == 0);
  bench::Histogram other;
  one.record(3);
  other.record(5'000'000);
  one.add(other);
  CHECK(one.count() == 2 && one.quantile(500'000) == 3 && one.max() == 5'000'000);
}

TEST("a flow is refused nowhere, and engine and std::map book make the same trades of it") {
  for (const std::uint32_t instruments : {1U, 50U}) {
    const bench::Shape shape = small(instruments);
    const bench::Flow flow = bench::make_flow(shape);
    CHECK(flow.hash.trades() > 1'000 && flow.too_late > 100);
    CHECK(trades_of_engine(flow, bench::rules(shape, true)) == flow.hash);
    CHECK(trades_of_engine(flow, bench::rules(shape, false)) == flow.hash);
    bench::MapVenue book(instruments);
    bench::TradeHash hash;
    for (const std::vector<exchange::Command>* part : {&flow.preload, &flow.ops}) {
      for (const exchange::Command& command : *part) {
        book.apply(command, [&hash](auto price, auto qty, auto maker, auto taker) { hash.add(price, qty, maker, taker); });
      }
    }
    CHECK(hash == flow.hash && book.live_orders() == flow.live_at_end);
  }
}

TEST("the same seed makes the same flow, another one another") {
  bench::Shape shape = small(3);
  const bench::Flow first = bench::make_flow(shape);
  CHECK(bench::make_flow(shape).hash == first.hash);
  shape.cl_ord_ids = true;
  CHECK(bench::make_flow(shape).hash == first.hash);
  shape.seed += 1;
  CHECK(!(bench::make_flow(shape).hash == first.hash));
}

TEST("a trade hash tells apart what differs in one field or in the order") {
  bench::TradeHash one;
  one.add(100, 5, 1, 2);
  one.add(101, 5, 3, 2);
  bench::TradeHash other;
  other.add(101, 5, 3, 2);
  other.add(100, 5, 1, 2);
  CHECK(!(one == other) && one.trades() == other.trades());
}
