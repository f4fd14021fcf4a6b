// The snapshots of a folder, held against the log beside them.
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "exchange/snapshot.hpp"
#include "log_scan.hpp"

namespace exchange {

namespace {

bool holds(const LogSegmentInfo& info, SeqNum seq_num, std::uint32_t crc) {
  const UniqueFd fd(::open(info.path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<std::uint8_t, kRecordSize> bytes{};
  LogRecord record;
  return fd && read_at(fd.get(), bytes, offset_in(info, seq_num)).bytes == bytes.size() &&
         decode_record(bytes, record) == RecordState::valid && record.seq_num == seq_num && record.crc == crc;
}

LogSnapshot look_at(const std::string& path, bool whole) {
  LogSnapshot found;
  found.path = path;
  try {
    const SnapshotInfo info = whole ? check_snapshot(path) : read_snapshot_header(path);
    found.seq_num = info.seq_num;
    found.record_crc = info.record_crc;
  } catch (const SnapshotError& error) {
    found.wrong = error.what();
    const std::string name = std::filesystem::path(path).filename().string();
    (void)std::from_chars(name.data(), name.data() + name.size(), found.seq_num);
  }
  return found;
}

}  // namespace

std::vector<LogSnapshot> snapshots_of(const std::string& dir, bool whole) {
  std::vector<LogSnapshot> found;
  std::vector<std::string> paths;
  try {
    paths = list_snapshots(dir);
  } catch (const SnapshotError&) {  // a start replays the whole log then
    return found;
  }
  for (const std::string& path : paths) {
    LogSnapshot one = look_at(path, whole);
    std::error_code ignored;
    if (one.wrong.empty() || std::filesystem::exists(path, ignored)) {  // a running core removes old ones
      found.push_back(std::move(one));
    }
  }
  return found;
}

void hold_against(const std::vector<LogSegmentInfo>& segments, std::vector<LogSnapshot>& snapshots) {
  for (LogSnapshot& one : snapshots) {
    one.in_log = one.wrong.empty() && std::any_of(segments.begin(), segments.end(), [&one](const LogSegmentInfo& info) {
      return one.seq_num >= info.first_seq_num && one.seq_num < info.first_seq_num + info.places && holds(info, one.seq_num, one.record_crc);
    });
  }
}

}  // namespace exchange
