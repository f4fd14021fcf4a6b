// Any bytes as commands for the engine: no crash, no crossed book in continuous trading, quantities that add up, nothing
// lost by saving and loading, and the same bytes give the same state twice.
#include <algorithm>
#include <cstring>
#include <map>

#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/engine.hpp"

namespace {

using namespace exchange;

EngineConfig config() {
  EngineConfig made;
  made.instruments = {{.max_qty = 100}, {.max_qty = kMaxOrderQty, .reference_ticks = 100, .luld_bps = 800, .collar_bps = 500, .fat_finger_pct = 200}};
  made.default_limits = {.position_limit = 5'000, .rate_per_s = 1'000, .burst = 50, .stp = StpMode::decrement};
  made.max_live_orders = 20;
  made.limit_state_ns = 30;
  made.halt_ns = 60;
  return made;
}

Command next_command(ByteReader& from, TimeNs& now) {
  Command command;
  const auto what = from.get<std::uint8_t>();
  command.kind = static_cast<CommandKind>(what < 160 ? 1 + what % 4 : what % 14);
  const auto bits = from.get<std::uint8_t>();
  command.side = static_cast<Side>(bits % 4);
  command.ord_type = static_cast<OrdType>((bits >> 2U) % 6);
  command.tif = static_cast<TimeInForce>((bits >> 5U) % 6);
  const auto more = from.get<std::uint8_t>();
  command.stp = static_cast<StpMode>(more % 5);
  command.state = static_cast<SessionState>(more % 7);
  command.firm = more % 3U;
  const bool unnamed = more >= 250 || (command.kind == CommandKind::amend && more % 2 == 0);
  command.instrument = unnamed ? kAllInstruments : (more / 8U) % 3U;
  // Mostly close prices, now and then one from the whole range.
  command.price_ticks = what >= 250 ? from.get<Price>() : Price{from.get<std::uint8_t>()} * ((what % 7) == 0 ? 1000 : 1);
  command.stop_price_ticks = what >= 252 ? from.get<Price>() : from.get<std::uint8_t>();
  command.qty = what >= 253 ? from.get<Qty>() : from.get<std::uint8_t>();
  command.order_id = what >= 254 ? from.get<OrderId>() : from.get<std::uint8_t>() % 64U;
  now += from.get<std::uint8_t>();
  command.ts_ns = what >= 254 ? from.get<TimeNs>() % (TimeNs{1} << 60U) : now;
  if (what % 3 == 0) {
    command.cl_ord_id = ClOrdId::parse(from.get_bytes(from.get<std::uint8_t>() % 3U)).value_or(ClOrdId{});
  }
  return command;
}

void check_reports(std::span<const Report> reports) {
  for (const Report& report : reports) {
    const bool of_order = report.order_id != 0 && report.exec_type != ExecType::cancel_rejected && report.exec_type != ExecType::rejected;
    CHECK(report.ord_status != OrdStatus::rejected || report.reason != RejectReason::none);
    if (of_order) {
      CHECK(report.leaves_qty >= 0 && report.cum_qty >= 0 && report.cum_qty + report.leaves_qty <= report.order_qty);
      CHECK(report.exec_type != ExecType::trade || (report.last_qty > 0 && report.last_px_ticks > 0));
    }
  }
}

void check_books(const Engine& engine) {
  Qty net = 0;
  std::map<std::pair<FirmId, InstrumentId>, std::pair<Qty, Qty>> open;
  for (InstrumentId instrument = 0; instrument < engine.instruments(); ++instrument) {
    const Depth depth = engine.depth(instrument, 1000);
    const bool crossed = !depth.bids.empty() && !depth.asks.empty() && depth.bids[0].price_ticks >= depth.asks[0].price_ticks;
    CHECK(!crossed || depth.state != SessionState::continuous);
    engine.each_order(instrument, [&](const Engine::OrderView& order) {
      auto& sums = open[{order.firm, instrument}];
      (order.side == Side::buy ? sums.first : sums.second) += order.leaves_qty;
    });
  }
  engine.each_position([&](const Engine::PositionView& position) {
    net += position.bought - position.sold;
    const auto sums = open[{position.firm, position.instrument}];
    CHECK(position.open_buy == sums.first && position.open_sell == sums.second);
  });
  CHECK(net == 0);
}

std::uint64_t run(std::span<const std::uint8_t> bytes, bool reload) {
  Engine engine(config());
  ByteReader from(bytes);
  TimeNs now = 0;
  for (std::size_t i = 0; from.remaining() > 0 && from.ok(); ++i) {
    check_reports(engine.apply(next_command(from, now)));
    check_books(engine);
    CHECK(engine.live_orders() <= 20);
    if (reload && i % 16 == 5) {
      std::vector<std::uint8_t> saved;
      engine.save([&saved](std::span<const std::uint8_t> piece) { saved.insert(saved.end(), piece.begin(), piece.end()); });
      std::span<const std::uint8_t> left(saved);
      Engine again(config());
      again.load([&left](std::span<std::uint8_t> piece) {
        const std::size_t count = std::min(piece.size(), left.size());
        std::memcpy(piece.data(), left.data(), count);
        left = left.subspan(count);
        return count;
      });
      CHECK(again.state_hash() == engine.state_hash());
      engine = std::move(again);
    }
  }
  return engine.state_hash();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  CHECK(run(bytes, false) == run(bytes, true));
  return 0;
}
