// Memory that the match path may use without asking anybody: reserved once as address space, touched page by page.
#pragma once

#include <sys/mman.h>

#include <algorithm>
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
    // Advice: where there are no huge pages, small ones do. What stays small shall not cost a huge page.
    if (bytes > kSmall) {
      (void)::madvise(static_cast<std::uint8_t*>(at_) + kSmall, bytes - kSmall, MADV_HUGEPAGE);
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

 private:
  static constexpr std::size_t kSmall = std::size_t{1} << 21U;

  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

// A fixed number of Ts, all bits zero at first.
template <typename T>
class FlatArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  explicit FlatArray(std::size_t capacity) : pages_(capacity * sizeof(T)), data_(static_cast<T*>(pages_.get())) {}
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }

 private:
  Pages pages_;
  T* data_;
};

// Ts without an end, in chunks that never move. Reserving the next chunk is one system call in 2^Bits insertions.
template <typename T, unsigned Bits>
class ChunkedArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return chunk(i)[i & kMask]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return chunk(i)[i & kMask]; }
  // Makes `from`..count-1 usable; what lies before stays as it is, or is never asked for.
  void reach(std::size_t count, std::size_t from = 0) {
    while (chunks_.size() << Bits < count) {
      const bool wanted = (chunks_.size() + 1) << Bits > from;
      chunks_.push_back(wanted ? Pages(sizeof(T) << Bits) : Pages());
    }
  }
  // Gives back the memory of the whole pages in from..end-1 that hold only zeros; they stay usable. And that of whole
  // chunks before `from`, which are not.
  void trim(std::size_t from, std::size_t end) noexcept {
    for (std::size_t chunk = 0; chunk < from >> Bits; ++chunk) {
      chunks_[chunk] = Pages();
    }
    constexpr std::size_t kPage = 4096;
    static_assert(kPage % sizeof(T) == 0);
    constexpr std::size_t kPerPage = kPage / sizeof(T);
    for (std::size_t first = from / kPerPage * kPerPage; first + kPerPage <= end; first += kPerPage) {
      auto* const page = reinterpret_cast<const std::uint64_t*>(&(*this)[first]);
      if (std::all_of(page, page + kPage / sizeof(std::uint64_t), [](std::uint64_t word) { return word == 0; })) {
        (void)::madvise(&(*this)[first], kPage, MADV_DONTNEED);
      }
    }
  }
  void clear() noexcept { chunks_.clear(); }

 private:
  static constexpr std::size_t kMask = (std::size_t{1} << Bits) - 1;
  [[nodiscard]] T* chunk(std::size_t i) const noexcept { return static_cast<T*>(chunks_[i >> Bits].get()); }

  std::vector<Pages> chunks_;
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
      chunks_.emplace_back(kChunk);
      at_ = static_cast<std::uint8_t*>(chunks_.back().get());
      left_ = kChunk;
    }
    void* const block = at_;
    at_ += size;
    left_ -= size;
    return block;
  }
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
  static constexpr std::size_t kChunk = std::size_t{1} << 25U;

  Free* free_[kMaxShift + 1] = {};  // NOLINT(modernize-avoid-c-arrays)
  std::vector<Pages> chunks_;
  std::uint8_t* at_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace exchange
