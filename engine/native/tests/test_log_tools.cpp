// What a person does with a log folder: read along, verify, repair.
#include <algorithm>
#include <array>
#include <map>

#include "exchange/snapshot.hpp"
#include "flow_support.hpp"
#include "test_log_files.hpp"

namespace {

using namespace log_files;

constexpr std::uint64_t kPlaces = 8;

std::map<std::string, std::string> contents(const std::string& dir) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file()) {
      files[entry.path().string()] = bytes_of(entry.path().string());
    }
  }
  return files;
}

std::vector<SeqNum> read_seq_nums(LogReader& reader, std::size_t at_once) {
  std::vector<LogRecord> records(at_once);
  std::vector<SeqNum> seq_nums;
  do {
    const std::size_t got = reader.next(records);
    for (std::size_t i = 0; i < got; ++i) {
      CHECK(records[i].command.price_ticks == static_cast<Price>(records[i].seq_num));
      seq_nums.push_back(records[i].seq_num);
    }
  } while (reader.stop() == LogReader::Stop::none);
  return seq_nums;
}

// Seeded damage of every kind: bytes, places, whole files.
void damage(const std::string& dir, support::Random& random) {
  const std::uint64_t times = 1 + random.below(3);
  for (std::uint64_t i = 0; i < times; ++i) {
    const SeqNum seq = 1 + random.below(30);
    const Place place(dir, seq, kPlaces);
    if (!std::filesystem::exists(place.path)) {
      continue;
    }
    switch (random.below(8)) {
      case 0:
        std::filesystem::resize_file(place.path, random.below(std::filesystem::file_size(place.path) + 1));
        break;
      case 1:
        std::filesystem::remove(place.path);
        break;
      case 2:
        overwrite(place.path, random.below(64), std::string(1, static_cast<char>(random.next())));
        break;
      case 3:
        if (std::filesystem::exists(segment_file(dir, 1)) && std::filesystem::file_size(place.path) > place.offset + kRecordSize) {
          place.write(bytes_of(segment_file(dir, 1)).substr(kHeader, kRecordSize) + "");
        }
        break;
      case 4:
      case 5:
        overwrite(place.path, place.offset, std::string(kRecordSize, '\0'));
        break;
      default:
        overwrite(place.path, place.offset + random.below(kRecordSize), std::string(1, static_cast<char>(random.next())));
    }
  }
}

// Of the state behind `seq_num`, as one that was made when the log ended there.
void add_snapshot(const std::string& dir, SeqNum seq_num) {
  Engine engine(support::flow_config());
  for (SeqNum n = 1; n <= seq_num; ++n) {
    (void)engine.apply(command(n));
  }
  CHECK(engine.last_seq_num() == seq_num);
  (void)write_snapshot(dir, engine, {1, static_cast<TimeNs>(seq_num), *record_crc_at(dir, seq_num)});
}

// Where a core would take the log up.
LogStart start_of(const std::string& dir) {
  for (const std::string& path : list_snapshots(dir)) {
    try {
      const SnapshotInfo info = check_snapshot(path);
      return {info.seq_num, info.record_crc};
    } catch (const SnapshotError&) {
      continue;
    }
  }
  return {};
}

TEST("a reader gives every record from any place on, in pieces of any size, with its CRC") {
  const support::TempDir dir;
  write_log(config_for(dir.path(), kPlaces), 30);
  for (SeqNum from = 1; from <= 31; ++from) {
    for (const std::size_t at_once : {1UL, 3UL, 1000UL}) {
      LogReader reader(dir.path(), from);
      const auto seq_nums = read_seq_nums(reader, at_once);
      CHECK(seq_nums.size() == 31 - from && (seq_nums.empty() || seq_nums.front() == from));
      CHECK(reader.stop() == LogReader::Stop::end && contains(reader.stop_text(), "00000004.log: offset "));
      CHECK(reader.next_seq_num() == 31 && reader.config_digest() == 42);
    }
    const auto crc = record_crc_at(dir.path(), from);
    CHECK(crc.has_value() == (from <= 30));
    CHECK(!crc || *crc == decoded(Place(dir.path(), from, kPlaces).read()).crc);
  }
}

TEST("a reader of a log in use sees what is appended, and stops before what is not whole") {
  const support::TempDir dir;
  for (const AckPolicy policy : {AckPolicy::memory, AckPolicy::device}) {
    const std::string path = dir.path() + (policy == AckPolicy::memory ? "/m" : "/d");
    Log log(config_for(path, kPlaces, policy));
    open(log);
    LogReader reader(path);
    for (std::uint64_t n = 1; n <= 37; ++n) {
      CHECK(read_seq_nums(reader, 10).empty() && reader.stop() == LogReader::Stop::end);
      const Command one = command(n);
      CHECK(log.append({&one, 1}) == AppendResult::written);
      CHECK(read_seq_nums(reader, 10) == std::vector<SeqNum>{n});
    }
    log.close();
    const Place place(path, 38, kPlaces);
    const std::string whole = encoded({command(38), 1, 38, 38});
    place.write(whole.substr(0, 40));
    CHECK(read_seq_nums(reader, 10).empty() && reader.stop() == LogReader::Stop::unfinished);
    reader.check_tail();
    place.write(whole);
    CHECK(read_seq_nums(reader, 10) == std::vector<SeqNum>{38});
    sync_log(path, 38);
  }
}

