// A good log, damaged as the bytes say: recovery either refuses, or keeps a true prefix, and then a second recovery
// finds the same prefix and nothing more to cut.
#include <fstream>
#include <optional>
#include <vector>

#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/log.hpp"
#include "support.hpp"

namespace {

using namespace exchange;

constexpr std::size_t kCommands = 12;

LogConfig config_for(const std::string& dir) {
  LogConfig config;
  config.dir = dir;
  config.segment_records = 5;
  config.ack_policy = AckPolicy::memory;
  return config;
}

void write_log(const std::string& dir) {
  Log log(config_for(dir));
  (void)log.recover([](const LogRecord&) {});
  for (std::size_t first = 0; first < kCommands; first += 3) {
    std::vector<Command> batch;
    for (std::size_t i = first; i < first + 3; ++i) {
      batch.push_back(support::new_order(Side::buy, static_cast<Price>(i + 1), 1));
    }
    CHECK(log.append(batch) == AppendResult::written);
  }
}

void damage(const std::string& dir, std::span<const std::uint8_t> bytes) {
  ByteReader from(bytes);
  while (from.remaining() >= 4) {
    const std::uint64_t segment = from.get<std::uint8_t>() % 3U + 1;
    const auto where = from.get<std::uint16_t>();
    // Half of the damage in the records, half anywhere in the file.
    const std::uint64_t offset = where % 2 == 0 ? 4096U + where % (5 * kRecordSize) : where % (4096U + 5 * kRecordSize);
    std::fstream file(dir + "/0000000" + std::to_string(segment) + ".log", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(from.get<std::uint8_t>()));
  }
}

// How many records a recovery kept, after checking that they are the true ones; nothing when it refused.
std::optional<std::size_t> recover(const std::string& dir, std::uint64_t& cut) {
  std::size_t kept = 0;
  try {
    Log log(config_for(dir));
    cut = log.recover([&kept](const LogRecord& record) {
               ++kept;
               CHECK(record.seq_num == kept && record.command.price_ticks == static_cast<Price>(kept));
             }).torn_records_cut;
  } catch (const LogError&) {
    return std::nullopt;
  }
  return kept;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const support::TempDir dir;
  write_log(dir.path());
  damage(dir.path(), {data, std::min<std::size_t>(size, 24)});
  std::uint64_t cut = 0;
  const auto first = recover(dir.path(), cut);
  if (!first) {
    return 0;
  }
  CHECK(*first >= kCommands - 3);  // only the last batch may be cut
  CHECK(recover(dir.path(), cut) == first);
  CHECK(cut == 0);
  return 0;
}
