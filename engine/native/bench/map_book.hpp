// The book of the textbooks, to measure beside ours: std::map of prices, std::list of orders, std::unordered_map of ids.
// Price-time priority, limit and market orders, DAY and IOC, cancel with its owner checked. No risk checks, no log,
// no reports but the trades: whatever it leaves out makes it faster.
#pragma once

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

#include "exchange/types.hpp"

namespace bench {

class MapVenue {
 public:
  explicit MapVenue(std::size_t instruments) : books_(instruments) {}

  // Calls on_trade(price, qty, maker id, taker id) for each trade.
  template <typename OnTrade>
  void apply(const exchange::Command& command, OnTrade&& on_trade) {
    if (command.kind == exchange::CommandKind::cancel) {
      cancel(command);
    } else if (command.side == exchange::Side::buy) {
      Book& book = books_[command.instrument];
      add(command, book.bids, book.asks, on_trade);
    } else {
      Book& book = books_[command.instrument];
      add(command, book.asks, book.bids, on_trade);
    }
  }

  // 0 on an empty side.
  [[nodiscard]] exchange::Price best_bid(exchange::InstrumentId instrument) const {
    const Bids& bids = books_[instrument].bids;
    return bids.empty() ? 0 : bids.begin()->first;
  }
  [[nodiscard]] exchange::Price best_ask(exchange::InstrumentId instrument) const {
    const Asks& asks = books_[instrument].asks;
    return asks.empty() ? 0 : asks.begin()->first;
  }
  [[nodiscard]] bool live(exchange::OrderId order_id) const { return orders_.contains(order_id); }
  [[nodiscard]] std::size_t live_orders() const { return orders_.size(); }
  [[nodiscard]] std::size_t levels(exchange::InstrumentId instrument) const {
    return books_[instrument].bids.size() + books_[instrument].asks.size();
  }

 private:
  struct Order {
    exchange::OrderId id;
    exchange::FirmId firm;
    exchange::InstrumentId instrument;
    exchange::Side side;
    exchange::Price price_ticks;
    exchange::Qty leaves;
  };
  using Level = std::list<Order>;
  using Bids = std::map<exchange::Price, Level, std::greater<>>;
  using Asks = std::map<exchange::Price, Level>;
  struct Book {
    Bids bids;
    Asks asks;
  };

  template <typename Own, typename Other, typename OnTrade>
  void add(const exchange::Command& command, Own& own, Other& other, OnTrade&& on_trade) {
    const exchange::OrderId id = ++last_id_;
    const bool market = command.ord_type == exchange::OrdType::market;
    exchange::Qty leaves = command.qty;
    while (leaves > 0 && !other.empty()) {
      const auto level = other.begin();
      if (!market && own.key_comp()(level->first, command.price_ticks)) {
        break;  // the best price lies behind the limit
      }
      Order& maker = level->second.front();
      const exchange::Qty qty = std::min(leaves, maker.leaves);
      on_trade(level->first, qty, maker.id, id);
      leaves -= qty;
      maker.leaves -= qty;
      if (maker.leaves == 0) {
        orders_.erase(maker.id);
        level->second.pop_front();
        if (level->second.empty()) {
          other.erase(level);
        }
      }
    }
    if (leaves > 0 && !market && command.tif == exchange::TimeInForce::day) {
      Level& level = own[command.price_ticks];
      level.push_back({id, command.firm, command.instrument, command.side, command.price_ticks, leaves});
      orders_.emplace(id, std::prev(level.end()));
    }
  }

  void cancel(const exchange::Command& command) {
    const auto found = orders_.find(command.order_id);
    if (found == orders_.end() || found->second->firm != command.firm) {
      return;
    }
    const Level::iterator order = found->second;
    Book& book = books_[order->instrument];
    if (order->side == exchange::Side::buy) {
      remove(book.bids, order);
    } else {
      remove(book.asks, order);
    }
    orders_.erase(found);
  }

  template <typename Levels>
  static void remove(Levels& levels, Level::iterator order) {
    const auto level = levels.find(order->price_ticks);
    level->second.erase(order);
    if (level->second.empty()) {
      levels.erase(level);
    }
  }

  std::vector<Book> books_;
  std::unordered_map<exchange::OrderId, Level::iterator> orders_;
  exchange::OrderId last_id_ = 0;
};

}  // namespace bench