TEST("a reader stops at damage, and its look at the rest tells damage from a torn end") {
  const support::TempDir dir;
  write_log(config_for(dir.path(), kPlaces), 30);
  Place(dir.path(), 12, kPlaces).write(std::string(kRecordSize, '\0'));
  LogReader reader(dir.path(), 5);
  CHECK(read_seq_nums(reader, 100).back() == 11 && reader.stop() == LogReader::Stop::end);
  try {
    reader.check_tail();
    CHECK(false);
  } catch (const LogError& error) {
    CHECK(contains(error.what(), Place(dir.path(), 12, kPlaces).name()));
  }
  Place(dir.path(), 12, kPlaces).write(Place(dir.path(), 13, kPlaces).read());
  CHECK(read_seq_nums(reader, 100).empty() && reader.stop() == LogReader::Stop::damaged);
}

TEST("a folder without a log, or with one of another format, is said to be so") {
  const support::TempDir dir;
  const auto complaint = [](const std::string& path) {
    try {
      const LogReader reader(path);
    } catch (const LogError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(contains(complaint(dir.path() + "/nothing"), "cannot be read"));
  LogReader empty(dir.path());
  CHECK(empty.next(std::span<LogRecord>()) == 0 && read_seq_nums(empty, 5).empty() && empty.stop() == LogReader::Stop::end);
  write_log(config_for(dir.path(), kPlaces), 3);
  CHECK(read_seq_nums(empty, 5).size() == 3);
  overwrite(segment_file(dir.path(), 1), 8, "\x01");
  CHECK(contains(complaint(dir.path()), "format version 1"));
  const LogRepairPlan plan = plan_repair(dir.path());
  CHECK(plan.needed && !plan.possible && contains(plan.reason, "format version 1"));
}

TEST("verify tells of every segment and finds nothing wrong with a good log, in use or not") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), kPlaces);
  write_log(config, 30);
  Log log(config);
  open(log);
  LogVerifyReport report = verify_log(dir.path());
  CHECK(report.problems.empty() && report.starts() && report.in_use && report.records == 30 && report.last_seq_num == 30);
  const LogSegmentInfo& second = report.segments.at(1);
  CHECK(second.index == 2 && second.records == kPlaces && second.first_record == 9 && second.last_record == 16);
  CHECK(second.first_ts_ns == 9 && second.last_ts_ns == 16 && second.first_epoch == 1 && second.config_digest == 42);
  log.close();
  CHECK(!verify_log(dir.path()).in_use);
  const LogRepairPlan plan = plan_repair(dir.path());
  CHECK(!plan.needed && !plan.possible && plan.lost_records == 0);
}

TEST("verify finds every problem, not only the first, and says which of them a start would survive") {
  const support::TempDir dir;
  write_log(config_for(dir.path(), kPlaces), 30);  // the last batches: 22-28, 29-30
  for (const SeqNum seq : {SeqNum{3}, SeqNum{12}, SeqNum{13}, SeqNum{20}}) {
    Place(dir.path(), seq, kPlaces).write(std::string(kRecordSize, '\x5A'));
  }
  Place(dir.path(), 30, kPlaces).write(std::string(40, '\x5A'));
  const LogVerifyReport report = verify_log(dir.path());
  CHECK(!report.starts() && report.problems.size() == 4 && report.last_seq_num == 2 && report.records == 25);
  const std::array<std::pair<SeqNum, SeqNum>, 4> expected{{{3, 3}, {12, 13}, {20, 20}, {30, 30}}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const LogProblem& problem = report.problems[i];
    CHECK(problem.seq_num == expected[i].first && problem.last_seq_num == expected[i].second);
    CHECK(problem.start_goes_on() == (problem.seq_num == 30));
    CHECK(contains(problem.text(), Place(dir.path(), problem.seq_num, kPlaces).name()));
  }
}

