#include "ladder.hpp"

#include <algorithm>

namespace exchange {

namespace {

constexpr unsigned levels_block(unsigned shift) noexcept { return shift + 4; }  // 16 bytes a level
constexpr unsigned words_block(unsigned shift) noexcept { return std::max(shift, 7U) - 3; }

// Keys lie within a billion of zero, so sums with a window's size cannot overflow.
constexpr LevelKey offset(LevelKey key, std::uint32_t by) noexcept { return key + static_cast<LevelKey>(by); }

}  // namespace

Level& Ladder::far_level(LevelKey key, FarLevels& far) noexcept { return far.find(key)->second; }

LevelKey Ladder::window_from(LevelKey key) const noexcept {
  if (summary_ == 0) {
    return kNoKey;
  }
  const std::uint32_t mask = size_ - 1;
  const auto left = static_cast<std::uint32_t>(offset(base_, mask) - key);  // places from `key` to the window's end
  const std::uint32_t from = index(key);
  if (words_ == nullptr) {
    const auto distance = static_cast<std::uint32_t>(std::countr_zero(std::rotr(summary_, static_cast<int>(from))));
    return distance <= left ? offset(key, distance) : kNoKey;
  }
  const std::uint32_t word = from >> 6U;
  std::uint64_t bits = words_[word] & (~std::uint64_t{0} << (from & 63U));
  std::uint32_t found = word;
  if (bits == 0) {
    const std::uint64_t behind = word == 63 ? 0 : summary_ & (~std::uint64_t{0} << (word + 1));
    found = static_cast<std::uint32_t>(std::countr_zero(behind != 0 ? behind : summary_));
    bits = words_[found];
    if (found == word) {
      bits &= ~(~std::uint64_t{0} << (from & 63U));
    }
    if (bits == 0) {
      return kNoKey;
    }
  }
  const std::uint32_t place = (found << 6U) + static_cast<std::uint32_t>(std::countr_zero(bits));
  const std::uint32_t distance = (place - from) & mask;
  return distance <= left ? offset(key, distance) : kNoKey;
}

LevelKey Ladder::window_last() const noexcept {
  LevelKey last = kNoKey;
  for (LevelKey key = window_from(base_); key != kNoKey;) {
    last = key;
    key = in_window(key + 1) ? window_from(key + 1) : kNoKey;
  }
  return last;
}

LevelKey Ladder::next(LevelKey key, const FarLevels& far) const noexcept {
  LevelKey near = kNoKey;
  if (levels_ != nullptr && key + 1 < offset(base_, size_)) {
    near = window_from(std::max(key + 1, base_));
  }
  if (far.empty()) {
    return near;
  }
  const auto found = far.upper_bound(key);
  return found == far.end() ? near : std::min(near, found->first);
}

void Ladder::erase(LevelKey key, FarLevels& far) noexcept {
  if (in_window(key)) {
    levels_[index(key)] = Level{};
    unmark(index(key));
  } else {
    far.erase(key);
  }
  if (key == best_) {
    best_ = summary_ != 0 ? window_from(base_) : kNoKey;
    if (!far.empty()) {
      best_ = std::min(best_, far.begin()->first);
      if (summary_ == 0) {
        refill(far);
      }
    }
  }
}

// Four ways, the cheapest that does: the window grows, it slides into the empty room before its first level, it slides
// to a new best and lets its far end go, or the level is a far one.
Level& Ladder::make_outside(LevelKey key, FarLevels& far, LadderMemory& memory) {
  if (levels_ == nullptr) {
    resize(kFirstShift, key - (1 << (kFirstShift - 1)), memory);
    pull_in(far);
  } else if (summary_ == 0) {
    base_ = key - static_cast<LevelKey>(size_ / 2);
    pull_in(far);
  } else {
    const LevelKey first = std::min(key, window_from(base_));
    const LevelKey last = key < base_ ? window_last() : key;
    const auto span = static_cast<std::uint32_t>(last - first) + 1;
    if (span <= (1U << kLastShift)) {
      unsigned wanted = shift();
      while (wanted < kLastShift && (1U << wanted) < span + span / 4) {
        ++wanted;
      }
      const LevelKey base = first - static_cast<LevelKey>(((1U << wanted) - span) / 2);
      wanted == shift() ? slide(base, far) : resize(wanted, base, memory);
      pull_in(far);
    } else if (key < base_) {
      slide(key - static_cast<LevelKey>(size_ / 4), far);
      pull_in(far);
    }
  }
  best_ = std::min(best_, key);
  if (!in_window(key)) {
    return far[key];
  }
  mark(index(key));
  return levels_[index(key)];
}

// Moves every level into a window of another size that holds them all.
void Ladder::resize(unsigned to_shift, LevelKey base, LadderMemory& memory) {
  Ladder grown;
  grown.levels_ = static_cast<Level*>(memory.windows.take(levels_block(to_shift)));
  if (to_shift > kFirstShift) {
    grown.words_ = static_cast<std::uint64_t*>(memory.windows.take(words_block(to_shift)));
  }
  grown.size_ = 1U << to_shift;
  grown.base_ = base;
  grown.best_ = best_;
  if (levels_ != nullptr) {
    for (LevelKey key = window_from(base_); key != kNoKey;) {
      const LevelKey after = in_window(key + 1) ? window_from(key + 1) : kNoKey;
      grown.levels_[grown.index(key)] = levels_[index(key)];
      grown.mark(grown.index(key));
      levels_[index(key)] = Level{};
      unmark(index(key));
      key = after;
    }
    memory.windows.give_back(levels_, levels_block(shift()));
    if (words_ != nullptr) {
      memory.windows.give_back(words_, words_block(shift()));
    }
  }
  *this = grown;
}

// Levels that the window leaves behind become far ones.
void Ladder::slide(LevelKey base, FarLevels& far) {
  const std::uint32_t size_now = size_;
  for (LevelKey key = window_from(base_); key != kNoKey;) {
    const LevelKey after = in_window(key + 1) ? window_from(key + 1) : kNoKey;
    if (key < base || key >= offset(base, size_now)) {
      far[key] = levels_[index(key)];
      levels_[index(key)] = Level{};
      unmark(index(key));
    }
    key = after;
  }
  base_ = base;
}

void Ladder::pull_in(FarLevels& far) noexcept {
  if (far.empty()) {
    return;
  }
  auto from = far.lower_bound(base_);
  const auto to = far.lower_bound(offset(base_, size_));
  while (from != to) {
    levels_[index(from->first)] = from->second;
    mark(index(from->first));
    from = far.erase(from);
  }
}

void Ladder::refill(FarLevels& far) noexcept {
  if (levels_ == nullptr) {
    return;
  }
  base_ = far.begin()->first - static_cast<LevelKey>(size_ / 4);
  pull_in(far);
}

}  // namespace exchange
