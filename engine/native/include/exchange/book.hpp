// One instrument's book in price-time priority: best price first, oldest order first inside a price.
//
// The book moves orders and nothing else. Who may do what, ids, refusals and counters belong to Engine.
#pragma once

#include <optional>
#include <vector>

#include "exchange/digest.hpp"
#include "exchange/ladder.hpp"
#include "exchange/slab.hpp"
#include "exchange/types.hpp"

namespace exchange {

// One match of an incoming order with the oldest order of the best price.
struct Match {
  OrderId maker_order_id = 0;
  Price price_ticks = 0;
  Qty qty = 0;
  bool maker_done = false;
};

class Book {
 public:
  explicit Book(Slab& slab) noexcept : slab_(&slab) {}

  // True when `qty` can be traded whole, at once, within `limit` (nothing: at any price). Changes nothing.
  [[nodiscard]] bool can_fill(Side taker, std::optional<Price> limit, Qty qty) const noexcept;
  // Trades up to `qty`, appending to `matches`; returns what is left. Makers that are done leave the slab.
  Qty match(Side taker, std::optional<Price> limit, Qty qty, std::vector<Match>& matches);
  // Puts an order at the end of its level's queue.
  OrderSlot rest(const RestingOrder& order);
  // Takes an order out, whole.
  void remove(OrderSlot slot) noexcept;
  // Lowers an order's leaves_qty in place: it keeps its priority. Needs 0 < new_leaves < leaves.
  void reduce(OrderSlot slot, Qty new_leaves) noexcept;

  // The `limit` best levels of one side.
  [[nodiscard]] std::vector<PriceQty> levels(Side side, std::size_t limit) const;
  [[nodiscard]] std::optional<PriceQty> last_trade() const noexcept { return last_trade_; }
  // Every resting order in priority order, each level's sum, and the last trade.
  void digest(Digest& into) const noexcept;

 private:
  [[nodiscard]] Ladder& ladder(Side side) noexcept { return side == Side::buy ? buys_ : sells_; }
  [[nodiscard]] const Ladder& ladder(Side side) const noexcept { return side == Side::buy ? buys_ : sells_; }
  void unlink(Level& level, OrderSlot slot) noexcept;
  void digest_side(Side side, Digest& into) const noexcept;
  Qty match_level(Level& level, Qty qty, std::vector<Match>& matches);

  Slab* slab_;
  Ladder buys_;
  Ladder sells_;
  std::optional<PriceQty> last_trade_;
};

}  // namespace exchange
