// What the kinds of orders have and may.
#pragma once

#include "exchange/types.hpp"

namespace exchange {

[[nodiscard]] constexpr bool is_stop(OrdType type) noexcept { return type == OrdType::stop || type == OrdType::stop_limit; }
[[nodiscard]] constexpr bool has_price(OrdType type) noexcept { return type == OrdType::limit || type == OrdType::stop_limit; }
[[nodiscard]] constexpr bool may_wait(TimeInForce tif) noexcept { return tif == TimeInForce::day || tif == TimeInForce::gtc; }
[[nodiscard]] constexpr bool is_price(Price price) noexcept { return price >= 1 && price <= kMaxPriceTicks; }

}  // namespace exchange
