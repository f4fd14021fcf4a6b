// Which (firm, cl_ord_id) pairs were accepted since the last end of day (or rest still), and the order each one made.
#pragma once

#include <cstdint>

#include "exchange/types.hpp"
#include "memory.hpp"

namespace exchange {

class ClOrdIds {
 public:
  struct Entry {
    OrderId order_id;
    FirmId firm;
    std::uint8_t length;
    char text[kMaxClOrdIdLength];  // NOLINT(modernize-avoid-c-arrays): trivially copyable and zeroed by its pages
    [[nodiscard]] std::string_view view() const noexcept { return {text, length}; }
  };

  ClOrdIds();
  // The order accepted under this pair, or 0.
  [[nodiscard]] OrderId find(FirmId firm, const ClOrdId& cl_ord_id) const noexcept;
  // Remembers a pair that find() does not know; returns its entry's number, from 1.
  std::uint32_t insert(FirmId firm, const ClOrdId& cl_ord_id, OrderId order_id);
  [[nodiscard]] const Entry& entry(std::uint32_t number) const noexcept { return entries_[number]; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  void prefetch(FirmId firm, const ClOrdId& cl_ord_id) const noexcept;

 private:
  // Open addressing: half of the hash and the entry's number (0: free).
  struct Cell {
    std::uint32_t tag;
    std::uint32_t entry;
  };
  // A power of two of cells, at most half full.
  struct Table {
    Pages pages;
    std::size_t size = 0;
    [[nodiscard]] Cell* cells() const noexcept { return static_cast<Cell*>(pages.get()); }
  };

  [[nodiscard]] OrderId find_in(const Table& table, std::uint64_t hash, FirmId firm, std::string_view text) const noexcept;
  static void place(const Table& table, std::uint32_t tag, std::uint32_t entry) noexcept;
  void grow();
  void move_some() noexcept;

  ChunkedArray<Entry, 24> entries_;
  std::uint32_t count_ = 0;
  Table table_;
  // While a grown table fills, the old one is emptied a few cells at a time, so that no single order pays for it all.
  Table old_;
  std::size_t moved_ = 0;
  std::vector<Pages> emptied_;
};

}  // namespace exchange
