// Fetching ahead: what a command of a batch will touch is asked for a few commands before its turn, look by look, in the
// order in which one thing leads to the next.
//
// Nobody has checked these commands yet, and those before them may still change what a look has seen, so whatever is
// followed is brought into bounds first, and whatever was seen may be out of date: nothing is fetched wrongly then, only
// in vain. And hardly anything asks what kind of command it is: that would be guessed wrong half of the time, and a wrong
// guess costs more than a line in vain. What a kind does not have leads to entry 0.
#include <algorithm>
#include <array>

#include "order_kinds.hpp"
#include "state.hpp"

namespace exchange {

namespace {

constexpr Level kNoLevel{};

// What the looks at one command have led to so far.
struct Trail {
  std::uint64_t count;           // of the order it names, or 0
  const Instrument* in;          // that it names
  std::size_t cell_place;        // its firm's position there: where its number stands
  const Order* order;            // that it names, or the one in slot 0
  const Level* level;            // where it would rest
  const Level* best;             // that it would meet, or null
  const Order* maker;            // the first one there
  OrderSlot slot;                // the order's
  OrderSlot head;                // the maker's
};

class Lookahead {
 public:
  explicit Lookahead(const State& state) noexcept : state_(state) {}

  // Two looks for when only the orders, or the ids that members gave them, are far away.
  [[gnu::always_inline]] void whereabouts(const Command& c, Trail& trail) const noexcept {
    trail.count = count_of(c.order_id);
    __builtin_prefetch(&state_.whereabouts[trail.count], 1);
    if (!c.cl_ord_id.empty()) {
      state_.cl_ord_ids.prefetch(c.firm, c.cl_ord_id);
    }
  }
  [[gnu::always_inline]] void order(const Command& /*c*/, Trail& trail) const noexcept {
    trail.slot = state_.whereabouts[trail.count].slot();
    trail.order = &state_.slab[trail.slot];
    __builtin_prefetch(trail.order, 1);
    __builtin_prefetch(&state_.slab.links(trail.slot), 1);
  }

  // Four looks for when everything is.
  [[gnu::always_inline]] void tables(const Command& c, Trail& trail) const noexcept {
    whereabouts(c, trail);
    const InstrumentId instrument = c.instrument < state_.instruments.size() ? c.instrument : 0;
    const FirmId firm = c.firm <= kMaxFirmId ? c.firm : 0;
    trail.in = &state_.instruments[instrument];
    fetch_both_lines(*trail.in);
    trail.cell_place = state_.cell_place(firm, instrument);
    __builtin_prefetch(&state_.cell_numbers[trail.cell_place]);
  }
  [[gnu::always_inline]] void places(const Command& c, Trail& trail) const noexcept {
    order(c, trail);
    __builtin_prefetch(&state_.cells[state_.cell_numbers[trail.cell_place]], 1);
    const Side side = c.side == Side::sell ? Side::sell : Side::buy;
    const Ladder& own = State::ladder(*trail.in, side);
    const Ladder& others = State::ladder(*trail.in, opposite(side));
    const auto price = static_cast<std::int32_t>(c.price_ticks);
    const bool priced = is_price(c.price_ticks);
    const LevelKey key = priced ? level_key(side, price) : own.best();
    own.prefetch(key);
    trail.level = &own.near(key, kNoLevel);
    // A branch could foresee none of these three, but it can all of them together.
    const auto reaches = static_cast<unsigned>(!priced) | static_cast<unsigned>(-key >= others.best());
    trail.best = nullptr;
    if ((static_cast<unsigned>(c.kind == CommandKind::new_order) & reaches) != 0) {
      others.prefetch(others.best());
      trail.best = &others.near(others.best(), kNoLevel);
    }
  }
  [[gnu::always_inline]] void around(const Command& /*c*/, Trail& trail) const noexcept {
    const Order& order = *trail.order;
    const Links& links = state_.slab.links(trail.slot);
    __builtin_prefetch(&state_.slab.links(trail.level->tail), 1);
    __builtin_prefetch(&state_.slab.links(links.prev), 1);
    __builtin_prefetch(&state_.slab.links(links.next), 1);
    __builtin_prefetch(&state_.cells[order.cell], 1);
    fetch_both_lines(state_.instruments[order.instrument]);
    if (trail.best != nullptr) {
      const OrderSlot head = trail.best->head;
      trail.head = head <= state_.slab.capacity() ? head : kNoSlot;
      trail.maker = &state_.slab[trail.head];
      __builtin_prefetch(trail.maker, 1);
      __builtin_prefetch(&state_.slab.links(trail.head), 1);
    }
  }
  [[gnu::always_inline]] void level(const Command& /*c*/, Trail& trail) const noexcept {
    const Order& order = *trail.order;
    const Ladder& ladder = State::ladder(state_.instruments[order.instrument], order.side);
    ladder.prefetch(order.price == 0 ? ladder.best() : level_key(order.side, order.price));
    if (trail.best != nullptr) {
      __builtin_prefetch(&state_.cells[trail.maker->cell], 1);
      __builtin_prefetch(&state_.slab[state_.slab.links(trail.head).next], 1);
    }
  }

