// Memory that the match path may use without asking anybody: reserved once as address space, touched page by page.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace exchange {

// Zeroed pages of address space; costs memory only where it was touched.
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t bytes) : bytes_(bytes) {
    at_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at_ == MAP_FAILED) {
      at_ = nullptr;
      throw std::bad_alloc();
    }
  }
  Pages(Pages&& other) noexcept : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (at_ != nullptr) {
      ::munmap(at_, bytes_);
    }
  }
  [[nodiscard]] void* get() const noexcept { return at_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  // What stays small shall not cost a huge page: advice for what lies behind this.
  static constexpr std::size_t kSmall = std::size_t{1} << 21U;
  // Where there are no huge pages, small ones do. From zero on the advice parts nothing that grow() must move as one.
  void advise_huge(std::size_t from) const noexcept {
    if (bytes_ > from) {
      (void)::madvise(static_cast<std::uint8_t*>(at_) + from, bytes_ - from, MADV_HUGEPAGE);
    }
  }
  // The pages that were touched move as they are, by their table; nothing is copied.
  void grow(std::size_t bytes) {
    void* const moved = ::mremap(at_, bytes_, bytes, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {
      throw std::bad_alloc();
    }
    at_ = moved;
    bytes_ = bytes;
  }

 private:
  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

// Where a piece of memory will be used next, and how much of it is left: told by the thread that uses it, read by one that
// makes ready what is ahead (exchange/memory_ahead.hpp). What is read may be old, or half of it may be: it is advice, and
// no byte is written by it.
class Front {
 public:
  struct Range {
    std::uintptr_t next = 0;
    std::size_t bytes = 0;
  };

  Front() = default;
  Front(const void* next, std::size_t bytes) noexcept { tell(next, bytes); }
  Front(const Front& other) noexcept { *this = other; }
  Front(Front&& other) noexcept { *this = other; }
  Front& operator=(const Front& other) noexcept {
    next_.store(other.next_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    bytes_.store(other.bytes_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    return *this;
  }
  Front& operator=(Front&& other) noexcept { return *this = other; }
  ~Front() = default;

  void tell(const void* next, std::size_t bytes) noexcept {
    next_.store(reinterpret_cast<std::uintptr_t>(next), std::memory_order_relaxed);
    bytes_.store(bytes, std::memory_order_relaxed);
  }
  [[nodiscard]] Range read() const noexcept { return {next_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed)}; }

 private:
  std::atomic<std::uintptr_t> next_{0};
  std::atomic<std::size_t> bytes_{0};
};

// A fixed number of Ts, all bits zero at first.
template <typename T>
class FlatArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  explicit FlatArray(std::size_t capacity) : pages_(capacity * sizeof(T)), data_(static_cast<T*>(pages_.get())) {
    pages_.advise_huge(Pages::kSmall);
  }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] Front::Range from(std::size_t i) const noexcept {
    return {reinterpret_cast<std::uintptr_t>(data_ + i), pages_.bytes() - i * sizeof(T)};
  }

 private:
  Pages pages_;
  T* data_;
};

// Ts without an end, all bits zero at first, in one piece of address space: 2^Bits of them, doubled when that is too
// little. It may move then, so keep numbers and no references.
template <typename T, unsigned Bits>
class GrowingArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  // Makes the first `count` usable. Throws std::bad_alloc.
  void reach(std::size_t count) {
    while (count > usable_) [[unlikely]] {
      step();
    }
  }
  // Gives back the memory of the whole pages in from..end-1 that hold only zeros, and that of all before `from`, which
  // are zero from then on. They stay usable.
  void trim(std::size_t from, std::size_t end) noexcept {
    const std::size_t first = from / kPerPage * kPerPage;
    if (first > trimmed_) {
      give_back(trimmed_, first - trimmed_);
      trimmed_ = first;
    }
    for (std::size_t page = first; page + kPerPage <= end; page += kPerPage) {
      const auto* const words = reinterpret_cast<const std::uint64_t*>(&data_[page]);
      if (std::all_of(words, words + kPage / sizeof(std::uint64_t), [](std::uint64_t word) { return word == 0; })) {
        give_back(page, kPerPage);
      }
    }
  }
  // The piece in use, of a small number of pages, and what lies behind it.
  [[nodiscard]] Front::Range front() const noexcept { return front_.read(); }

 private:
  static constexpr std::size_t kPage = 4096;
  static_assert(kPage % sizeof(T) == 0);
  static constexpr std::size_t kPerPage = kPage / sizeof(T);

  void give_back(std::size_t from, std::size_t count) noexcept { (void)::madvise(&data_[from], count * sizeof(T), MADV_DONTNEED); }
  [[gnu::noinline, gnu::cold]] void step() {
    const std::size_t used = usable_ * sizeof(T);
    const bool full = used == pages_.bytes();
    if (full) {
      pages_.grow(2 * pages_.bytes());
      data_ = static_cast<T*>(pages_.get());
    }
    if (full || used <= Pages::kSmall) {
      pages_.advise_huge(0);
    }
    usable_ = std::min(used + Pages::kSmall, pages_.bytes()) / sizeof(T);
    front_.tell(data_ + used / sizeof(T), pages_.bytes() - used);
  }

  Pages pages_{sizeof(T) << Bits};
  T* data_ = static_cast<T*>(pages_.get());
  std::size_t usable_ = std::min(pages_.bytes(), Pages::kSmall) / sizeof(T);  // grows by pieces of kSmall, to tell front() where we are
  std::size_t trimmed_ = 0;
  Front front_{data_, pages_.bytes()};
};

// Blocks of a few sizes (powers of two), given back to lists of their own.
class BlockArena {
 public:
  // Zeroed. `shift`: the block has 2^shift bytes, at most 2^kMaxShift.
  [[nodiscard]] void* take(unsigned shift) {
    Free*& list = free_[shift];
    if (list != nullptr) {
      Free* const block = list;
      list = block->next;
      block->next = nullptr;  // the rest of a free block is kept zero
      return block;
    }
    const std::size_t size = std::size_t{1} << shift;
    if (left_ < size) {
      begin_chunk();
    }
    void* const block = at_;
    at_ += size;
    left_ -= size;
    front_.tell(at_, left_);
    return block;
  }
  [[nodiscard]] Front::Range front() const noexcept { return front_.read(); }
  // The block must be zero again.
  void give_back(void* block, unsigned shift) noexcept {
    auto* const made = static_cast<Free*>(block);
    made->next = free_[shift];
    free_[shift] = made;
  }
  static constexpr unsigned kMaxShift = 17;

 private:
  struct Free {
    Free* next;
  };
  static constexpr std::size_t kChunk = std::size_t{1} << 28U;  // address space; costs memory where it is used

  void begin_chunk() {
    chunks_.emplace_back(kChunk).advise_huge(Pages::kSmall);
    at_ = static_cast<std::uint8_t*>(chunks_.back().get());
    left_ = kChunk;
  }

  Free* free_[kMaxShift + 1] = {};  // NOLINT(modernize-avoid-c-arrays)
  std::vector<Pages> chunks_;
  std::uint8_t* at_ = nullptr;
  std::size_t left_ = 0;
  Front front_;
};

}  // namespace exchange
