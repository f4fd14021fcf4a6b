#include "exchange/log_tools.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include "log_scan.hpp"

namespace exchange {

namespace {

using Kind = LogProblem::Kind;

// Asks the system's own list, because trying the lock would keep a core that starts just then from getting it.
bool lock_is_held(const std::string& dir) {
  struct stat file {};
  if (::stat((dir + "/lock").c_str(), &file) != 0) {
    return false;
  }
  std::array<char, 64> wanted{};
  std::snprintf(wanted.data(), wanted.size(), " %02x:%02x:%llu ", major(file.st_dev), minor(file.st_dev),
                static_cast<unsigned long long>(file.st_ino));
  std::ifstream locks("/proc/locks");
  std::string line;
  while (std::getline(locks, line)) {
    if (line.find("FLOCK") != std::string::npos && line.find(wanted.data()) != std::string::npos) {
      return true;
    }
  }
  return false;
}

void add_lost(LogRepairPlan& plan, SeqNum seq_num) {
  ++plan.lost_records;
  if (!plan.lost.empty() && plan.lost.back().second + 1 == seq_num) {
    ++plan.lost.back().second;
  } else if (plan.lost.size() < kMaxProblems) {
    plan.lost.emplace_back(seq_num, seq_num);
  }
}

// Every place of the file, whatever its header says of it.
void count_lost(const std::string& dir, std::uint64_t index, LogRepairPlan& plan) {
  constexpr std::size_t kChunkRecords = 512;
  const std::string path = segment_path(dir, index);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<std::uint8_t> chunk(kChunkRecords * kRecordSize);
  LogRecord record;
  std::uint64_t offset = kSegmentHeaderSize;
  std::size_t got = chunk.size();
  while (got == chunk.size()) {
    got = read_at(fd.get(), chunk, offset).bytes;
    for (std::size_t at = 0; at + kRecordSize <= got; at += kRecordSize) {
      const auto bytes = std::span<const std::uint8_t, kRecordSize>(chunk.data() + at, kRecordSize);
      if (decode_record(bytes, record) == RecordState::valid && record.seq_num >= plan.cut_from) {
        add_lost(plan, record.seq_num);
      }
    }
    offset += got;
  }
}

// Whole segments in front of the cut stay; the one with the cut inside keeps its front; what is behind goes.
void divide(const std::string& dir, const std::vector<LogSegmentInfo>& good, LogRepairPlan& plan) {
  bool keep = true;
  for (const std::uint64_t index : list_segments(dir)) {
    const auto info = std::find_if(good.begin(), good.end(), [index](const LogSegmentInfo& one) { return one.index == index; });
    keep = keep && info != good.end() && info->first_seq_num < plan.cut_from;
    if (keep && info->first_seq_num + info->places <= plan.cut_from) {
      continue;
    }
    count_lost(dir, index, plan);
    if (keep) {
      plan.zeroed = info->path;
    } else {
      plan.removed.push_back(segment_path(dir, index));
    }
    keep = false;
  }
}

void check_stamp(const std::string& stamp) {
  const bool good = !stamp.empty() && stamp.size() <= 32 && std::all_of(stamp.begin(), stamp.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-';
  });
  if (!good) {
    throw LogError("the stamp '" + stamp + "' cannot be part of a folder's name: use letters, digits and '-', at most 32");
  }
}

void sync_path(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const int error = fd ? sync_data(fd.get()) : errno;
  if (error != 0) {
    throw system_error_of(path, "cannot be synced", error);
  }
}

void zero_from(const std::string& dir, const LogRepairPlan& plan) {
  const std::uint64_t index = std::stoull(std::filesystem::path(plan.zeroed).stem().string());
  Segment segment;
  if (const auto problem = open_segment(dir, index, SegmentUse::device, segment)) {
    throw log_error(*problem, dir);
  }
  const std::uint64_t offset = segment.header.offset_of(plan.cut_from);
  const Transfer zeroed = zero_at(segment.fd.get(), segment.header.file_size() - offset, offset);
  const int error = zeroed.error != 0 ? zeroed.error : sync_data(segment.fd.get());
  if (error != 0) {
    throw system_error_of(plan.zeroed, "the cut could not be finished", error);
  }
}

// Copies first, moves from the end to the front, cuts last: a crash at any point leaves a log that refuses to start
// (or lost only what the plan named), and everything is in the folder of damage.
void carry_out(const std::string& dir, const LogRepairPlan& plan, const std::string& kept) {
  if (!std::filesystem::create_directory(kept)) {
    throw LogError(kept + ": is there already; give another stamp");
  }
  if (!plan.zeroed.empty()) {
    const std::string copy = kept + "/" + std::filesystem::path(plan.zeroed).filename().string();
    std::filesystem::copy_file(plan.zeroed, copy);
    sync_path(copy);
  }
  sync_path(kept);
  sync_path(dir);
  const std::vector<std::string> from_the_end(plan.removed.rbegin(), plan.removed.rend());
  for (const std::string& path : from_the_end) {
    std::filesystem::rename(path, kept + "/" + std::filesystem::path(path).filename().string());
    sync_path(kept);
    sync_path(dir);
  }
  if (!plan.zeroed.empty()) {
    zero_from(dir, plan);
  }
}

}  // namespace

