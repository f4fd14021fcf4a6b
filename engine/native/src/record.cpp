#include "exchange/record.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "exchange/crc32c.hpp"

namespace exchange {

namespace {

// Byte offsets, format version 2. What lies between the fields is zero.
constexpr std::size_t kCrcAt = 0;  // u32 over everything behind it
constexpr std::size_t kKindAt = 4;
constexpr std::size_t kSideAt = 5;
constexpr std::size_t kOrdTypeAt = 6;
constexpr std::size_t kTifAt = 7;
constexpr std::size_t kEpochAt = 8;
constexpr std::size_t kSeqNumAt = 16;
constexpr std::size_t kBatchFirstAt = 24;
constexpr std::size_t kTsAt = 32;
constexpr std::size_t kFirmAt = 40;
constexpr std::size_t kInstrumentAt = 44;
constexpr std::size_t kPriceAt = 48;
constexpr std::size_t kQtyAt = 56;
constexpr std::size_t kStopPriceAt = 64;
constexpr std::size_t kOrderIdAt = 72;
constexpr std::size_t kStpAt = 80;
constexpr std::size_t kStateAt = 81;
constexpr std::size_t kClOrdIdLengthAt = 82;
constexpr std::size_t kReservedAt = 83;  // 5 bytes
constexpr std::size_t kClOrdIdAt = 88;
static_assert(kClOrdIdAt + kMaxClOrdIdLength == kRecordSize);
static_assert(kRecordSize - kKindAt == kRecordCrcBytes);

constexpr std::uint64_t kEveryByte = 0x0101'0101'0101'0101;
constexpr std::uint64_t kTopBits = 0x80 * kEveryByte;

// What a ClOrdId is made of. The text comes here from a checked record and is checked once more by words, so the
// byte by byte reading of ClOrdId::parse() is left out.
struct ClOrdIdParts {
  std::array<std::uint8_t, kMaxClOrdIdLength> text;
  std::uint8_t length;
};
static_assert(sizeof(ClOrdIdParts) == sizeof(ClOrdId) && std::is_trivially_copyable_v<ClOrdId>);

// The whole file is little-endian; a mirror of bytes.hpp's loops that every compiler makes one move of.
template <typename T>
T load(const std::uint8_t* at) noexcept {
  static_assert(std::endian::native == std::endian::little, "the log's fast path reads the fields as they stand");
  T value{};
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <typename T>
void store(std::uint8_t* at, T value) noexcept {
  std::memcpy(at, &value, sizeof value);
}

// The value as byte `place` of a word.
template <typename T>
std::uint32_t byte_at(unsigned place, T value) noexcept {
  return static_cast<std::uint32_t>(static_cast<std::uint8_t>(value)) << (8 * place);
}

// 0xFF in every byte of the word that the text reaches, for a word that starts `from` bytes into it.
std::uint64_t text_mask(std::size_t length, std::size_t from) noexcept {
  if (length >= from + 8) {
    return ~std::uint64_t{0};
  }
  return length <= from ? 0 : (std::uint64_t{1} << (8 * (length - from))) - 1;
}

// Printable ASCII (0x20..0x7E) as far as the text goes, zeros behind it.
bool good_text(const std::uint8_t* text, std::size_t length) noexcept {
  if (length > kMaxClOrdIdLength) {
    return false;
  }
  std::uint64_t bad = 0;
  for (std::size_t at = 0; at < kMaxClOrdIdLength; at += 8) {
    const auto word = load<std::uint64_t>(text + at);
    const std::uint64_t inside = text_mask(length, at);
    // Bytes with the top bit set are wrong by themselves; without it neither the sum nor the difference carries over.
    const std::uint64_t low = word & ~kTopBits;
    const std::uint64_t at_least_space = low + 0x60 * kEveryByte;  // top bit: byte >= 0x20
    const std::uint64_t delete_or_more = low + 0x01 * kEveryByte;  // top bit: byte == 0x7F
    bad |= (word & ~inside) | ((word | ~at_least_space | delete_or_more) & kTopBits & inside);
  }
  return bad == 0;
}

std::uint32_t record_crc(std::span<const std::uint8_t, kRecordSize> bytes) noexcept { return crc32c_record(bytes.subspan<kKindAt>()); }

void load_command(const std::uint8_t* from, Command& command) noexcept {
  command.kind = static_cast<CommandKind>(from[kKindAt]);
  command.side = static_cast<Side>(from[kSideAt]);
  command.ord_type = static_cast<OrdType>(from[kOrdTypeAt]);
  command.tif = static_cast<TimeInForce>(from[kTifAt]);
  command.stp = static_cast<StpMode>(from[kStpAt]);
  command.state = static_cast<SessionState>(from[kStateAt]);
  command.firm = load<FirmId>(from + kFirmAt);
  command.instrument = load<InstrumentId>(from + kInstrumentAt);
  command.price_ticks = load<Price>(from + kPriceAt);
  command.qty = load<Qty>(from + kQtyAt);
  command.stop_price_ticks = load<Price>(from + kStopPriceAt);
  command.order_id = load<OrderId>(from + kOrderIdAt);
  command.ts_ns = load<TimeNs>(from + kTsAt);
}

}  // namespace

bool all_zero(std::span<const std::uint8_t> bytes) noexcept {
  std::size_t at = 0;
  for (; at + 64 <= bytes.size(); at += 64) {
    std::uint64_t any = 0;
    for (std::size_t word = 0; word < 64; word += 8) {
      any |= load<std::uint64_t>(bytes.data() + at + word);
    }
    if (any != 0) {
      return false;
    }
  }
  return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::uint32_t encode_record(const LogRecord& record, std::span<std::uint8_t, kRecordSize> to) noexcept {
  const Command& command = record.command;
  const auto parts = std::bit_cast<ClOrdIdParts>(command.cl_ord_id);  // zeros behind its text
  // Made here, because `to` may be a shared file and gets the whole at once; in words, because the CRC reads words and
  // would have to wait for bytes to be put together.
  std::array<std::uint8_t, kRecordSize> bytes;  // every byte is written below
  std::uint8_t* const at = bytes.data();
  store(at + kKindAt, byte_at(0, command.kind) | byte_at(1, command.side) | byte_at(2, command.ord_type) | byte_at(3, command.tif));
  store(at + kEpochAt, record.epoch);
  store(at + kSeqNumAt, record.seq_num);
  store(at + kBatchFirstAt, record.batch_first_seq);
  store(at + kTsAt, command.ts_ns);
  store(at + kFirmAt, command.firm | static_cast<std::uint64_t>(command.instrument) << 32U);
  store(at + kPriceAt, command.price_ticks);
  store(at + kQtyAt, command.qty);
  store(at + kStopPriceAt, command.stop_price_ticks);
  store(at + kOrderIdAt, command.order_id);
  store<std::uint64_t>(at + kStpAt, byte_at(0, command.stp) | byte_at(1, command.state) | byte_at(2, parts.length));
  std::memcpy(at + kClOrdIdAt, parts.text.data(), kMaxClOrdIdLength);
  const std::uint32_t crc = record_crc(bytes);
  store(at + kCrcAt, crc);
  std::memcpy(to.data(), at, kRecordSize);
  return crc;
}

RecordState decode_record(std::span<const std::uint8_t, kRecordSize> from, LogRecord& record) noexcept {
  const std::uint8_t* const at = from.data();
  if (load<std::uint64_t>(at) == 0) {  // no record has the kind 0
    return all_zero(from) ? RecordState::empty : RecordState::damaged;
  }
  record.crc = load<std::uint32_t>(at + kCrcAt);
  if (record.crc != record_crc(from)) {
    return RecordState::damaged;
  }
  load_command(at, record.command);
  record.epoch = load<std::uint64_t>(at + kEpochAt);
  record.seq_num = load<SeqNum>(at + kSeqNumAt);
  record.batch_first_seq = load<SeqNum>(at + kBatchFirstAt);
  const std::uint64_t reserved = load<std::uint64_t>(at + kStpAt) >> (8 * (kReservedAt - kStpAt));
  if (reserved != 0 || !good_text(at + kClOrdIdAt, at[kClOrdIdLengthAt]) || !well_formed(record.command)) {
    return RecordState::damaged;
  }
  ClOrdIdParts parts{};
  std::memcpy(parts.text.data(), at + kClOrdIdAt, kMaxClOrdIdLength);
  parts.length = at[kClOrdIdLengthAt];
  record.command.cl_ord_id = std::bit_cast<ClOrdId>(parts);
  return RecordState::valid;
}

}  // namespace exchange
