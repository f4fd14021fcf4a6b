// Everything an Engine knows, and the rules as its methods, one file per chapter: orders.cpp (entry, amend, cancel) with
// checks.hpp and lists.hpp, match.cpp (continuous trading, stops), auction.cpp, session.cpp (states, timers), control.cpp
// (operators, end of day), views.cpp (depth, hash), save.cpp, fetch.cpp (batches, looked at ahead). engine/reference/
// tells the same rules in plain words.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "cl_ord_ids.hpp"
#include "exchange/config.hpp"
#include "exchange/digest.hpp"
#include "exchange/engine.hpp"
#include "exchange/memory_ahead.hpp"
#include "exchange/report.hpp"
#include "ladder.hpp"
#include "memory.hpp"
#include "slab.hpp"

namespace exchange {

inline constexpr std::int32_t kNoBand = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kToken = 1'000'000'000;

enum class TimerKind : std::uint8_t { none = 0, limit_state = 1, halt = 2 };

// An id as the number of a refusal, which is signed.
[[nodiscard]] constexpr std::int64_t as_value(OrderId id) noexcept {
  return static_cast<std::int64_t>(std::min<OrderId>(id, std::numeric_limits<std::int64_t>::max()));
}

[[nodiscard]] constexpr std::size_t side_index(Side side) noexcept { return static_cast<std::size_t>(side) - 1; }

// Two cache lines: what every order of an instrument looks at, its rules too.
struct InstrumentDetail;

struct alignas(64) Instrument {
  std::array<Ladder, 2> sides;  // by side_index
  InstrumentDetail* detail = nullptr;
  std::int32_t lower = 0;       // no trade below or above these in continuous trading
  std::int32_t upper = kNoBand;
  std::int32_t reference = 0;
  std::int32_t last_px = 0;
  std::int32_t last_qty = 0;
  std::int32_t max_qty = 0;
  std::uint32_t fat_finger_pct = 0;
  SessionState state = SessionState::continuous;
  TimerKind timer = TimerKind::none;
  bool has_stops = false;  // some stop order waits
  bool has_bands = false;  // by its configuration
};
static_assert(sizeof(Instrument) == 128);

// What is looked at less often than once an order.
struct InstrumentDetail {
  explicit InstrumentDetail(std::pmr::memory_resource* nodes) : far{FarLevels(nodes), FarLevels(nodes)}, stops{FarLevels(nodes), FarLevels(nodes)} {}
  std::array<FarLevels, 2> far;    // by side_index
  std::array<FarLevels, 2> stops;  // likewise; a sell's key is its negated stop price: the first is the highest
  TimeNs deadline = 0;
};

// The position of one firm in one instrument. Day figures are zeroed at the end of the day.
struct PositionCell {
  Qty net;
  std::array<Qty, 2> open;  // by side_index
  Qty bought;
  Qty sold;
  std::int64_t cash;
  Qty maker_qty;
  Qty taker_qty;
};
static_assert(sizeof(PositionCell) == 64);

struct FirmRow {
  Qty max_order_qty;
  Qty position_limit;
  std::int64_t rate;
  std::int64_t burst;
  std::int64_t tokens;
  TimeNs last;
  TimeNs fill_ns;  // from empty to full
  StpMode stp;
  bool killed;
  bool used;
  std::uint32_t cell_row;  // in State::cell_pages; 0: none yet
};

inline void set_fill_time(FirmRow& row) noexcept { row.fill_ns = row.rate == 0 ? 0 : (row.burst * kToken + row.rate - 1) / row.rate; }

// By order id: the slot of a live order, or of a done one whose it was. Nothing: never accepted here, or forgotten.
class Whereabouts {
 public:
  Whereabouts() = default;
  [[nodiscard]] static Whereabouts live(OrderSlot slot) noexcept { return Whereabouts(slot); }
  [[nodiscard]] static Whereabouts done(FirmId owner) noexcept { return Whereabouts(kDone | owner); }
  [[nodiscard]] bool known() const noexcept { return word_ != 0; }
  [[nodiscard]] bool is_done() const noexcept { return (word_ & kDone) != 0; }
  [[nodiscard]] FirmId owner() const noexcept { return word_ & ~kDone; }  // of a done order
  // kNoSlot when it is not live. Without a branch: it is asked ahead of time, where no branch can be foreseen.
  [[nodiscard]] OrderSlot slot() const noexcept { return word_ & ((word_ >> 31U) - 1); }

