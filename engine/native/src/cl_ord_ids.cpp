#include "cl_ord_ids.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "exchange/bytes.hpp"

namespace exchange {

namespace {

constexpr std::size_t kFirstCells = std::size_t{1} << 21U;  // address space; costs memory where it is used
constexpr std::size_t kMovesPerInsert = 8;
constexpr std::size_t kMostTables = 16;

// Never shown and never iterated: no output depends on it.
std::uint64_t hash_of(FirmId firm, std::string_view text) noexcept {
  std::uint64_t hash = (std::uint64_t{firm} << 8U) ^ text.size() ^ 0x9E3779B97F4A7C15ULL;
  for (std::size_t at = 0; at < text.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min<std::size_t>(8, text.size() - at));
    hash = (hash ^ word) * 0x9FB21C651E98DF25ULL;
    hash ^= hash >> 32U;
  }
  return hash * 0x9E3779B97F4A7C15ULL;
}

// 32 bits of the hash, kept in the cell: they give the place too, so that a growing table reads no entry again.
constexpr std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32U); }

constexpr std::size_t place_of(std::uint32_t tag, std::size_t size) noexcept { return tag & (size - 1); }

}  // namespace

ClOrdIds::ClOrdIds() : table_(kFirstCells) { emptied_.reserve(kMostTables); }

OrderId ClOrdIds::find(FirmId firm, const ClOrdId& cl_ord_id) const noexcept {
  const std::string_view text = cl_ord_id.view();
  const std::uint64_t hash = hash_of(firm, text);
  const OrderId found = find_in(table_, hash, firm, text);
  return found == 0 && old_.size != 0 ? find_in(old_, hash, firm, text) : found;
}

OrderId ClOrdIds::find_in(const Table& table, std::uint64_t hash, FirmId firm, std::string_view text) const noexcept {
  const Cell* const cells = table.cells();
  for (std::size_t at = place_of(tag_of(hash), table.size); cells[at].entry != 0; at = (at + 1) & (table.size - 1)) {
    if (cells[at].tag != tag_of(hash)) {
      continue;
    }
    const Entry found = entry(cells[at].entry);
    if (found.firm == firm && found.text == text) {
      return found.order_id;
    }
  }
  return 0;
}

std::uint32_t ClOrdIds::insert(FirmId firm, const ClOrdId& cl_ord_id, OrderId order_id) {
  const std::string_view text = cl_ord_id.view();
  const std::uint32_t words = words_of(text.size());
  const std::uint32_t at = end_;
  end_ += words;
  ++count_;
  words_.reach(end_);
  words_[at] = order_id;
  auto* const bytes = reinterpret_cast<std::uint8_t*>(&words_[at]);
  store_le(bytes + 8, static_cast<std::uint16_t>(firm));
  bytes[10] = static_cast<std::uint8_t>(text.size());
  std::memcpy(bytes + kTextAt, text.data(), text.size());
  if (old_.size != 0) {
    move_some();
  } else if (std::size_t{count_} * 2 > table_.size) {
    grow();
  } else if (std::size_t{count_} * 8 > table_.size * 3 && next_.size == 0) {
    next_ = Table(table_.size * 2);
  }
  place(table_, tag_of(hash_of(firm, text)), at);
  return at;
}

ClOrdIds::Entry ClOrdIds::entry(std::uint32_t at) const noexcept {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&words_[at]);
  return {words_[at], load_le<std::uint16_t>(bytes + 8), {reinterpret_cast<const char*>(bytes + kTextAt), bytes[10]}};
}

void ClOrdIds::each(const std::function<void(const Entry&)>& visit) const {
  for (std::uint32_t at = 1; at < end_;) {
    const Entry one = entry(at);
    visit(one);
    at += words_of(one.text.size());
  }
}

void ClOrdIds::prefetch(FirmId firm, const ClOrdId& cl_ord_id) const noexcept {
  const std::uint32_t tag = tag_of(hash_of(firm, cl_ord_id.view()));
  __builtin_prefetch(table_.cells() + place_of(tag, table_.size), 1);
  if (old_.size != 0) {
    __builtin_prefetch(old_.cells() + place_of(tag, old_.size));
  }
}

void ClOrdIds::grow() {
  old_ = std::exchange(table_, std::exchange(next_, Table{}));
  moved_ = 0;
}

// The old table stays whole until all of it was copied: what is looked up in the meantime is in one of the two.
void ClOrdIds::move_some() noexcept {
  const std::size_t end = std::min(moved_ + kMovesPerInsert, old_.size);
  for (; moved_ < end; ++moved_) {
    const Cell cell = old_.cells()[moved_];
    if (cell.entry != 0) {
      place(table_, cell.tag, cell.entry);
    }
  }
  if (moved_ == old_.size) {
    if (emptied_.size() < kMostTables) {
      emptied_.push_back(std::move(old_.pages));  // given back with the whole at the end of the day, not on an order's way
    }
    old_ = Table{};
  }
}

void ClOrdIds::place(const Table& table, std::uint32_t tag, std::uint32_t entry) noexcept {
  Cell* const cells = table.cells();
  std::size_t at = place_of(tag, table.size);
  while (cells[at].entry != 0) {
    at = (at + 1) & (table.size - 1);
  }
  cells[at] = {tag, entry};
}

}  // namespace exchange
