// Which (firm, cl_ord_id) pairs were accepted, and the order each one made. Grows for as long as the log does.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "exchange/types.hpp"

namespace exchange {

class ClOrdIds {
 public:
  // The order accepted under this pair, or 0.
  [[nodiscard]] OrderId find(FirmId firm, const ClOrdId& cl_ord_id) const noexcept;
  // Remembers a pair that find() does not know.
  void insert(FirmId firm, const ClOrdId& cl_ord_id, OrderId order_id);

 private:
  struct Entry {
    ClOrdId cl_ord_id;
    FirmId firm;
    OrderId order_id;
  };
  // Open addressing: the hash's upper half and the entry's number, from 1 (0: free).
  struct Cell {
    std::uint32_t tag = 0;
    std::uint32_t entry = 0;
  };

  void grow();
  void place(std::uint64_t hash, std::uint32_t entry) noexcept;

  std::deque<Entry> entries_;
  std::vector<Cell> cells_;  // a power of two, at most half full
};

}  // namespace exchange