 private:
  static constexpr std::uint32_t kDone = 1U << 31U;
  explicit Whereabouts(std::uint32_t word) noexcept : word_(word) {}
  std::uint32_t word_ = 0;
};

// How a walk through the other side ended while quantity was left.
enum class WalkEnd : std::uint8_t { at_limit, capped, blocked, self };

// Reports in the making: grown, never shrunk, and not zeroed before they are written.
class ReportBuffer {
 public:
  explicit ReportBuffer(std::size_t capacity) : data_(new Report[capacity]), capacity_(capacity) {}
  [[nodiscard]] Report& next() {
    if (count_ == capacity_) [[unlikely]] {
      grow();
    }
    return data_[count_++];
  }
  void clear() noexcept { count_ = 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] Report& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] std::span<const Report> all() const noexcept { return {data_.get(), count_}; }

 private:
  void grow();

  std::unique_ptr<Report[]> data_;  // NOLINT(modernize-avoid-c-arrays)
  std::size_t count_ = 0;
  std::size_t capacity_;
};

// Why something was refused, or an order was changed or ended that nobody asked to: with the two numbers that decided it.
struct Refusal {
  RejectReason reason = RejectReason::none;
  std::int64_t value = 0;
  std::int64_t limit = 0;
};

// Where a table will be used next, and how much of that shall be ready.
struct Ahead {
  Front::Range range;
  std::size_t bytes = 0;
};

struct State {
  static constexpr std::uint32_t kPageCells = 64;

  explicit State(const EngineConfig& from);

  // orders.cpp
  void apply(const Command& command);
  void apply_rare(const Command& command);
  void apply_batch(std::span<const Command> commands);  // fetch.cpp
  // Every table that orders make larger. By any thread, at any time.
  [[nodiscard]] std::array<Ahead, MemoryAhead::kAreas> ahead() const noexcept;  // memory_ahead.cpp

  EngineConfig config;
  std::uint64_t digest = 0;
  Slab slab;
  std::vector<Instrument> instruments;
  LadderMemory ladder_memory;
  std::vector<InstrumentDetail> details;
  GrowingArray<Whereabouts, 26> whereabouts;  // by the count of the accepted order, from 1
  FlatArray<FirmRow> firms;
  std::vector<FirmId> known_firms;                     // those whose row is used, ascending
  // From firm and instrument to the cell of their position: a row for each firm that has some, in it a page for each 64
  // instruments. Row, page and cell 0 stay zero: they are for whoever has none.
  GrowingArray<std::uint32_t, 20> cell_pages;
  GrowingArray<std::uint32_t, 22> cell_numbers;
  GrowingArray<PositionCell, 20> cells;
  std::uint32_t row_size = 0;  // pages a row
  std::uint32_t row_count = 0;
  std::uint32_t page_count = 0;
  std::uint32_t cell_count = 0;
  ClOrdIds cl_ord_ids;
  Digest accepted;
  std::pmr::set<std::pair<TimeNs, InstrumentId>> timers{&ladder_memory.far_nodes};
  TimeNs next_timer = std::numeric_limits<TimeNs>::max();
  SeqNum seq_num = 0;
  std::uint64_t accepted_count = 0;
  std::uint64_t first_kept = 1;  // orders before this count are forgotten
  std::uint64_t trade_count = 0;
  ExecId exec_id = 0;
  TimeNs now = 0;
  TimeNs last_tick = 0;
  ReportBuffer reports;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> pending_cl_ord_ids;  // save.cpp: order count and entry, while loading

