// The deterministic state machine of one partition: books, order and trade ids, sessions, protections, risk, positions.
//
// Reports follow from the sequence of commands alone: no clock, no I/O, no randomness, no floating point, nothing that
// depends on hash or address order. engine/reference/ is its specification and computes the same state_hash().
// Once it has met as many orders as it was made for, apply() of what members send in continuous trading allocates nothing,
// locks nothing and calls no system.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "exchange/config.hpp"
#include "exchange/report.hpp"
#include "exchange/types.hpp"

namespace exchange {

struct State;  // src/state.hpp

class Engine {
 public:
  // Throws std::invalid_argument on a configuration that makes no sense.
  explicit Engine(const EngineConfig& config);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  // Applies one command under the next seq_num; the reports are valid until the next call. A refusal is a report too;
  // only what is not well_formed() leaves no trace (one report BAD_COMMAND with exec_id and seq_num 0).
  std::span<const Report> apply(const Command& command);
  // The same for many, looking ahead in `commands` to fetch what they will touch: a few hundred at a time do best.
  std::span<const Report> apply_batch(std::span<const Command> commands);

  // Ns of the earliest timer, or 0: somebody must send a timer command (or any other) by then.
  [[nodiscard]] TimeNs next_timer_ns() const noexcept;
  // The `limit` best levels of each side; empty for an unknown instrument.
  [[nodiscard]] Depth depth(InstrumentId instrument, std::size_t limit) const;
  [[nodiscard]] Indicative indicative(InstrumentId instrument) const;
  // Every resting order of an instrument in the order in which its rules go through them.
  struct OrderView {
    OrderId order_id = 0;
    FirmId firm = 0;
    InstrumentId instrument = 0;
    Side side = Side::buy;
    OrdType ord_type = OrdType::limit;
    TimeInForce tif = TimeInForce::day;
    bool untriggered = false;
    Price price_ticks = 0;
    Price stop_price_ticks = 0;
    Qty leaves_qty = 0;
    Qty cum_qty = 0;
    std::int64_t cum_notional = 0;
  };
  void each_order(InstrumentId instrument, const std::function<void(const OrderView&)>& visit) const;
  struct PositionView {
    FirmId firm = 0;
    InstrumentId instrument = 0;
    Qty net = 0;
    Qty open_buy = 0;
    Qty open_sell = 0;
    Qty bought = 0;
    Qty sold = 0;
    std::int64_t cash = 0;
    Qty maker_qty = 0;
    Qty taker_qty = 0;
  };
  // Ascending (firm, instrument).
  void each_position(const std::function<void(const PositionView&)>& visit) const;

  // Covers everything that a later report can depend on. Time O(resting orders + positions).
  [[nodiscard]] std::uint64_t state_hash() const;
  [[nodiscard]] std::uint64_t config_digest() const noexcept;
  [[nodiscard]] SeqNum last_seq_num() const noexcept;
  [[nodiscard]] std::uint64_t trades() const noexcept;
  [[nodiscard]] ExecId last_exec_id() const noexcept;
  [[nodiscard]] std::uint32_t live_orders() const noexcept;
  [[nodiscard]] TimeNs now_ns() const noexcept;
  // ts_ns of the last command that was not refused.
  [[nodiscard]] TimeNs last_tick_ns() const noexcept;
  [[nodiscard]] std::size_t instruments() const noexcept;

  // The whole state as bytes (docs/engine.md), through `put` in pieces; load() builds it again in an engine that has
  // seen nothing yet. load() throws std::runtime_error on bytes that are damaged or of another configuration.
  void save(const std::function<void(std::span<const std::uint8_t>)>& put) const;
  void load(const std::function<std::size_t(std::span<std::uint8_t>)>& get);

 private:
  friend class MemoryAhead;

  std::unique_ptr<State> state_;
};

}  // namespace exchange
