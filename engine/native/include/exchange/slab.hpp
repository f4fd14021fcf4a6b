// All resting orders of an engine, by 32-bit slot: chunks that never move, and a free list of the slots given back.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "exchange/ladder.hpp"
#include "exchange/types.hpp"

namespace exchange {

// One resting order: 64 bytes, linked to its neighbours in its level's queue.
struct RestingOrder {
  OrderId id = 0;
  Price price_ticks = 0;
  Qty leaves_qty = 0;
  Qty cum_qty = 0;
  OrderSlot prev = kNoSlot;
  OrderSlot next = kNoSlot;
  FirmId firm = 0;
  InstrumentId instrument = 0;
  Side side = Side::buy;
};

class Slab {
 public:
  explicit Slab(std::uint32_t capacity) : capacity_(capacity) {}

  [[nodiscard]] bool full() const noexcept { return live_ == capacity_; }
  [[nodiscard]] std::uint32_t live() const noexcept { return live_; }
  [[nodiscard]] RestingOrder& operator[](OrderSlot slot) noexcept { return chunks_[slot >> kChunkBits][slot & kChunkMask]; }
  [[nodiscard]] const RestingOrder& operator[](OrderSlot slot) const noexcept {
    return chunks_[slot >> kChunkBits][slot & kChunkMask];
  }

  // A slot for `order`. The slab must not be full.
  OrderSlot insert(const RestingOrder& order) {
    OrderSlot slot = free_;
    if (slot != kNoSlot) {
      free_ = (*this)[slot].next;
    } else {
      slot = next_fresh_;
      if ((slot >> kChunkBits) >= chunks_.size()) {
        chunks_.push_back(std::make_unique<RestingOrder[]>(std::size_t{1} << kChunkBits));  // NOLINT(modernize-avoid-c-arrays)
      }
      ++next_fresh_;
    }
    (*this)[slot] = order;
    ++live_;
    return slot;
  }

  void erase(OrderSlot slot) noexcept {
    (*this)[slot] = RestingOrder{};
    (*this)[slot].next = free_;
    free_ = slot;
    --live_;
  }

 private:
  static constexpr std::uint32_t kChunkBits = 12;
  static constexpr std::uint32_t kChunkMask = (1U << kChunkBits) - 1;

  std::vector<std::unique_ptr<RestingOrder[]>> chunks_;  // NOLINT(modernize-avoid-c-arrays)
  OrderSlot free_ = kNoSlot;
  OrderSlot next_fresh_ = 1;  // slot 0 means "none"
  std::uint32_t capacity_;
  std::uint32_t live_ = 0;
};

}  // namespace exchange
