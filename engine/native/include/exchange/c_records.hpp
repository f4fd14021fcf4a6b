// Commands as C and numpy hand them over.
#pragma once

#include "exchange/exchange.h"
#include "exchange/types.hpp"

namespace exchange {

// A cl_ord_id that is none, or a reserved byte in use, makes a command of no kind, which the engine refuses as BAD_COMMAND.
[[nodiscard]] inline Command command_of(const exch_command& from) noexcept {
  Command made;
  const std::size_t length = from.cl_ord_id_length;
  const auto parsed = length <= sizeof from.cl_ord_id ? ClOrdId::parse({from.cl_ord_id, length}) : std::nullopt;
  made.kind = parsed && from.reserved == 0 ? static_cast<CommandKind>(from.kind) : CommandKind{};
  made.side = static_cast<Side>(from.side);
  made.ord_type = static_cast<OrdType>(from.ord_type);
  made.tif = static_cast<TimeInForce>(from.tif);
  made.stp = static_cast<StpMode>(from.stp);
  made.state = static_cast<SessionState>(from.state);
  made.firm = from.firm;
  made.instrument = from.instrument;
  made.price_ticks = from.price_ticks;
  made.qty = from.qty;
  made.stop_price_ticks = from.stop_price_ticks;
  made.order_id = from.order_id;
  made.ts_ns = from.ts_ns;
  made.cl_ord_id = parsed.value_or(ClOrdId{});
  return made;
}

}  // namespace exchange
