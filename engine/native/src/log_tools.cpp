#include "exchange/log_tools.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>

#include "log_scan.hpp"

namespace exchange {

namespace {

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

bool same(const LogProblem& one, const LogProblem& other) {
  return one.kind == other.kind && one.segment == other.segment && one.offset == other.offset && one.seq_num == other.seq_num;
}

bool among(const LogProblem& one, const std::vector<LogProblem>& problems) {
  return std::any_of(problems.begin(), problems.end(), [&one](const LogProblem& other) { return same(one, other); });
}

// Every record, from the first one on.
void read_all(const std::string& dir, LogVerifyReport& report) {
  SeqNum first_bad = std::numeric_limits<SeqNum>::max();
  LogScan scan(
      dir, ScanRules{},
      [&](const LogRecord& record) {
        if (record.seq_num < first_bad && record.seq_num == report.last_seq_num + 1) {
          report.last_seq_num = record.seq_num;
        }
      },
      [&](const LogProblem& problem) {
        if (problem.seq_num != 0) {
          first_bad = std::min(first_bad, problem.seq_num);
        }
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
}

// What a start reads: the same scan, behind the newest good snapshot.
void read_as_start(const std::string& dir, LogVerifyReport& report) {
  ScanRules rules;
  const auto newest = std::find_if(report.snapshots.begin(), report.snapshots.end(), [](const LogSnapshot& one) { return one.wrong.empty(); });
  if (newest != report.snapshots.end()) {
    rules.from = {newest->seq_num, newest->record_crc};
  }
  std::vector<LogProblem> met;
  LogScan scan(dir, rules, [](const LogRecord&) {}, [&](const LogProblem& problem) {
    report.refused = report.refused || !problem.start_goes_on();
    if (met.size() < kMaxProblems) {
      met.push_back(problem);
    }
  });
  scan.run();
  report.start_behind = rules.from.seq_num;
  report.start_last_seq_num = report.refused ? 0 : scan.next_seq_num() - 1;
  for (LogProblem& problem : report.problems) {
    problem.met_by_start = among(problem, met);
  }
  std::copy_if(met.begin(), met.end(), std::back_inserter(report.problems),
               [&report](const LogProblem& problem) { return !among(problem, report.problems); });
}

}  // namespace

bool LogVerifyReport::history_damaged() const noexcept {
  return !refused && std::any_of(problems.begin(), problems.end(), [](const LogProblem& problem) { return !problem.met_by_start; });
}

std::string LogVerifyReport::used_snapshot() const {
  const auto used = std::find_if(snapshots.begin(), snapshots.end(), [](const LogSnapshot& one) { return one.wrong.empty(); });
  return used == snapshots.end() ? std::string() : used->path;
}

LogVerifyReport verify_log(const std::string& dir) {
  LogVerifyReport report;
  report.snapshots = snapshots_of(dir, true);  // before the log: a running core makes new ones
  read_all(dir, report);
  hold_against(report.segments, report.snapshots);
  read_as_start(dir, report);
  report.in_use = lock_is_held(dir);
  return report;
}

}  // namespace exchange