bool LogVerifyReport::starts() const noexcept {
  return std::all_of(problems.begin(), problems.end(), [](const LogProblem& problem) { return problem.start_goes_on(); });
}

LogVerifyReport verify_log(const std::string& dir) {
  LogVerifyReport report;
  LogScan scan(
      dir, ScanRules{},
      [&report](const LogRecord& record) {
        if (report.problems.empty()) {
          report.last_seq_num = record.seq_num;
        }
      },
      [&report](const LogProblem& problem) {
        if (report.problems.size() < kMaxProblems) {
          report.problems.push_back(problem);
        } else {
          ++report.problems_left_off;
        }
      });
  scan.run();
  report.segments = scan.segments();
  for (const LogSegmentInfo& segment : report.segments) {
    report.records += segment.records;
  }
  report.in_use = lock_is_held(dir);
  return report;
}

LogRepairPlan plan_repair(const std::string& dir) {
  const LogVerifyReport report = verify_log(dir);
  LogRepairPlan plan;
  plan.needed = !report.starts();
  if (!plan.needed) {
    plan.reason = report.problems.empty() ? "there is nothing to repair" : report.problems.front().text();
    return plan;
  }
  plan.cut_from = std::numeric_limits<SeqNum>::max();
  for (const LogProblem& problem : report.problems) {
    if (problem.kind == Kind::stuck) {
      plan.cut_from = 0;
      plan.reason = problem.text();
      return plan;
    }
    if (!problem.start_goes_on() && problem.seq_num != 0 && problem.seq_num < plan.cut_from) {
      plan.cut_from = problem.seq_num;
      plan.reason = problem.text();
    }
  }
  plan.possible = true;
  divide(dir, report.segments, plan);
  return plan;
}

void repair_log(const std::string& dir, const LogRepairPlan& plan, const std::string& utc_stamp) {
  check_stamp(utc_stamp);
  const UniqueFd lock = lock_log(dir);
  const LogRepairPlan now = plan_repair(dir);
  if (!now.needed || !now.possible) {
    throw LogError(dir + ": " + (now.needed ? "cannot be repaired: " : "needs no repair: ") + now.reason);
  }
  if (now.cut_from != plan.cut_from || now.zeroed != plan.zeroed || now.removed != plan.removed || now.lost_records != plan.lost_records) {
    throw LogError(dir + ": the log is not as it was when the repair was planned; nothing was changed. Look at the plan again");
  }
  try {
    carry_out(dir, now, dir + "/damaged-" + utc_stamp);
  } catch (const std::filesystem::filesystem_error& error) {
    throw LogError(dir + ": the repair stopped: " + error.what() + "; make room or check owner and mode, and run it again");
  }
}

}  // namespace exchange
