#include "exchange/engine.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "state.hpp"

namespace exchange {

namespace {

constexpr std::size_t kFirstReports = 4096;

void require(bool holds, const std::string& what) {
  if (!holds) {
    throw std::invalid_argument(what);
  }
}

}  // namespace

std::optional<ClOrdId> ClOrdId::parse(std::string_view text) noexcept {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (text.size() > kMaxClOrdIdLength || !printable) {
    return std::nullopt;
  }
  ClOrdId parsed;
  std::copy(text.begin(), text.end(), parsed.bytes_.begin());
  parsed.length_ = static_cast<std::uint8_t>(text.size());
  return parsed;
}

bool well_formed_control(const Command& c) noexcept {
  switch (c.kind) {
    case CommandKind::limits:
      return c.stp <= StpMode::decrement;
    case CommandKind::session:
      return c.state <= SessionState::closed;
    case CommandKind::kill:
      return c.qty == 0 || c.qty == 1;
    case CommandKind::reduce:
    case CommandKind::amend:
    case CommandKind::timer:
    case CommandKind::mass_cancel:
    case CommandKind::corporate_action:
    case CommandKind::end_of_day:
    case CommandKind::reference:
      return true;
    case CommandKind::new_order:
    case CommandKind::cancel:
      break;
  }
  return false;
}

void check_config(const EngineConfig& config) {
  require(!config.instruments.empty() && config.instruments.size() <= kMaxInstruments,
          "instruments: expected 1 to " + std::to_string(kMaxInstruments));
  for (std::size_t i = 0; i < config.instruments.size(); ++i) {
    const InstrumentConfig& one = config.instruments[i];
    const std::string where = "instrument " + std::to_string(i) + ": ";
    require(one.max_qty >= 1 && one.max_qty <= kMaxOrderQty, where + "max_qty must lie in 1.." + std::to_string(kMaxOrderQty));
    require(one.reference_ticks >= 0 && one.reference_ticks <= kMaxPriceTicks,
            where + "reference_ticks must lie in 0.." + std::to_string(kMaxPriceTicks));
    require(one.luld_bps <= 9'999, where + "luld_bps must lie in 0..9999");
    require(one.collar_bps <= 9'999, where + "collar_bps must lie in 0..9999");
    require(one.market_notional_cap >= 0 && one.market_notional_cap <= kMaxPriceTicks * kMaxOrderQty,
            where + "market_notional_cap must lie in 0..10^18");
    require(one.fat_finger_pct == 0 || (one.fat_finger_pct >= 100 && one.fat_finger_pct <= 100'000),
            where + "fat_finger_pct must be 0 or lie in 100..100000");
    require(one.initial_state <= SessionState::closed, where + "initial_state is no state");
  }
  const FirmLimits& limits = config.default_limits;
  require(limits.max_order_qty >= 0 && limits.max_order_qty <= kMaxOrderQty, "default_limits: max_order_qty out of range");
  require(limits.position_limit >= 0 && limits.position_limit <= 1'000'000'000'000'000, "default_limits: position_limit out of range");
  require(limits.rate_per_s >= 0 && limits.rate_per_s <= 10'000'000, "default_limits: rate_per_s must lie in 0..10^7");
  require(limits.burst >= (limits.rate_per_s > 0 ? 1 : 0) && limits.burst <= 10'000'000, "default_limits: burst must lie in 1..10^7");
  require(limits.stp <= StpMode::decrement, "default_limits: stp is no mode");
  require(config.max_live_orders >= 1 && config.max_live_orders <= kMaxLiveOrders,
          "max_live_orders must lie in 1.." + std::to_string(kMaxLiveOrders));
  constexpr TimeNs kMaxWait = TimeNs{86'400} * 1'000'000'000;
  require(config.limit_state_ns >= 1 && config.limit_state_ns <= kMaxWait, "limit_state_ns must lie in 1 ns to a day");
  require(config.halt_ns >= 1 && config.halt_ns <= kMaxWait, "halt_ns must lie in 1 ns to a day");
  require(config.partitions >= 1 && config.partitions <= kMaxPartitions && config.partition < config.partitions,
          "partition must be below partitions, of which there are at most " + std::to_string(kMaxPartitions));
}

std::uint64_t config_digest(const EngineConfig& config) noexcept {
  Digest digest;
  const FirmLimits& limits = config.default_limits;
  for (const std::int64_t word :
       {std::int64_t{2}, std::int64_t{config.max_live_orders}, std::int64_t{config.partitions}, std::int64_t{config.partition},
        config.limit_state_ns, config.halt_ns, limits.max_order_qty, limits.position_limit, limits.rate_per_s, limits.burst,
        static_cast<std::int64_t>(limits.stp), static_cast<std::int64_t>(config.instruments.size())}) {
    digest.word(word);
  }
  for (const InstrumentConfig& one : config.instruments) {
    for (const std::int64_t word : {one.max_qty, one.reference_ticks, std::int64_t{one.luld_bps}, std::int64_t{one.collar_bps},
                                    one.market_notional_cap, std::int64_t{one.fat_finger_pct}, static_cast<std::int64_t>(one.initial_state)}) {
      digest.word(word);
    }
  }
  return digest.value();
}

void ReportBuffer::grow() {
  std::unique_ptr<Report[]> grown(new Report[capacity_ * 2]);  // NOLINT(modernize-avoid-c-arrays)
  std::copy(data_.get(), data_.get() + count_, grown.get());
  data_ = std::move(grown);
  capacity_ *= 2;
}

State::State(const EngineConfig& from)
    : config((check_config(from), from)), digest(exchange::config_digest(from)), slab(from.max_live_orders), instruments(from.instruments.size()),
      firms(std::size_t{kMaxFirmId} + 1),
      reports(kFirstReports) {
  details.reserve(instruments.size());
  for (std::size_t i = 0; i < instruments.size(); ++i) {
    details.emplace_back(&ladder_memory.far_nodes);
    instruments[i].detail = &details[i];
    instruments[i].state = config.instruments[i].initial_state;
    instruments[i].max_qty = static_cast<std::int32_t>(config.instruments[i].max_qty);
    instruments[i].fat_finger_pct = config.instruments[i].fat_finger_pct;
    instruments[i].has_bands = config.instruments[i].luld_bps != 0;
    set_reference(instruments[i], static_cast<std::int32_t>(config.instruments[i].reference_ticks));
  }
  row_size = static_cast<std::uint32_t>(instruments.size() - 1) / kPageCells + 1;
}

Engine::Engine(const EngineConfig& config) : state_(std::make_unique<State>(config)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

std::span<const Report> Engine::apply(const Command& command) {
  state_->reports.clear();
  state_->apply(command);
  return state_->reports.all();
}

std::span<const Report> Engine::apply_batch(std::span<const Command> commands) {
  state_->reports.clear();
  state_->apply_batch(commands);
  return state_->reports.all();
}

TimeNs Engine::next_timer_ns() const noexcept { return state_->timers.empty() ? 0 : state_->next_timer; }
Depth Engine::depth(InstrumentId instrument, std::size_t limit) const { return state_->depth(instrument, limit); }

Indicative Engine::indicative(InstrumentId instrument) const {
  return instrument < state_->instruments.size() ? state_->indicative(state_->instruments[instrument]) : Indicative{};
}

void Engine::each_order(InstrumentId instrument, const std::function<void(const OrderView&)>& visit) const {
  if (instrument >= state_->instruments.size()) {
    return;
  }
  state_->each_slot(state_->instruments[instrument], [&](OrderSlot slot) {
    const Order& order = state_->slab[slot];
    visit({order.id, order.firm, order.instrument, order.side, order.type, order.tif, order.untriggered, order.price, order.stop, order.leaves,
           order.cum, order.cum_notional});
  });
}

void Engine::each_position(const std::function<void(const PositionView&)>& visit) const {
  state_->each_cell([&](FirmId firm, InstrumentId instrument, const PositionCell& cell) {
    visit({firm, instrument, cell.net, cell.open[0], cell.open[1], cell.bought, cell.sold, cell.cash, cell.maker_qty, cell.taker_qty});
  });
}

std::uint64_t Engine::state_hash() const { return state_->state_hash(); }
std::uint64_t Engine::config_digest() const noexcept { return state_->digest; }
SeqNum Engine::last_seq_num() const noexcept { return state_->seq_num; }
std::uint64_t Engine::trades() const noexcept { return state_->trade_count; }
ExecId Engine::last_exec_id() const noexcept { return state_->exec_id; }
std::uint32_t Engine::live_orders() const noexcept { return state_->slab.live(); }
TimeNs Engine::now_ns() const noexcept { return state_->now; }
TimeNs Engine::last_tick_ns() const noexcept { return state_->last_tick; }
std::size_t Engine::instruments() const noexcept { return state_->instruments.size(); }

}  // namespace exchange
