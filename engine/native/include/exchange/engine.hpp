// The deterministic state machine: many books, order and trade ids, duplicate and ownership checks.
//
// Outputs follow from the sequence of commands alone: no clock, no I/O, no randomness, no floating point, nothing
// that depends on hash or address order. engine/reference.py is its specification and computes the same
// state_hash().
#pragma once

#include <deque>
#include <vector>

#include "exchange/book.hpp"
#include "exchange/cl_ord_ids.hpp"
#include "exchange/digest.hpp"
#include "exchange/slab.hpp"
#include "exchange/types.hpp"

namespace exchange {

class Engine {
 public:
  // `instrument_max_qty[i]` is the largest order quantity of instrument i.
  // Throws std::invalid_argument when one lies outside 1..kMaxOrderQty.
  explicit Engine(std::vector<Qty> instrument_max_qty, std::uint32_t max_live_orders = kMaxLiveOrders);
  Engine(const Engine&) = delete;  // books point into the slab
  Engine& operator=(const Engine&) = delete;
  Engine(Engine&&) = delete;
  Engine& operator=(Engine&&) = delete;
  ~Engine() = default;

  // Applies one command under the next seq_num. A refusal is a reply with a reason, and takes a seq_num too;
  // only a command that is not well_formed() is answered BAD_COMMAND with seq_num 0 and leaves no trace.
  // The reply is valid until the next call.
  const Reply& apply(const Command& command);

  // The `limit` best levels of each side; empty for an unknown instrument.
  [[nodiscard]] Depth depth(InstrumentId instrument, std::size_t limit) const;
  // Covers every resting order with its priority, level sums, last trades, counters and every accepted
  // (order_id, firm, cl_ord_id). Time O(resting orders).
  [[nodiscard]] std::uint64_t state_hash() const noexcept;
  // Of the configuration: logs are bound to it, because a replay under another one would diverge.
  [[nodiscard]] std::uint64_t config_digest() const noexcept;

  [[nodiscard]] SeqNum last_seq_num() const noexcept { return seq_num_; }
  [[nodiscard]] TradeId trades() const noexcept { return trade_id_; }
  [[nodiscard]] std::uint32_t live_orders() const noexcept { return slab_.live(); }
  // ts_ns of the last command that was not refused.
  [[nodiscard]] TimeNs last_tick_ns() const noexcept { return last_tick_ns_; }

 private:
  // Where an accepted order is (kNoSlot: done) and whose it is.
  struct Owned {
    OrderSlot slot = kNoSlot;
    FirmId firm = 0;
  };

  void new_order(const Command& command);
  void cancel(const Command& command);
  void reduce(const Command& command);
  [[nodiscard]] RejectReason check_new(const Command& command) const noexcept;
  // Refuses the command in reply_ and returns nothing, or finds the live order it names.
  Owned* find_live(const Command& command) noexcept;
  void accept(const Command& command);
  void take(const Command& command);
  void rest_or_end(const Command& command);
  void reject(RejectReason reason) noexcept;

  std::vector<Qty> max_qty_;
  std::uint32_t max_live_orders_;
  Slab slab_;
  std::vector<Book> books_;
  std::deque<Owned> orders_;  // by order id - 1
  ClOrdIds cl_ord_ids_;
  Digest accepted_;
  SeqNum seq_num_ = 0;
  TradeId trade_id_ = 0;
  TimeNs last_tick_ns_ = 0;
  Reply reply_;
  std::vector<Match> matches_;
};

}  // namespace exchange