 private:
  // The count of an accepted order, or 0.
  [[nodiscard]] std::uint64_t count_of(OrderId id) const noexcept {
    std::uint64_t count = id;
    if (state_.config.partitions != 1) {
      count = (id - 1) % state_.config.partitions == state_.config.partition ? (id - 1) / state_.config.partitions + 1 : 0;
    }
    return count <= state_.accepted_count ? count : 0;
  }
  [[gnu::always_inline]] static void fetch_both_lines(const Instrument& in) noexcept {
    __builtin_prefetch(&in);
    __builtin_prefetch(reinterpret_cast<const char*>(&in) + 64);
  }

  const State& state_;
};

// Applies commands, each of them `Apart` commands after the last of its looks, which are as far apart.
template <std::size_t Apart, auto... Looks>
class Pipeline {
 public:
  Pipeline(State& state, std::span<const Command> commands) noexcept : state_(state), ahead_(state), commands_(commands) {}

  void run() {
    const std::size_t count = commands_.size();
    for (std::size_t i = 0; i < kTurn; ++i) {  // past the last command too: a short batch ends while it begins
      turn<true>(i);
    }
    for (std::size_t i = kTurn; i < count; ++i) {
      turn<false>(i);
    }
    for (std::size_t i = std::max(kTurn, count); i < count + kTurn; ++i) {
      turn<true>(i);
    }
  }

 private:
  static constexpr std::size_t kTurn = Apart * sizeof...(Looks);
  static constexpr std::size_t kTrails = 64;
  static_assert(kTurn < kTrails);

  // The first look at command i, the second at the one `Apart` before it, and so on; the one after all looks is applied.
  // At the ends of a batch some of these are not there.
  template <bool AtAnEnd>
  [[gnu::always_inline]] void turn(std::size_t i) {
    const Command& coming = commands_[std::min(i + Apart, commands_.size() - 1)];
    __builtin_prefetch(&coming);
    __builtin_prefetch(reinterpret_cast<const char*>(&coming) + 64);
    std::size_t at = i;
    const auto look = [&]<auto Look>() {
      if (!AtAnEnd || at < commands_.size()) {
        (ahead_.*Look)(commands_[at], trails_[at % kTrails]);
      }
      at -= Apart;  // wraps around before its time
    };
    (look.template operator()<Looks>(), ...);
    if (!AtAnEnd || at < commands_.size()) {
      state_.apply(commands_[at]);
    }
  }

  State& state_;
  const Lookahead ahead_;
  const std::span<const Command> commands_;
  std::array<Trail, kTrails> trails_;
};

}  // namespace

// Nothing is fetched ahead for a few commands, or while all of it fits a processor's nearest caches; orders and ids alone
// while the rest does.
void State::apply_batch(std::span<const Command> commands) {
  constexpr std::size_t kFew = 4;
  constexpr std::uint32_t kSomeOrders = 8'192;
  constexpr std::uint32_t kManyOrders = 32'768;
  constexpr std::uint32_t kSomeIds = 16'384;
  if ((slab.live() < kSomeOrders && cl_ord_ids.count() < kSomeIds) || commands.size() < kFew) {
    for (const Command& command : commands) {
      apply(command);
    }
  } else if (slab.live() < kManyOrders) {
    Pipeline<8, &Lookahead::whereabouts, &Lookahead::order>(*this, commands).run();
  } else {
    Pipeline<8, &Lookahead::tables, &Lookahead::places, &Lookahead::around, &Lookahead::level>(*this, commands).run();
  }
}

}  // namespace exchange
