// Arbitrary bytes as a record, as a segment file and as damage of a good log. Nothing may crash or take memory without
// bound; what decodes encodes to the same bytes; verify() and a start agree; a start either refuses or keeps a true
// prefix, and then finds nothing more to cut; what a repair leaves starts.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"
#include "exchange/log.hpp"
#include "exchange/log_tools.hpp"
#include "support.hpp"

namespace {

using namespace exchange;

constexpr std::size_t kCommands = 12;
constexpr std::size_t kPlaces = 5;
constexpr std::size_t kHeader = 4096;

LogConfig config_for(const std::string& dir) {
  LogConfig config;
  config.dir = dir;
  config.segment_records = kPlaces;
  return config;
}

void write_log(const std::string& dir) {
  Log log(config_for(dir));
  (void)log.recover({}, [](const LogRecord&) {});
  for (std::size_t first = 0; first < kCommands; first += 3) {
    std::vector<Command> batch;
    for (std::size_t i = first; i < first + 3; ++i) {
      batch.push_back(support::new_order(Side::buy, static_cast<Price>(i + 1), 1));
    }
    CHECK(log.append(batch) == AppendResult::written);
  }
}

void copy_files(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::create_directory(to);
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    std::filesystem::copy_file(entry.path(), to + "/" + entry.path().filename().string());
  }
}

void put(const std::string& path, std::uint64_t offset, std::span<const std::uint8_t> bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void damage(const std::string& dir, std::span<const std::uint8_t> bytes) {
  ByteReader from(bytes);
  while (from.remaining() >= 4) {
    const std::uint64_t segment = from.get<std::uint8_t>() % 3U + 1;
    const auto where = from.get<std::uint16_t>();
    // Half of the damage in the records, half anywhere in the file.
    const std::uint64_t offset = where % 2 == 0 ? kHeader + where % (kPlaces * kRecordSize) : where % (kHeader + kPlaces * kRecordSize);
    const std::array<std::uint8_t, 1> byte{from.get<std::uint8_t>()};
    put(dir + "/0000000" + std::to_string(segment) + ".log", offset, byte);
  }
}

// A record of these bytes, made to pass its CRC: what stands behind the CRC is the decoder's to refuse.
std::array<std::uint8_t, kRecordSize> with_crc(std::span<const std::uint8_t> bytes) {
  std::array<std::uint8_t, kRecordSize> record{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), kRecordSize - 4), record.begin() + 4);
  store_le(record.data(), crc32c(std::span<const std::uint8_t>(record).subspan(4)));
  return record;
}

void check_decode(std::span<const std::uint8_t, kRecordSize> bytes) {
  LogRecord record;
  if (decode_record(bytes, record) == RecordState::valid) {
    std::array<std::uint8_t, kRecordSize> again{};
    CHECK(encode_record(record, again) == record.crc);
    CHECK(std::equal(again.begin(), again.end(), bytes.begin()));
    CHECK(well_formed(record.command));
  }
}

// How many records a start kept, after checking that they are the true ones; nothing when it refused.
std::optional<std::size_t> recover(const std::string& dir, std::uint64_t& cut) {
  std::size_t kept = 0;
  try {
    Log log(config_for(dir));
    const auto check = [&kept](const LogRecord& record) {
      ++kept;
      CHECK(record.seq_num == kept && record.command.price_ticks == static_cast<Price>(kept));
    };
    cut = log.recover({}, check).torn_records_cut;
  } catch (const LogError&) {
    return std::nullopt;
  }
  return kept;
}

void check_start(const std::string& dir, bool starts) {
  const std::uint64_t good = verify_log(dir).records;
  std::uint64_t cut = 0;
  const auto first = recover(dir, cut);
  CHECK(first.has_value() == starts);
  if (!first) {
    return;
  }
  CHECK(good - *first <= 2);  // good records go only with a batch of 3 that has a bad one
  CHECK(recover(dir, cut) == first);
  CHECK(cut == 0);
}

// Reads all that can be read, whatever it is; true when a start would go on.
bool look_at(const std::string& dir) {
  const LogVerifyReport report = verify_log(dir);
  try {
    LogReader reader(dir);
    std::array<LogRecord, 7> records;
    while (reader.next(records) == records.size()) {
    }
    (void)reader.stop_text();
  } catch (const LogError&) {
    CHECK(!report.starts());
  }
  return report.starts();
}

// The rest of the input as a whole segment file: a good header with any number of places, or any bytes at all.
void check_file(const std::string& dir, std::span<const std::uint8_t> bytes) {
  const std::string path = dir + "/00000002.log";
  if (!bytes.empty() && bytes.front() % 2 == 0) {
    put(path, kHeader, bytes);
  } else {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  const LogRepairPlan plan = plan_repair(dir);
  CHECK(plan.needed != look_at(dir));
  if (plan.possible) {
    repair_log(dir, plan, "now");
    CHECK(look_at(dir));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const support::TempDir dir;
  static const std::string good = dir.path() + "/good";
  static std::uint64_t inputs = 0;
  if (inputs++ == 0) {
    write_log(good);
  }
  const std::span<const std::uint8_t> bytes(data, size);
  check_decode(with_crc(bytes));
  if (size >= kRecordSize) {
    check_decode(bytes.first<kRecordSize>());
  }
  const std::string tried = dir.path() + "/tried";
  copy_files(good, tried);
  damage(tried, bytes.first(std::min<std::size_t>(size, 24)));
  const bool starts = look_at(tried);
  if (inputs % 8 == 0) {  // a start makes and syncs files: slower by far
    check_start(tried, starts);
  }
  copy_files(good, tried);
  check_file(tried, bytes);
  return 0;
}