TEST("a repair cuts from the first damaged record on, and says and keeps what is lost by it") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), kPlaces);
  write_log(config, 30);
  Place(dir.path(), 12, kPlaces).write(std::string(kRecordSize, '\x5A'));
  const auto before = contents(dir.path());
  const LogRepairPlan plan = plan_repair(dir.path());
  CHECK(plan.needed && plan.possible && plan.cut_from == 12 && plan.lost_records == 18);
  CHECK((plan.lost == std::vector<std::pair<SeqNum, SeqNum>>{{13, 30}}));
  CHECK(plan.zeroed == segment_file(dir.path(), 2) && plan.removed.front() == segment_file(dir.path(), 3));
  CHECK(contents(dir.path()) == before);
  repair_log(dir.path(), plan, "20261120T101523Z");
  CHECK(bytes_of(dir.path() + "/damaged-20261120T101523Z/00000002.log") == before.at(segment_file(dir.path(), 2)));
  CHECK(bytes_of(dir.path() + "/damaged-20261120T101523Z/00000003.log") == before.at(segment_file(dir.path(), 3)));
  CHECK(read_all(config).size() == 11);
}

TEST("a repair is refused while the log is in use, when it is not needed, after a change, and under a bad stamp") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), kPlaces);
  write_log(config, 30);
  const auto complaint = [&dir](const LogRepairPlan& plan, const std::string& stamp) {
    try {
      repair_log(dir.path(), plan, stamp);
    } catch (const LogError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(contains(complaint(plan_repair(dir.path()), "now"), "needs no repair"));
  {
    Log log(config);
    open(log);
    CHECK(contains(complaint({}, "now"), "another core has this log open"));
  }
  Place(dir.path(), 12, kPlaces).write(std::string(kRecordSize, '\x5A'));
  const LogRepairPlan plan = plan_repair(dir.path());
  CHECK(contains(complaint(plan, "../x"), "letters, digits"));
  Place(dir.path(), 10, kPlaces).write(std::string(kRecordSize, '\x5A'));
  const auto before = contents(dir.path());
  CHECK(contains(complaint(plan, "now"), "Look at the plan again"));
  CHECK(contents(dir.path()) == before);
  std::filesystem::create_directory(dir.path() + "/damaged-now");
  CHECK(contains(complaint(plan_repair(dir.path()), "now"), "is there already"));
}

TEST("verify and a start agree on any damage, and what a repair leaves always starts") {
  support::Random random(77);
  const support::TempDir dir;
  const std::string whole = dir.path() + "/whole";
  write_log(config_for(whole, kPlaces), 30);
  for (int round = 0; round < 250; ++round) {
    const std::string path = dir.path() + "/log";
    copy_log(whole, path);
    damage(path, random);
    const auto before = contents(path);
    const LogVerifyReport report = verify_log(path);
    const LogRepairPlan plan = plan_repair(path);
    CHECK(contents(path) == before);
    copy_log(path, dir.path() + "/tried");
    CHECK(refusal(config_for(dir.path() + "/tried", kPlaces)).has_value() == !report.starts());
    CHECK(plan.needed == !report.starts());
    if (!plan.possible) {
      CHECK(!plan.needed || !plan.reason.empty());
      continue;
    }
    repair_log(path, plan, "now");
    const auto kept = read_all(config_for(path, kPlaces));
    CHECK((plan.cut_from == 0 || kept.size() < plan.cut_from) && kept.size() >= report.last_seq_num);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      CHECK(kept[i].command.price_ticks == static_cast<Price>(i + 1));
    }
  }
}

TEST("beside snapshots verify and a start agree on any damage, and what a repair leaves starts") {
  support::Random random(78);
  const support::TempDir dir;
  const std::string whole = dir.path() + "/whole";
  write_log(config_for(whole, kPlaces), 30);
  for (const SeqNum seq_num : {SeqNum{6}, SeqNum{14}, SeqNum{26}}) {
    add_snapshot(whole, seq_num);
  }
  int refused_before = 0;
  for (int round = 0; round < 250; ++round) {
    const std::string path = dir.path() + "/log";
    copy_log(whole, path);
    damage(path, random);
    if (random.below(3) == 0) {
      overwrite(snapshot_path(path, 26), 4100, "damage");
    }
    const auto before = contents(path);
    const LogVerifyReport report = verify_log(path);
    const LogRepairPlan plan = plan_repair(path);
    CHECK(contents(path) == before);
    copy_log(path, dir.path() + "/tried");
    CHECK(refusal(config_for(dir.path() + "/tried", kPlaces), start_of(path)).has_value() == report.refused);
    CHECK(plan.needed == report.refused && !(plan.possible && plan.history_damaged));
    if (!plan.possible) {
      CHECK(!plan.reason.empty());
      continue;
    }
    ++refused_before;
    repair_log(path, plan, "now");
    CHECK(verify_log(path).starts());
    const LogStart from = start_of(path);
    const auto kept = read_all(config_for(path, kPlaces), nullptr, from);
    CHECK(plan.cut_from == 0 || from.seq_num + kept.size() < plan.cut_from);
  }
  CHECK(refused_before > 50);
}

}  // namespace
