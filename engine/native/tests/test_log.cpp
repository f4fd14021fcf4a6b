#include <array>
#include <fstream>
#include <vector>

#include "check.hpp"
#include "exchange/crc32c.hpp"
#include "exchange/log.hpp"
#include "support.hpp"

namespace {

using namespace exchange;

constexpr std::size_t kHeader = 4096;

LogConfig config_for(const support::TempDir& dir, std::uint64_t segment_records = 64) {
  LogConfig config;
  config.dir = dir.path();
  config.config_digest = 42;
  config.segment_records = segment_records;
  return config;
}

std::vector<LogRecord> read_all(const LogConfig& config, RecoveryReport* report = nullptr) {
  std::vector<LogRecord> records;
  Log log(config);
  const RecoveryReport made = log.recover([&records](const LogRecord& record) { records.push_back(record); });
  if (report != nullptr) {
    *report = made;
  }
  return records;
}

// Batches of 1, 2, 3, ... commands until there are `count`.
void write_log(const LogConfig& config, std::size_t count) {
  Log log(config);
  (void)log.recover([](const LogRecord&) {});
  std::size_t written = 0;
  for (std::size_t size = 1; written < count; ++size) {
    std::vector<Command> batch;
    for (std::size_t i = 0; i < size && written < count; ++i, ++written) {
      batch.push_back(support::new_order(Side::sell, static_cast<Price>(written + 1), 10));
    }
    CHECK(log.append(batch) == AppendResult::written);
  }
  CHECK(log.last_seq_num() == count && log.durable_seq_num() == count);
}

void scribble(const LogConfig& config, std::size_t offset) {
  std::fstream file(config.dir + "/00000001.log", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put('\x5A');
}

TEST("both CRC versions agree on every length and alignment") {
  support::Random random(3);
  std::vector<std::uint8_t> data(300);
  for (auto& byte : data) {
    byte = static_cast<std::uint8_t>(random.next());
  }
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t size = 0; from + size <= data.size(); ++size) {
      const auto part = std::span<const std::uint8_t>(data).subspan(from, size);
      CHECK(crc32c(part) == crc32c_table(part));
    }
  }
}

TEST("a record comes back as it was written") {
  LogRecord record;
  record.command = support::new_order(Side::sell, 123456789, 77, 9, TimeInForce::fok);
  record.command.cl_ord_id = *ClOrdId::parse(std::string(40, 'z'));
  record.command.ts_ns = -1;
  record.epoch = 3;
  record.seq_num = 12;
  record.batch_first_seq = 10;
  std::array<std::uint8_t, kRecordSize> bytes{};
  encode_record(record, bytes);
  LogRecord back;
  CHECK(decode_record(bytes, back) == RecordState::valid);
  CHECK(back.command.cl_ord_id.view() == record.command.cl_ord_id.view());
  CHECK(back.command.price_ticks == 123456789 && back.command.firm == 9 && back.command.ts_ns == -1);
  CHECK(back.epoch == 3 && back.seq_num == 12 && back.batch_first_seq == 10);
  for (std::size_t bit = 0; bit < kRecordSize * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK(decode_record(bytes, back) == RecordState::damaged);
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
}

TEST("batches that straddle segments come back whole and in order") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir, 7);
  write_log(config, 100);
  RecoveryReport report;
  const auto records = read_all(config, &report);
  CHECK(records.size() == 100 && report.segments == 15 && report.torn_records_cut == 0);
  for (std::size_t i = 0; i < records.size(); ++i) {
    CHECK(records[i].seq_num == i + 1 && records[i].command.price_ticks == static_cast<Price>(i + 1));
  }
}

TEST("one batch of the greatest size fits, over many small segments too") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir, 100);
  Log log(config);
  (void)log.recover([](const LogRecord&) {});
  const std::vector<Command> batch(kMaxBatch, support::new_order(Side::buy, 1, 1));
  CHECK(log.append(batch) == AppendResult::written);
  CHECK(log.append(std::vector<Command>(kMaxBatch + 1)) == AppendResult::refused);
  CHECK(log.healthy() && log.last_seq_num() == kMaxBatch);
}

// The batches are 1, 2-3, 4-6, 7-10.
TEST("damage is cut in the last batch and refused before it") {
  for (std::size_t seq = 1; seq <= 10; ++seq) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir);
    write_log(config, 10);
    scribble(config, kHeader + (seq - 1) * kRecordSize + 50);
    if (seq >= 7) {
      CHECK(read_all(config).size() == seq - 1);
      RecoveryReport again;
      CHECK(read_all(config, &again).size() == seq - 1 && again.torn_records_cut == 0);
      continue;
    }
    try {
      (void)read_all(config);
      CHECK(false);
    } catch (const LogError& error) {
      const std::string place = "00000001.log: offset " + std::to_string(kHeader + (seq - 1) * kRecordSize);
      CHECK(std::string(error.what()).find(place) != std::string::npos);
    }
  }
}

TEST("a log that was never recovered, or was closed, takes nothing") {
  const support::TempDir dir;
  Log log(config_for(dir));
  const std::vector<Command> batch(1, support::new_order(Side::buy, 1, 1));
  CHECK(log.append(batch) == AppendResult::refused);
  (void)log.recover([](const LogRecord&) {});
  CHECK(log.append(batch) == AppendResult::written);
  log.close();
  CHECK(log.append(batch) == AppendResult::refused);
}

}  // namespace
