// Which (firm, cl_ord_id) pairs were accepted since the last end of day (or rest still), and the order each one made.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <vector>

#include "exchange/types.hpp"
#include "memory.hpp"

namespace exchange {

class ClOrdIds {
 public:
  struct Entry {
    OrderId order_id;
    FirmId firm;
    std::string_view text;
  };

  ClOrdIds();
  // The order accepted under this pair, or 0.
  [[nodiscard]] OrderId find(FirmId firm, const ClOrdId& cl_ord_id) const noexcept;
  // Remembers a pair that find() does not know; returns where its entry stands, never 0.
  std::uint32_t insert(FirmId firm, const ClOrdId& cl_ord_id, OrderId order_id);
  [[nodiscard]] Entry entry(std::uint32_t at) const noexcept;
  // Every entry, in the order in which they came.
  void each(const std::function<void(const Entry&)>& visit) const;
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  // No entry more has a place: after 32 GiB of them.
  [[nodiscard]] bool full() const noexcept { return end_ > kLastPlace; }
  void prefetch(FirmId firm, const ClOrdId& cl_ord_id) const noexcept;
  // Where the next entries will stand; the table; the one that takes its place when it is full, or nothing yet.
  [[nodiscard]] std::array<Front::Range, 3> ahead() const noexcept { return {words_.front(), table_.front.read(), next_.front.read()}; }

 private:
  // Open addressing: half of the hash and where the entry stands (0: free).
  struct Cell {
    std::uint32_t tag;
    std::uint32_t entry;
  };
  // A power of two of cells, at most half full.
  struct Table {
    Table() = default;
    explicit Table(std::size_t cells) : pages(cells * sizeof(Cell)), size(cells), front(pages.get(), pages.bytes()) {
      pages.advise_huge(Pages::kSmall);
    }
    Pages pages;
    std::size_t size = 0;
    Front front;  // all of it: nobody knows where it will be used next
    [[nodiscard]] Cell* cells() const noexcept { return static_cast<Cell*>(pages.get()); }
  };

  [[nodiscard]] OrderId find_in(const Table& table, std::uint64_t hash, FirmId firm, std::string_view text) const noexcept;
  static void place(const Table& table, std::uint32_t tag, std::uint32_t entry) noexcept;
  void grow();
  void move_some() noexcept;

  // Entries one behind the other, each as long as its text wants: the order's id, then two bytes of firm, one of length
  // and the text.
  static constexpr std::size_t kTextAt = 11;
  [[nodiscard]] static constexpr std::uint32_t words_of(std::size_t length) noexcept {
    return static_cast<std::uint32_t>((kTextAt + length + 7) / 8);
  }
  static constexpr std::uint32_t kLastPlace = std::numeric_limits<std::uint32_t>::max() - (kTextAt + kMaxClOrdIdLength + 7) / 8;

  GrowingArray<std::uint64_t, 26> words_;
  std::uint32_t end_ = 1;  // where the next entry stands
  std::uint32_t count_ = 0;
  Table table_;
  Table next_;  // twice as large, made some time before table_ is full
  // While a grown table fills, the old one is emptied a few cells at a time, so that no single order pays for it all.
  Table old_;
  std::size_t moved_ = 0;
  std::vector<Pages> emptied_;
};

}  // namespace exchange
