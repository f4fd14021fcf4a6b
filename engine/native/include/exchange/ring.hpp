// A bounded queue between one thread that writes and one that reads. No lock, no allocation after its making.
//
// The writer fills slots in place and shows them all at once (publish); the reader takes slots in place and gives them
// back all at once (release). Each end works on figures of its own and looks at the other's only when it must, so that
// in the steady state a batch moves two cache lines, however many items it has.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>

namespace exchange {

inline constexpr std::size_t kCacheLine = 64;

template <typename T>
class SpscRing {
  static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= kCacheLine);

 public:
  // Memory is taken now and touched when a slot is first used. Throws std::invalid_argument unless `capacity` is a
  // power of two.
  explicit SpscRing(std::size_t capacity) : mask_(capacity - 1) {
    if (!std::has_single_bit(capacity)) {
      throw std::invalid_argument("a ring's capacity is a power of two");
    }
    bytes_.reset(static_cast<std::byte*>(::operator new(capacity * sizeof(T), kAlignment)));
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }
  // Published and not yet released. From any thread; exact only while both ends rest.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::size_t head = head_.load(std::memory_order_acquire);  // first: the tail never falls behind it
    return tail_.load(std::memory_order_acquire) - head;
  }

  // ---- the writer ----

  // How many slots can be staged now; looks at the reader's place only when fewer than `wanted` are known to be free.
  [[nodiscard]] std::size_t room(std::size_t wanted = 1) noexcept {
    if (capacity() - (staged_ - known_head_) < wanted) {
      known_head_ = head_.load(std::memory_order_acquire);
    }
    return capacity() - (staged_ - known_head_);
  }
  // The next slot, to be filled before publish(). Only while room() is not 0.
  [[nodiscard]] T& stage() noexcept { return *::new (place(staged_++)) T; }
  [[nodiscard]] bool has_staged() const noexcept { return staged_ != tail_.load(std::memory_order_relaxed); }
  // Shows everything staged to the reader.
  void publish() noexcept { tail_.store(staged_, std::memory_order_release); }

  // ---- the reader ----

  // The oldest slot not taken yet, or null.
  [[nodiscard]] T* front() noexcept {
    if (taken_ == known_tail_) {
      known_tail_ = tail_.load(std::memory_order_acquire);
    }
    return taken_ == known_tail_ ? nullptr : std::launder(static_cast<T*>(place(taken_)));
  }
  // Done with front(); its slot is the writer's again after release().
  void take() noexcept { ++taken_; }
  void release() noexcept { head_.store(taken_, std::memory_order_release); }
  [[nodiscard]] bool empty() noexcept { return front() == nullptr; }

 private:
  static constexpr std::align_val_t kAlignment{kCacheLine};
  struct Free {
    void operator()(std::byte* bytes) const noexcept { ::operator delete(bytes, kAlignment); }
  };

  [[nodiscard]] void* place(std::size_t count) noexcept { return bytes_.get() + (count & mask_) * sizeof(T); }

  // Counts that only grow; the low bits are the slot. Each thread writes its own lines only.
  alignas(kCacheLine) std::atomic<std::size_t> tail_{0};
  alignas(kCacheLine) std::size_t staged_ = 0;
  std::size_t known_head_ = 0;
  alignas(kCacheLine) std::atomic<std::size_t> head_{0};
  alignas(kCacheLine) std::size_t taken_ = 0;
  std::size_t known_tail_ = 0;
  alignas(kCacheLine) std::unique_ptr<std::byte, Free> bytes_;
  std::size_t mask_;
};

}  // namespace exchange
