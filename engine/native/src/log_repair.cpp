// Which cut makes a damaged log start again, and the cut itself.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <utility>

#include "log_scan.hpp"

namespace exchange {

namespace {

using Kind = LogProblem::Kind;

constexpr SeqNum kNoCut = std::numeric_limits<SeqNum>::max();

struct Repair {
  LogRepairPlan plan;
  std::vector<SegmentMend> mends;
};

// Ranges of seq_nums as they come; put in order by sort_lost().
void add_lost(LogRepairPlan& plan, SeqNum seq_num) {
  ++plan.lost_records;
  if (!plan.lost.empty() && plan.lost.back().second + 1 == seq_num) {
    ++plan.lost.back().second;
  } else {
    plan.lost.emplace_back(seq_num, seq_num);
  }
}

void sort_lost(LogRepairPlan& plan) {
  std::sort(plan.lost.begin(), plan.lost.end());
  std::vector<std::pair<SeqNum, SeqNum>> joined;
  for (const auto& [from, to] : plan.lost) {
    if (!joined.empty() && from <= joined.back().second + 1) {
      joined.back().second = std::max(joined.back().second, to);
    } else {
      joined.emplace_back(from, to);
    }
  }
  joined.resize(std::min(joined.size(), kMaxProblems));
  plan.lost = std::move(joined);
}

// Every place of the file, whatever its header says of it.
void count_lost(const std::string& dir, std::uint64_t index, LogRepairPlan& plan) {
  each_good_record(segment_path(dir, index), [&plan](const LogRecord& record) {
    if (record.seq_num >= plan.cut_from) {
      add_lost(plan, record.seq_num);
    }
  });
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
  sort_lost(plan);
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

void copy_to(const std::string& kept, const std::string& path) {
  const std::string copy = kept + "/" + std::filesystem::path(path).filename().string();
  if (!std::filesystem::exists(copy)) {
    std::filesystem::copy_file(path, copy);
    sync_path(copy);
  }
}

void move_to(const std::string& kept, const std::string& path) {
  const std::filesystem::path from(path);
  std::filesystem::rename(from, kept + "/" + from.filename().string());
  sync_path(kept);
  sync_path(from.parent_path().string());
}

// Copies first, then moves, from the end to the front, cuts last: a crash at any point leaves a log that refuses to
// start (or lost only what the plan named), and everything is in the folder of damage.
void carry_out(const std::string& dir, const Repair& repair, const std::string& kept) {
  const LogRepairPlan& plan = repair.plan;
  if (!std::filesystem::create_directory(kept)) {
    throw LogError(kept + ": is there already; give another stamp");
  }
  for (const SegmentMend& mend : repair.mends) {
    copy_to(kept, mend.path);
  }
  if (!plan.zeroed.empty()) {
    copy_to(kept, plan.zeroed);
  }
  sync_path(kept);
  sync_path(dir);
  for (const std::string& path : plan.snapshots) {
    move_to(kept, path);
  }
  const std::vector<std::string> from_the_end(plan.removed.rbegin(), plan.removed.rend());
  for (const std::string& path : from_the_end) {
    move_to(kept, path);
  }
  for (const SegmentMend& mend : repair.mends) {
    carry_out(mend);
  }
  if (!plan.zeroed.empty()) {
    zero_from(dir, plan);
  }
}

// The log as it is once the certain mends are done, read behind one snapshot or from the beginning.
struct MendedLog {
  std::vector<LogSegmentInfo> segments;
  std::vector<SegmentMend> mends;
  std::vector<LogProblem> problems;
};

MendedLog read_mended(const std::string& dir, const LogStart& from) {
  MendedLog log;
  ScanRules rules;
  rules.from = from;
  rules.mend = true;
  LogScan scan(dir, rules, [](const LogRecord&) {}, [&log](const LogProblem& problem) {
    if (!problem.start_goes_on() && log.problems.size() < kMaxProblems) {
      log.problems.push_back(problem);
    }
  });
  scan.run();
  log.segments = scan.segments();
  log.mends = scan.mends();
  return log;
}

// Why there is nothing that these tools may do about a problem; empty: it can be cut away.
std::string hopeless(const LogProblem& problem) {
  if (problem.kind == Kind::stuck) {
    return problem.text();
  }
  const std::uint64_t held = problem.header_lost ? good_records_in(problem.segment, problem.seq_num) : 0;
  return held == 0 ? std::string()
                   : problem.text() + "; what it must have been does not follow from what stands around it, and " + std::to_string(held) +
                         " good records stand in this file. It is kept as it is: restore it from a copy, or, to give up the records from "
                         "here on, move the file away and plan the repair again";
}

// The first seq_num that no start could get past; greatest: none. A snapshot that lies behind it is of no use.
SeqNum first_problem(const std::vector<LogProblem>& problems, SeqNum cut) {
  for (const LogProblem& problem : problems) {
    if (problem.seq_num != 0) {
      cut = std::min(cut, problem.seq_num);
    }
  }
  return cut;
}

// The newest snapshot that a start can take up, and the first problem behind it.
MendedLog choose_cut(const std::string& dir, std::vector<LogSnapshot>& snapshots, SeqNum& cut) {
  MendedLog log = read_mended(dir, {});
  hold_against(log.segments, snapshots);
  cut = kNoCut;
  for (const LogSnapshot& one : snapshots) {
    if (!one.in_log || one.seq_num >= cut) {
      continue;
    }
    MendedLog behind = read_mended(dir, {one.seq_num, one.record_crc});
    cut = first_problem(behind.problems, cut);
    if (one.seq_num < cut) {
      return behind;
    }
  }
  cut = first_problem(log.problems, cut);
  return log;
}

// Those that a start would take up, or one day could, though the log does not hold what they hold.
void choose_snapshots(const std::vector<LogSnapshot>& snapshots, SeqNum cut, LogRepairPlan& plan) {
  bool one_stays = false;
  for (const LogSnapshot& one : snapshots) {
    const bool of_a_start = one.wrong.empty() && !one_stays;
    if (one.seq_num >= cut || (of_a_start && !one.in_log)) {
      plan.snapshots.push_back(one.path);
    } else {
      one_stays = one_stays || one.in_log;
    }
  }
}

void not_needed(const LogVerifyReport& report, LogRepairPlan& plan) {
  plan.history_damaged = report.history_damaged();
  plan.reason = report.problems.empty() ? "there is nothing to repair" : report.problems.front().text();
  if (plan.history_damaged) {
    plan.reason += "; but a core starts on this log as it is: from the snapshot of seq_num " + std::to_string(report.start_behind) +
                   " and the records behind it, up to seq_num " + std::to_string(report.start_last_seq_num) +
                   ". A repair would throw those away, so it is refused. Start the core; copy " + report.used_snapshot() +
                   " away before newer ones take its place, because without a snapshot the log does not start; and restore the damaged "
                   "segment from a copy if its time must be replayed or settled";
  }
}

Repair plan_of(const std::string& dir) {
  LogVerifyReport report = verify_log(dir);
  Repair repair;
  LogRepairPlan& plan = repair.plan;
  plan.needed = report.refused;
  if (!plan.needed) {
    not_needed(report, plan);
    return repair;
  }
  if (list_segments(dir).empty()) {
    plan.reason = dir + ": there is no segment; restore the log from a copy";
    return repair;
  }
  SeqNum cut = kNoCut;
  const MendedLog log = choose_cut(dir, report.snapshots, cut);
  for (const LogProblem& problem : log.problems) {
    if (plan.reason = hopeless(problem); !plan.reason.empty()) {
      return repair;
    }
  }
  const auto refused = [](const LogProblem& problem) { return !problem.start_goes_on(); };
  plan.reason = std::find_if(report.problems.begin(), report.problems.end(), refused)->text();
  if (cut != kNoCut) {
    const auto first = std::find_if(log.problems.begin(), log.problems.end(), [cut](const LogProblem& one) { return one.seq_num == cut; });
    plan.reason = first != log.problems.end() ? first->text() : plan.reason;
    plan.cut_from = cut;
    divide(dir, log.segments, plan);
  }
  choose_snapshots(report.snapshots, cut, plan);
  for (const SegmentMend& mend : log.mends) {
    if (std::find(plan.removed.begin(), plan.removed.end(), mend.path) == plan.removed.end()) {
      repair.mends.push_back(mend);
      plan.mended.push_back(mend.text());
    }
  }
  plan.possible = true;
  return repair;
}

bool same(const LogRepairPlan& one, const LogRepairPlan& other) {
  return one.cut_from == other.cut_from && one.zeroed == other.zeroed && one.removed == other.removed &&
         one.lost_records == other.lost_records && one.snapshots == other.snapshots && one.mended == other.mended;
}

}  // namespace

LogRepairPlan plan_repair(const std::string& dir) { return plan_of(dir).plan; }

void repair_log(const std::string& dir, const LogRepairPlan& plan, const std::string& utc_stamp) {
  check_stamp(utc_stamp);
  const UniqueFd lock = lock_log(dir);
  const Repair repair = plan_of(dir);
  const LogRepairPlan& now = repair.plan;
  if (!now.needed || !now.possible) {
    throw LogError(dir + ": " + (now.needed ? "cannot be repaired: " : "needs no repair: ") + now.reason);
  }
  if (!same(now, plan)) {
    throw LogError(dir + ": the log is not as it was when the repair was planned; nothing was changed. Look at the plan again");
  }
  try {
    carry_out(dir, repair, dir + "/damaged-" + utc_stamp);
  } catch (const std::filesystem::filesystem_error& error) {
    throw LogError(dir + ": the repair stopped: " + error.what() + "; make room or check owner and mode, and run it again", LogCause::system);
  }
}

}  // namespace exchange
