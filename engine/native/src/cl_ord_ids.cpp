#include "exchange/cl_ord_ids.hpp"

#include "exchange/digest.hpp"

namespace exchange {

namespace {

constexpr std::size_t kFirstCells = 1024;

// Never shown and never iterated: no output depends on it.
std::uint64_t hash_of(FirmId firm, const ClOrdId& cl_ord_id) noexcept {
  Digest digest;
  digest.word(std::uint64_t{firm});
  digest.text(cl_ord_id.view());
  const std::uint64_t mixed = digest.value() * 0x9E3779B97F4A7C15ULL;
  return mixed ^ (mixed >> 32U);
}

constexpr std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32U); }

}  // namespace

OrderId ClOrdIds::find(FirmId firm, const ClOrdId& cl_ord_id) const noexcept {
  if (cells_.empty()) {
    return 0;
  }
  const std::uint64_t hash = hash_of(firm, cl_ord_id);
  const std::size_t mask = cells_.size() - 1;
  for (std::size_t at = hash & mask; cells_[at].entry != 0; at = (at + 1) & mask) {
    if (cells_[at].tag != tag_of(hash)) {
      continue;
    }
    const Entry& entry = entries_[cells_[at].entry - 1];
    if (entry.firm == firm && entry.cl_ord_id.view() == cl_ord_id.view()) {
      return entry.order_id;
    }
  }
  return 0;
}

void ClOrdIds::insert(FirmId firm, const ClOrdId& cl_ord_id, OrderId order_id) {
  entries_.push_back({cl_ord_id, firm, order_id});
  if (entries_.size() * 2 > cells_.size()) {
    grow();
  } else {
    place(hash_of(firm, cl_ord_id), static_cast<std::uint32_t>(entries_.size()));
  }
}

void ClOrdIds::grow() {
  cells_.assign(cells_.empty() ? kFirstCells : cells_.size() * 2, Cell{});
  std::uint32_t number = 0;
  for (const Entry& entry : entries_) {
    place(hash_of(entry.firm, entry.cl_ord_id), ++number);
  }
}

void ClOrdIds::place(std::uint64_t hash, std::uint32_t entry) noexcept {
  const std::size_t mask = cells_.size() - 1;
  std::size_t at = hash & mask;
  while (cells_[at].entry != 0) {
    at = (at + 1) & mask;
  }
  cells_[at] = {tag_of(hash), entry};
}

}  // namespace exchange
