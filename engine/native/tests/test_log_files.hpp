// Helpers of the log's tests: logs written and read whole, and damage done to their files.
#pragma once

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "check.hpp"
#include "exchange/log.hpp"
#include "exchange/log_tools.hpp"
#include "support.hpp"

namespace log_files {

using namespace exchange;

inline constexpr std::uint64_t kHeader = 4096;

inline LogConfig config_for(const std::string& dir, std::uint64_t segment_records = 64, AckPolicy policy = AckPolicy::device) {
  LogConfig config;
  config.dir = dir;
  config.config_digest = 42;
  config.segment_records = segment_records;
  config.ack_policy = policy;
  return config;
}

// Number `n` from 1 has the price n and the time n.
inline Command command(std::uint64_t n) {
  Command made = support::new_order(Side::sell, static_cast<Price>(n), 10);
  made.ts_ns = static_cast<TimeNs>(n);
  return made;
}

inline std::vector<LogRecord> read_all(const LogConfig& config, RecoveryReport* report = nullptr, const LogStart& from = {}) {
  std::vector<LogRecord> records;
  Log log(config);
  const RecoveryReport made = log.recover(from, [&records](const LogRecord& record) { records.push_back(record); });
  if (report != nullptr) {
    *report = made;
  }
  return records;
}

// What a start refuses with; nothing when it goes on.
inline std::optional<std::string> refusal(const LogConfig& config, const LogStart& from = {}) {
  try {
    (void)read_all(config, nullptr, from);
  } catch (const LogError& error) {
    return error.what();
  }
  return std::nullopt;
}

inline void open(Log& log) { (void)log.recover({}, [](const LogRecord&) {}); }

// Batches of 1, 2, 3, ... commands until there are `count`: 1, 2-3, 4-6, 7-10, ...
inline void write_log(const LogConfig& config, std::uint64_t count) {
  Log log(config);
  open(log);
  std::uint64_t written = 0;
  for (std::uint64_t size = 1; written < count; ++size) {
    std::vector<Command> batch;
    for (std::uint64_t i = 0; i < size && written < count; ++i) {
      batch.push_back(command(++written));
    }
    CHECK(log.append(batch) == AppendResult::written);
  }
  CHECK(log.last_seq_num() == count && log.written_seq_num() == count);
}

inline std::string segment_file(const std::string& dir, std::uint64_t index) {
  std::string name = std::to_string(index);
  return dir + "/" + std::string(8 - name.size(), '0') + name + ".log";
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline void overwrite(const std::string& path, std::uint64_t offset, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good());
}

// Where a record lies, in a log whose segments all have `records` places.
struct Place {
  Place(const std::string& dir, SeqNum seq_num, std::uint64_t records)
      : path(segment_file(dir, (seq_num - 1) / records + 1)), offset(kHeader + (seq_num - 1) % records * kRecordSize) {}
  std::string path;
  std::uint64_t offset;
  [[nodiscard]] std::string read() const { return bytes_of(path).substr(offset, kRecordSize); }
  void write(const std::string& bytes) const { overwrite(path, offset, bytes); }
  [[nodiscard]] std::string name() const { return path.substr(path.size() - 12) + ": offset " + std::to_string(offset) + ": "; }
};

inline LogRecord decoded(const std::string& bytes) {
  LogRecord record;
  const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  CHECK(decode_record(std::span<const std::uint8_t, kRecordSize>(at, kRecordSize), record) == RecordState::valid);
  return record;
}

inline std::string encoded(const LogRecord& record) {
  std::string bytes(kRecordSize, '\0');
  encode_record(record, std::span<std::uint8_t, kRecordSize>(reinterpret_cast<std::uint8_t*>(bytes.data()), kRecordSize));
  return bytes;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline void copy_log(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

}  // namespace log_files
