#include "exchange/record.hpp"

#include <algorithm>
#include <cstring>

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"

namespace exchange {

namespace {

// Byte offsets. What lies between the fields and the end is zero.
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
constexpr std::size_t kOrderIdAt = 64;
constexpr std::size_t kClOrdIdLengthAt = 72;
constexpr std::size_t kClOrdIdAt = 73;
static_assert(kClOrdIdAt + kMaxClOrdIdLength <= kRecordSize);

std::uint32_t record_crc(std::span<const std::uint8_t, kRecordSize> bytes) noexcept { return crc32c(bytes.subspan<kKindAt>()); }

}  // namespace

void encode_record(const LogRecord& record, std::span<std::uint8_t, kRecordSize> to) noexcept {
  const Command& command = record.command;
  const std::string_view cl_ord_id = command.cl_ord_id.view();
  std::fill(to.begin(), to.end(), std::uint8_t{0});
  to[kKindAt] = static_cast<std::uint8_t>(command.kind);
  to[kSideAt] = static_cast<std::uint8_t>(command.side);
  to[kOrdTypeAt] = static_cast<std::uint8_t>(command.ord_type);
  to[kTifAt] = static_cast<std::uint8_t>(command.tif);
  store_le(&to[kEpochAt], record.epoch);
  store_le(&to[kSeqNumAt], record.seq_num);
  store_le(&to[kBatchFirstAt], record.batch_first_seq);
  store_le(&to[kTsAt], command.ts_ns);
  store_le(&to[kFirmAt], command.firm);
  store_le(&to[kInstrumentAt], command.instrument);
  store_le(&to[kPriceAt], command.price_ticks);
  store_le(&to[kQtyAt], command.qty);
  store_le(&to[kOrderIdAt], command.order_id);
  to[kClOrdIdLengthAt] = static_cast<std::uint8_t>(cl_ord_id.size());
  std::copy(cl_ord_id.begin(), cl_ord_id.end(), to.begin() + kClOrdIdAt);
  store_le(&to[kCrcAt], record_crc(to));
}

RecordState decode_record(std::span<const std::uint8_t, kRecordSize> from, LogRecord& record) noexcept {
  if (std::all_of(from.begin(), from.end(), [](std::uint8_t byte) { return byte == 0; })) {
    return RecordState::empty;
  }
  if (load_le<std::uint32_t>(&from[kCrcAt]) != record_crc(from)) {
    return RecordState::damaged;
  }
  Command& command = record.command;
  command.kind = static_cast<CommandKind>(from[kKindAt]);
  command.side = static_cast<Side>(from[kSideAt]);
  command.ord_type = static_cast<OrdType>(from[kOrdTypeAt]);
  command.tif = static_cast<TimeInForce>(from[kTifAt]);
  record.epoch = load_le<std::uint64_t>(&from[kEpochAt]);
  record.seq_num = load_le<SeqNum>(&from[kSeqNumAt]);
  record.batch_first_seq = load_le<SeqNum>(&from[kBatchFirstAt]);
  command.ts_ns = load_le<TimeNs>(&from[kTsAt]);
  command.firm = load_le<FirmId>(&from[kFirmAt]);
  command.instrument = load_le<InstrumentId>(&from[kInstrumentAt]);
  command.price_ticks = load_le<Price>(&from[kPriceAt]);
  command.qty = load_le<Qty>(&from[kQtyAt]);
  command.order_id = load_le<OrderId>(&from[kOrderIdAt]);
  const std::size_t length = from[kClOrdIdLengthAt];
  if (length > kMaxClOrdIdLength) {
    return RecordState::damaged;
  }
  const auto cl_ord_id = ClOrdId::parse({reinterpret_cast<const char*>(&from[kClOrdIdAt]), length});
  if (!cl_ord_id || !well_formed(command)) {
    return RecordState::damaged;
  }
  command.cl_ord_id = *cl_ord_id;
  return RecordState::valid;
}

}  // namespace exchange
