#include <array>
#include <limits>

#include "exchange/crc32c.hpp"
#include "test_log_files.hpp"

namespace {

using namespace exchange;

LogRecord full_record() {
  LogRecord record;
  record.command = support::new_order(Side::sell, 123456789, 77, 9, TimeInForce::fok);
  record.command.ord_type = OrdType::stop_limit;
  record.command.stp = StpMode::decrement;
  record.command.state = SessionState::closing_auction;
  record.command.instrument = 99'999;
  record.command.stop_price_ticks = -5;
  record.command.order_id = std::numeric_limits<OrderId>::max();
  record.command.cl_ord_id = *ClOrdId::parse(std::string(40, 'z'));
  record.command.ts_ns = kMaxTsNs;
  record.epoch = 3;
  record.seq_num = 12;
  record.batch_first_seq = 10;
  return record;
}

bool same(const LogRecord& a, const LogRecord& b) {
  const Command& x = a.command;
  const Command& y = b.command;
  return x.kind == y.kind && x.side == y.side && x.ord_type == y.ord_type && x.tif == y.tif && x.stp == y.stp && x.state == y.state &&
         x.firm == y.firm && x.instrument == y.instrument && x.price_ticks == y.price_ticks && x.qty == y.qty &&
         x.stop_price_ticks == y.stop_price_ticks && x.order_id == y.order_id && x.ts_ns == y.ts_ns &&
         x.cl_ord_id.view() == y.cl_ord_id.view() && a.epoch == b.epoch && a.seq_num == b.seq_num &&
         a.batch_first_seq == b.batch_first_seq;
}

TEST("all CRC versions agree on every length and alignment") {
  support::Random random(3);
  std::vector<std::uint8_t> data(300);
  for (auto& byte : data) {
    byte = static_cast<std::uint8_t>(random.next());
  }
  for (std::size_t from = 0; from < 17; ++from) {
    for (std::size_t size = 0; from + size <= data.size(); ++size) {
      const auto part = std::span<const std::uint8_t>(data).subspan(from, size);
      CHECK(crc32c(part) == crc32c_table(part));
      CHECK(crc32c(part.subspan(size / 3), crc32c(part.first(size / 3))) == crc32c(part));
      CHECK(crc32c_table(part.subspan(size / 3), crc32c(part.first(size / 3))) == crc32c(part));
    }
    const auto record = std::span<const std::uint8_t, kRecordCrcBytes>(data.data() + from, kRecordCrcBytes);
    CHECK(crc32c_record(record) == crc32c_table(record));
  }
  const std::string check = "123456789";
  CHECK(crc32c({reinterpret_cast<const std::uint8_t*>(check.data()), check.size()}) == 0xE3069283);  // the standard's check value
}

TEST("a record comes back as it was written, and any changed bit is damage") {
  const LogRecord record = full_record();
  std::array<std::uint8_t, kRecordSize> bytes{};
  const std::uint32_t crc = encode_record(record, bytes);
  LogRecord back;
  CHECK(decode_record(bytes, back) == RecordState::valid);
  CHECK(same(record, back) && back.crc == crc);
  for (std::size_t bit = 0; bit < kRecordSize * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK(decode_record(bytes, back) == RecordState::damaged);
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
}

TEST("a place is empty only when every byte is zero") {
  std::array<std::uint8_t, kRecordSize> bytes{};
  LogRecord back;
  CHECK(decode_record(bytes, back) == RecordState::empty);
  for (std::size_t at = 0; at < kRecordSize; ++at) {
    bytes[at] = 1;
    CHECK(decode_record(bytes, back) == RecordState::damaged);
    bytes[at] = 0;
  }
}

// Bytes with a right CRC around a wrong inside: each byte value at each place of the text, and each length.
TEST("only printable text of the told length with zeros behind it is a client order id") {
  constexpr std::size_t kLengthAt = 82;
  constexpr std::size_t kTextAt = 88;
  for (std::size_t length = 0; length <= 41; length += (length == 40 ? 1 : 5)) {
    for (std::size_t place = 0; place < 40; place += 3) {
      for (unsigned value = 0; value < 256; ++value) {
        std::string bytes = log_files::encoded(full_record());
        for (std::size_t i = 0; i < 40; ++i) {
          bytes[kTextAt + i] = i < length ? 'a' : '\0';
        }
        bytes[kLengthAt] = static_cast<char>(length);
        bytes[kTextAt + place] = static_cast<char>(value);
        auto* const data = reinterpret_cast<std::uint8_t*>(bytes.data());
        const std::uint32_t crc = crc32c({data + 4, kRecordCrcBytes});
        for (unsigned i = 0; i < 4; ++i) {
          data[i] = static_cast<std::uint8_t>(crc >> (8 * i));
        }
        const bool good = length <= 40 && (place < length ? value >= ' ' && value <= '~' : value == 0);
        LogRecord back;
        const RecordState state = decode_record(std::span<const std::uint8_t, kRecordSize>(data, kRecordSize), back);
        CHECK(state == (good ? RecordState::valid : RecordState::damaged));
        CHECK(!good || log_files::encoded(back) == bytes);
      }
    }
  }
}

}  // namespace