  // The range of trade prices that the trigger loop looks at.
  std::int32_t range_low = 0;
  std::int32_t range_high = 0;

  // --- small things everybody needs
  [[nodiscard]] static Ladder& ladder(Instrument& in, Side side) noexcept { return in.sides[side_index(side)]; }
  [[nodiscard]] static const Ladder& ladder(const Instrument& in, Side side) noexcept { return in.sides[side_index(side)]; }
  [[nodiscard]] static FarLevels& far(Instrument& in, Side side) noexcept { return in.detail->far[side_index(side)]; }
  [[nodiscard]] static const FarLevels& far(const Instrument& in, Side side) noexcept { return in.detail->far[side_index(side)]; }
  [[nodiscard]] static FarLevels& stops(Instrument& in, Side side) noexcept { return in.detail->stops[side_index(side)]; }
  [[nodiscard]] InstrumentId index_of(const Instrument& in) const noexcept { return static_cast<InstrumentId>(&in - instruments.data()); }
  [[nodiscard]] OrderId id_of(std::uint64_t count) const noexcept {
    return config.partitions == 1 ? count : (count - 1) * config.partitions + config.partition + 1;
  }
  // 0: not an id of this partition.
  [[nodiscard]] std::uint64_t count_of(OrderId id) const noexcept {
    if (config.partitions == 1) {
      return id <= accepted_count ? id : 0;
    }
    const std::uint64_t count = (id - 1) / config.partitions + 1;
    return id != 0 && (id - 1) % config.partitions == config.partition && count <= accepted_count ? count : 0;
  }
  // Without a neighbour the one in slot 0, which is no order, takes the write: cheaper than a branch nobody can foresee.
  static void append(Level& level, const Order& order, OrderSlot slot, Slab& slab) noexcept {
    slab.links(slot) = {.next = kNoSlot, .prev = level.tail};
    slab.links(level.tail).next = slot;
    level.head = level.tail == kNoSlot ? slot : level.head;
    level.tail = slot;
    level.qty += order.leaves;
  }
  static void unlink(Level& level, OrderSlot slot, Slab& slab) noexcept {
    const auto [next, prev] = slab.links(slot);
    slab.links(prev).next = next;
    slab.links(next).prev = prev;
    level.head = prev == kNoSlot ? next : level.head;
    level.tail = next == kNoSlot ? prev : level.tail;
  }
  [[nodiscard]] static Qty& open_of(PositionCell& cell, Side side) noexcept { return cell.open[side_index(side)]; }

  // --- reports (orders.cpp)
  [[gnu::always_inline]] Report& report(const Order& order, ExecType type, const Refusal& why, Qty order_qty, Qty leaves);
  void report_live(const Order& order, ExecType type, const Refusal& why = {}) {
    report(order, type, why, Qty{order.cum} + order.leaves, order.leaves);
  }
  void report_end(const Order& order, ExecType type, const Refusal& why = {}) {
    Report& made = report(order, type, why, Qty{order.cum} + order.leaves, 0);
    made.ord_status = type == ExecType::expired ? OrdStatus::expired : OrdStatus::cancelled;
  }
  Report& report_bare(ExecType type, FirmId firm, InstrumentId instrument, std::int64_t value = 0, std::int64_t limit = 0);
  void refuse(const Command& command, RejectReason reason, std::int64_t value = 0, std::int64_t limit = 0, OrderId order_id = 0);

