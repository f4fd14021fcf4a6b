// All live orders of an engine by 32-bit slot, and the slots given back.
#pragma once

#include <atomic>
#include <cstdint>

#include "exchange/types.hpp"
#include "ladder.hpp"
#include "memory.hpp"

namespace exchange {

// The neighbours of a live order in its level's queue. Apart from the orders, eight to a cache line: whoever leaves a
// queue writes to both neighbours and reads nothing else of them.
struct Links {
  OrderSlot next;
  OrderSlot prev;
};

// One live order: a cache line. order_qty is cum + leaves. What a report has side by side is apart here: two fields that
// were just written one by one are slow to read as one.
struct alignas(64) Order {
  OrderId id;
  std::int32_t price;  // 0: a stop, which has none
  std::int32_t leaves;
  std::int32_t stop;  // 0: no stop
  std::int32_t cum;
  std::int64_t cum_notional;
  InstrumentId instrument;
  std::uint32_t cell;         // the position of its firm in its instrument
  std::uint32_t cl_ord_id;    // its entry in ClOrdIds, 0: none
  std::uint16_t firm;
  Side side;
  OrdType type;
  TimeInForce tif;
  bool untriggered;  // in the stop list, not in the book
};
static_assert(sizeof(Order) == 64);

// One slot is always set aside: a new order is made in it, and keeps it if it comes to rest.
class Slab {
 public:
  explicit Slab(std::uint32_t capacity) : orders_(std::size_t{capacity} + 2), links_(std::size_t{capacity} + 2), capacity_(capacity) {
    orders_[kNoSlot].side = Side::buy;  // no order, but one that may be looked at
  }
  [[nodiscard]] bool full() const noexcept { return live_ >= capacity_; }
  [[nodiscard]] std::uint32_t live() const noexcept { return live_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] Order& operator[](OrderSlot slot) noexcept { return orders_[slot]; }
  [[nodiscard]] const Order& operator[](OrderSlot slot) const noexcept { return orders_[slot]; }
  [[nodiscard]] Links& links(OrderSlot slot) noexcept { return links_[slot]; }
  [[nodiscard]] const Links& links(OrderSlot slot) const noexcept { return links_[slot]; }
  // The slot set aside.
  [[nodiscard]] OrderSlot spare() const noexcept { return spare_; }
  // The order in the spare slot lives from now on. The slab must not be full.
  void keep_spare() noexcept {
    ++live_;
    if (free_ != kNoSlot) {
      spare_ = free_;
      free_ = links_[free_].next;
    } else {
      spare_ = fresh_.load(std::memory_order_relaxed);
      fresh_.store(spare_ + 1, std::memory_order_relaxed);
    }
  }
  // Where the next slots that were never used lie.
  [[nodiscard]] Front::Range orders_ahead() const noexcept { return orders_.from(fresh_.load(std::memory_order_relaxed)); }
  [[nodiscard]] Front::Range links_ahead() const noexcept { return links_.from(fresh_.load(std::memory_order_relaxed)); }
  void erase(OrderSlot slot) noexcept {
    links_[slot].next = free_;
    free_ = slot;
    --live_;
  }

 private:
  FlatArray<Order> orders_;
  FlatArray<Links> links_;  // of a slot given back: the next such one
  OrderSlot spare_ = 1;  // slot 0 means "none"
  OrderSlot free_ = kNoSlot;
  std::atomic<OrderSlot> fresh_{2};  // written by one thread, read by the one that makes memory ready
  std::uint32_t capacity_;
  std::uint32_t live_ = 0;
};

}  // namespace exchange
