// Fetching ahead. Nothing here may read what does not exist, so each step looks before it follows.
#include "order_kinds.hpp"
#include "state.hpp"

namespace exchange {

namespace {

// A compiler that sees a function do nothing but fetch ahead takes it for one without effect, and drops its calls.
inline void keep_this_call() noexcept { asm volatile(""); }

}  // namespace

// Where a new order would rest. Null when it is not sound: nobody has checked it yet.
const Level* State::level_ahead(const Command& c) const noexcept {
  const bool sound = (c.side == Side::buy || c.side == Side::sell) && is_price(c.price_ticks);
  return sound ? ladder(instruments[c.instrument], c.side).place(level_key(c.side, static_cast<std::int32_t>(c.price_ticks))) : nullptr;
}

void State::fetch_tables(const Command& c) const noexcept {
  keep_this_call();
  if (c.kind == CommandKind::new_order) {
    if (c.instrument < instruments.size() && c.firm <= kMaxFirmId) {
      __builtin_prefetch(&instruments[c.instrument]);
      __builtin_prefetch(reinterpret_cast<const char*>(&instruments[c.instrument]) + 64);
      if (const std::uint32_t row = firms[c.firm].cell_pages; row != 0) {
        __builtin_prefetch(&cell_numbers[std::size_t{cell_pages[row - 1][c.instrument / 64]} * 64 + c.instrument % 64]);
      }
      if (!c.cl_ord_id.empty()) {
        cl_ord_ids.prefetch(c.firm, c.cl_ord_id);
      }
    }
  } else if (const std::uint64_t count = kept_count_of(c.order_id); count != 0) {
    __builtin_prefetch(&owned[count]);
  }
}

void State::fetch_order(const Command& c) const noexcept {
  keep_this_call();
  if (c.kind == CommandKind::new_order) {
    if (c.instrument < instruments.size() && c.firm <= kMaxFirmId) {
      __builtin_prefetch(&cells[find_cell(c.firm, c.instrument)], 1);
      __builtin_prefetch(level_ahead(c), 1);
    }
  } else if (const std::uint64_t count = kept_count_of(c.order_id); count != 0) {
    __builtin_prefetch(&slab[owned[count].slot], 1);
  }
}

void State::fetch_around(const Command& c) const noexcept {
  keep_this_call();
  if (c.kind == CommandKind::new_order) {
    if (c.instrument < instruments.size()) {
      if (const Level* const level = level_ahead(c); level != nullptr) {
        __builtin_prefetch(&slab[level->tail], 1);
      }
    }
  } else if (const std::uint64_t count = kept_count_of(c.order_id); count != 0) {
    const Order& order = slab[owned[count].slot];
    __builtin_prefetch(&slab[order.prev], 1);
    __builtin_prefetch(&slab[order.next], 1);
    __builtin_prefetch(&cells[order.cell], 1);
    __builtin_prefetch(&instruments[order.instrument]);
    __builtin_prefetch(reinterpret_cast<const char*>(&instruments[order.instrument]) + 64);
  }
}

void State::fetch_level(const Command& c) const noexcept {
  keep_this_call();
  if (c.kind == CommandKind::new_order) {
    return;
  }
  if (const std::uint64_t count = kept_count_of(c.order_id); count != 0 && owned[count].slot != kNoSlot) {
    const Order& order = slab[owned[count].slot];
    __builtin_prefetch(ladder(instruments[order.instrument], order.side).place(level_key(order.side, order.price)), 1);
  }
}

}  // namespace exchange
