// Any bytes as commands for the engine: no crash, no crossed book, no order traded past its quantity, and the same
// bytes give the same state twice.
#include <algorithm>

#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/engine.hpp"

namespace {

using namespace exchange;

constexpr InstrumentId kInstruments = 2;

Command next_command(ByteReader& from) {
  Command command;
  const auto what = from.get<std::uint8_t>();
  command.kind = static_cast<CommandKind>(what % 5);
  command.side = static_cast<Side>(from.get<std::uint8_t>() % 4);
  command.ord_type = static_cast<OrdType>(from.get<std::uint8_t>() % 4);
  command.tif = static_cast<TimeInForce>(from.get<std::uint8_t>() % 6);
  command.firm = from.get<std::uint8_t>() % 3U;
  command.instrument = from.get<std::uint8_t>() % (kInstruments + 1);
  // Mostly close prices, now and then one from the whole range.
  command.price_ticks = what >= 250 ? from.get<Price>() : Price{from.get<std::uint8_t>()} * ((what % 7) == 0 ? 1000 : 1);
  command.qty = what >= 253 ? from.get<Qty>() : from.get<std::uint8_t>();
  command.order_id = from.get<std::uint8_t>() % 64U;
  if (what % 3 == 0) {
    command.cl_ord_id = ClOrdId::parse(from.get_bytes(from.get<std::uint8_t>() % 3U)).value_or(ClOrdId{});
  }
  return command;
}

void check_reply(const Reply& reply) {
  Qty traded = 0;
  for (const Fill& fill : reply.fills) {
    CHECK(fill.qty > 0);
    traded += fill.qty;
  }
  if (reply.status == OrdStatus::rejected) {
    CHECK(reply.reason != RejectReason::none && reply.fills.empty());
  } else {
    CHECK(reply.leaves_qty >= 0 && reply.cum_qty + reply.leaves_qty <= reply.order_qty && traded <= reply.cum_qty);
  }
}

void check_books(const Engine& engine) {
  for (InstrumentId instrument = 0; instrument < kInstruments; ++instrument) {
    const Depth depth = engine.depth(instrument, 1000);
    CHECK(depth.bids.empty() || depth.asks.empty() || depth.bids[0].price_ticks < depth.asks[0].price_ticks);
    for (const auto* side : {&depth.bids, &depth.asks}) {
      CHECK(std::all_of(side->begin(), side->end(), [](const PriceQty& level) { return level.qty > 0; }));
    }
  }
}

std::uint64_t run(std::span<const std::uint8_t> bytes) {
  Engine engine({100, 200}, 20);
  ByteReader from(bytes);
  while (from.remaining() > 0 && from.ok()) {
    check_reply(engine.apply(next_command(from)));
    check_books(engine);
    CHECK(engine.live_orders() <= 20);
  }
  return engine.state_hash();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  CHECK(run(bytes) == run(bytes));
  return 0;
}
