// A matching engine in 30 lines of C++: two firms, three sells, one buy. Built and run by the tests.
#include <cstdio>

#include "exchange/engine.hpp"

int main() {
  exchange::EngineConfig config;
  config.instruments.push_back({.max_qty = 10'000});
  exchange::Engine engine(config);

  exchange::Command order;
  order.firm = 1;
  order.side = exchange::Side::sell;
  order.qty = 100;
  for (const exchange::Price price : {1001, 1002, 1003}) {
    order.price_ticks = price;
    engine.apply(order);
  }
  order.firm = 2;
  order.side = exchange::Side::buy;
  order.tif = exchange::TimeInForce::ioc;
  order.price_ticks = 1002;
  order.qty = 250;
  for (const exchange::Report& report : engine.apply(order)) {
    if (report.exec_type == exchange::ExecType::trade) {
      std::printf("order %llu: %lld at %d\n", static_cast<unsigned long long>(report.order_id), static_cast<long long>(report.last_qty),
                  report.last_px_ticks);
    }
  }
  std::printf("asks left: %zu levels\n", engine.depth(0, 10).asks.size());
}