  // --- orders.cpp
  void new_order(const Command& command);
  void cancel(const Command& command);
  void reduce(const Command& command);
  void amend(const Command& command);
  [[nodiscard]] Refusal check_shape(const Command& command) const noexcept;                                         // checks.hpp
  [[nodiscard]] Refusal check_risk(const Order& order, Qty order_qty, Qty more_open, std::int64_t anchor2) noexcept;  // likewise
  [[nodiscard]] Refusal check_amend(const Command& command, const Order& order) const noexcept;
  void amend_in_place(Order& order, Qty order_qty) noexcept;
  void amend_anew(const Command& command, OrderSlot slot, const Order& wanted);
  // kNoSlot after a refusal.
  OrderSlot find_live(const Command& command);
  void accept(Order& order, const ClOrdId& cl_ord_id);
  [[nodiscard]] static bool within_rate(FirmRow& row, TimeNs now) noexcept;
  [[nodiscard]] static bool is_fat_finger(const Instrument& in, const Order& order) noexcept;
  [[nodiscard]] FirmRow& firm_row(FirmId firm) {
    if (!firms[firm].used) [[unlikely]] {
      know_firm(firm);
    }
    return firms[firm];
  }
  void know_firm(FirmId firm);
  void fill_bucket(FirmRow& row) const noexcept;
  [[nodiscard]] std::uint32_t find_cell(FirmId firm, InstrumentId instrument) const noexcept { return cell_numbers[cell_place(firm, instrument)]; }
  [[nodiscard]] std::size_t page_place(FirmId firm, InstrumentId instrument) const noexcept {
    return std::size_t{firms[firm].cell_row} * row_size + instrument / kPageCells;
  }
  [[nodiscard]] std::size_t cell_place(FirmId firm, InstrumentId instrument) const noexcept {
    return std::size_t{cell_pages[page_place(firm, instrument)]} * kPageCells + instrument % kPageCells;
  }
  [[nodiscard]] std::uint32_t make_cell(FirmId firm, InstrumentId instrument);
  // lists.hpp. Out of book or stop list, with its open quantity; the order keeps its slot.
  void take_out(OrderSlot slot) noexcept;
  void rest(Instrument& in, OrderSlot slot);
  // The same of stops that wait (match.cpp).
  void take_out_stop(Instrument& in, OrderSlot slot) noexcept;
  void enter_stop(OrderSlot slot);
  // The newest order, if it is the one in `slot`, lives from now on.
  void keep(OrderSlot slot) noexcept {
    if (slot == slab.spare()) {
      whereabouts[accepted_count] = Whereabouts::live(slot);
      slab.keep_spare();
    }
  }
  // An order ends here: its slot is given back, unless it never left the spare one.
  void end(OrderSlot slot) noexcept {
    const Order& order = slab[slot];
    whereabouts[config.partitions == 1 ? order.id : (order.id - 1) / config.partitions + 1] = Whereabouts::done(order.firm);
    if (slot != slab.spare()) {
      slab.erase(slot);
    }
  }

  // --- match.cpp
  void begin_range() noexcept {
    range_low = std::numeric_limits<std::int32_t>::max();
    range_high = 0;
  }
  // Twice the price that a market order's collar is measured from; 0: none.
  [[nodiscard]] std::int64_t anchor2(const Instrument& in, Side taker) const noexcept;
  [[nodiscard]] LevelKey collar_key(const Instrument& in, Side taker, std::int64_t twice_anchor) const noexcept;
  [[nodiscard]] std::int64_t notional_cap(const Instrument& in) const noexcept { return config.instruments[index_of(in)].market_notional_cap; }
  // Whether an order without a price is worth more than its instrument allows.
  [[nodiscard]] bool over_cap(const Instrument& in, std::int64_t twice_anchor, Qty qty) const noexcept {
    const std::int64_t cap = notional_cap(in);
    const std::int64_t doubled = twice_anchor * qty;  // 2 * 10^9 times 10^9 fits
    return cap > 0 && (doubled / 2 > cap || (doubled / 2 == cap && doubled % 2 != 0));
  }
  // An order that is in no book meets the other side; what is left rests or ends.
  void incoming(Instrument& in, OrderSlot slot, LevelKey worst, TimeNs time);
  [[nodiscard]] WalkEnd walk(Instrument& in, Order& taker, LevelKey worst, bool fixed_bands);
  [[nodiscard]] WalkEnd dry_walk(const Instrument& in, const Order& taker, LevelKey worst) const noexcept;
  void trade(Instrument& in, Order& taker, Order& maker, Level& level);
  // True when the taker ended too.
  bool decrement(Order& taker, Order& maker, Level& level);
  void leave_over(Instrument& in, OrderSlot slot, LevelKey worst, WalkEnd how);
  [[nodiscard]] static Refusal own_trade(const Order& other, std::int32_t qty) noexcept;
  [[nodiscard]] static Refusal outside_bands(const Instrument& in, std::int32_t price) noexcept;
  [[nodiscard]] static std::int32_t blocked_price(const Instrument& in, Side taker) noexcept;
  // Whether its price lies on the right side of the band for an order that waits.
  [[nodiscard]] static bool may_rest(const Instrument& in, const Order& order) noexcept {
    const LevelKey bound = level_key(order.side, order.side == Side::buy ? in.upper : in.lower);
    return level_key(order.side, order.price) >= bound;  // one comparison for both sides, see opposite()
  }
  void trigger_stops(Instrument& in, TimeNs time);
  [[nodiscard]] OrderSlot next_stop(Instrument& in) noexcept;
  void set_bands(Instrument& in) noexcept;
  void set_reference(Instrument& in, std::int32_t price) noexcept {
    in.reference = price;
    set_bands(in);
  }

  // --- auction.cpp
  [[nodiscard]] Indicative indicative(const Instrument& in) const;
  void uncross(Instrument& in, const Indicative& at);

  // --- session.cpp
  void session(const Command& command);
  void change_state(Instrument& in, SessionState to, TimeNs time);
  void set_timer(Instrument& in, TimerKind kind, TimeNs deadline);
  void clear_timer(Instrument& in);
  void fire_timers();

  // --- control.cpp
  void kill(const Command& command);
  void limits(const Command& command);
  void mass_cancel(const Command& command);
  void reference(const Command& command);
  void corporate_action(const Command& command);
  void end_of_day(const Command& command);
  void forget_done();
  void control_done(const Command& command, std::int64_t value) { report_bare(ExecType::control, command.firm, command.instrument, value); }
  // Live orders of an instrument in iteration order.
  [[nodiscard]] std::vector<OrderSlot> slots_of(const Instrument& in) const;
  std::int64_t cancel_where(Instrument& in, const std::function<bool(const Order&)>& which, ExecType type, const Refusal& why);

  // --- views.cpp
  void each_slot(const Instrument& in, const std::function<void(OrderSlot)>& visit) const;
  void each_cell(const std::function<void(FirmId, InstrumentId, const PositionCell&)>& visit) const;
  [[nodiscard]] std::uint64_t state_hash() const;
  [[nodiscard]] Depth depth(InstrumentId instrument, std::size_t limit) const;
};

inline Report& State::report(const Order& order, ExecType type, const Refusal& why, Qty order_qty, Qty leaves) {
  Report& made = reports.next();
  made = {
      .exec_id = ++exec_id,
      .seq_num = seq_num,
      .order_id = order.id,
      .trade_id = 0,
      .contra_order_id = 0,
      .firm = order.firm,
      .instrument = order.instrument,
      .exec_type = type,
      .ord_status = order.cum == 0 ? OrdStatus::fresh : OrdStatus::partially_filled,
      .reason = why.reason,
      .side = order.side,
      .ord_type = order.type,
      .tif = order.tif,
      .liquidity = Liquidity::none,
      .reserved = 0,
      .stop_price_ticks = order.stop,
      .price_ticks = order.price,
      .last_px_ticks = 0,
      .reserved2 = 0,
      .last_qty = 0,
      .order_qty = order_qty,
      .cum_qty = order.cum,
      .leaves_qty = leaves,
      .cum_notional = order.cum_notional,
      .value = why.value,
      .limit = why.limit,
  };
  return made;
}
}  // namespace exchange
