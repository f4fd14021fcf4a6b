#include "exchange/replay.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "check.hpp"
#include "exchange/log_tools.hpp"
#include "flow_support.hpp"

namespace {

using namespace exchange;

constexpr std::size_t kCommands = 700;

struct Sample {
  support::TempDir dir;
  std::vector<Command> commands;
  std::vector<std::uint64_t> hashes;  // after each seq_num
  std::vector<Report> reports;

  explicit Sample(std::uint64_t seed, std::size_t count = kCommands) : commands(support::flow(seed, count)) {
    support::write_flow_log(dir.path(), commands);
    Engine engine(support::flow_config());
    hashes.push_back(engine.state_hash());
    for (const Command& command : commands) {
      const auto made = engine.apply(command);
      reports.insert(reports.end(), made.begin(), made.end());
      hashes.push_back(engine.state_hash());
    }
  }

  [[nodiscard]] Replayer replayer() const { return {dir.path(), support::flow_config(), support::kConfigDigest}; }
  void snapshot_at(SeqNum seq_num) const {
    Replayer replayer = this->replayer();
    (void)replayer.run({.seq_num = seq_num});
    const ReplayPlace& at = replayer.place();
    (void)write_snapshot(dir.path(), replayer.engine(), {at.epoch, at.ts_ns, at.record_crc}, 10'000);
  }
};

std::uint64_t digest_of(const std::vector<Report>& reports) {
  Digest digest;
  for (const Report& report : reports) {
    digest_report(digest, report);
  }
  return digest.value();
}

void damage(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char was = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(was ^ 1));
}

// Of a log with the flow's segments. Done twice it is whole again. Gives the segment's path.
std::string damage_record(const std::string& dir, SeqNum seq_num) {
  constexpr SeqNum kPlaces = 64;
  const std::string path = dir + "/0000000" + std::to_string((seq_num - 1) / kPlaces + 1) + ".log";
  damage(path, 4096 + (seq_num - 1) % kPlaces * kRecordSize + 50);
  return path;
}

std::string log_error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const LogError& error) {
    return error.what();
  }
  return {};
}

TEST("a replay goes through the states and the reports of the live run") {
  const Sample sample(11);
  Replayer replayer = sample.replayer();
  replayer.want_digest(true);
  std::uint64_t reports = 0;
  for (SeqNum seq_num = 1; seq_num <= kCommands; ++seq_num) {
    const ReplayRun done = replayer.run({.seq_num = seq_num});
    CHECK(done.records == 1 && replayer.place().seq_num == seq_num);
    CHECK(replayer.engine().state_hash() == sample.hashes[seq_num]);
    reports += done.reports;
  }
  CHECK(reports == sample.reports.size() && replayer.digest() == digest_of(sample.reports));
  CHECK(!replayer.next_place() && replayer.run({}).records == 0);
}

TEST("any snapshot with its tail gives what the whole log gives") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const Sample sample(seed, 250);
    for (SeqNum k = 1; k <= 250; ++k) {
      sample.snapshot_at(k);
    }
    CHECK(list_snapshots(sample.dir.path()).size() == 250);
    Replayer replayer = sample.replayer();
    for (SeqNum k = 1; k <= 250; ++k) {
      CHECK(replayer.seek({.seq_num = k}).empty() && replayer.place().seq_num == k && replayer.loaded()->seq_num == k);
      CHECK(replayer.engine().state_hash() == sample.hashes[k]);
      CHECK(replayer.run({}).records == 250 - k && replayer.engine().state_hash() == sample.hashes[250]);
    }
  }
}

TEST("seeking a time takes the state after every command up to it") {
  const Sample sample(21);
  for (const SeqNum seq_num : {100U, 300U, 500U}) {
    sample.snapshot_at(seq_num);
  }
  Replayer replayer = sample.replayer();
  for (TimeNs ts = sample.commands.front().ts_ns - 1; ts <= sample.commands.back().ts_ns + 1; ts += 13) {
    const auto behind =
        std::find_if(sample.commands.begin(), sample.commands.end(), [ts](const Command& command) { return command.ts_ns > ts; });
    CHECK(replayer.seek({.ts_ns = ts}).empty());
    (void)replayer.run({.ts_ns = ts});
    const auto expected = static_cast<std::size_t>(behind - sample.commands.begin());
    CHECK(replayer.place().seq_num == expected && replayer.engine().state_hash() == sample.hashes[expected]);
  }
}

TEST("a run in pieces of any size keeps the same reports as one run") {
  const Sample sample(31);
  for (const std::uint64_t piece : {1U, 7U, 511U, 512U, 513U}) {
    Replayer replayer = sample.replayer();
    std::size_t kept = 0;
    bool more = true;
    while (more) {
      more = replayer.run({.records = piece}, {.everything = true}).more;
      for (const KeptReport& one : replayer.take_kept()) {
        CHECK(one.report.exec_id == sample.reports[kept].exec_id && one.report.leaves_qty == sample.reports[kept].leaves_qty);
        CHECK(one.command.ts_ns == sample.commands[one.report.seq_num - 1].ts_ns);
        ++kept;
      }
    }
    CHECK(kept == sample.reports.size());
  }
}

TEST("a filter keeps the reports of one order, of an exec_type, or of a kind of command, and nothing else") {
  const Sample sample(41);
  const auto count = [&sample](const ReportFilter& filter) {
    Replayer replayer = sample.replayer();
    (void)replayer.run({}, filter);
    return replayer.take_kept().size();
  };
  const auto expected = [&sample](auto wanted) { return static_cast<std::size_t>(std::count_if(sample.reports.begin(), sample.reports.end(), wanted)); };
  CHECK(count({.order_id = 9}) == expected([](const Report& report) { return report.order_id == 9; }));
  CHECK(count({.exec_types = 1U << 15U}) == expected([](const Report& report) { return report.exec_type == ExecType::trade; }));
  CHECK(count({.command_kinds = 1U << 5U}) == expected([&sample](const Report& report) {
          return sample.commands[report.seq_num - 1].kind == CommandKind::session;
        }));
  CHECK(count({}) == 0);
}

TEST("kept reports are bounded, and the run says that there is more") {
  const Sample sample(51);
  Replayer replayer = sample.replayer();
  const ReplayRun first = replayer.run({}, {.everything = true, .most = 10});
  CHECK(first.more && replayer.take_kept().size() >= 10);
  CHECK(!replayer.run({}, {.everything = true}).more && replayer.place().seq_num == kCommands);
}

TEST("a long run, which reads ahead with a second thread, is the same in one piece, in pieces, and while the log grows") {
  constexpr std::size_t kLong = 60'000;
  const support::TempDir dir;
  const auto commands = support::flow(101, kLong);
  support::write_flow_log(dir.path(), {commands.begin(), commands.end() - 100}, 10'000);
  Engine engine(support::flow_config());
  Digest digest;
  for (const Command& command : commands) {
    for (const Report& report : engine.apply(command)) {
      digest_report(digest, report);
    }
  }
  for (const SeqNum piece : {SeqNum{kLong}, SeqNum{9'000}, SeqNum{25'001}}) {
    Replayer replayer(dir.path(), support::flow_config(), support::kConfigDigest);
    replayer.want_digest(true);
    for (SeqNum end = piece; replayer.run({.seq_num = end}).records != 0; end += piece) {
      CHECK(replayer.place().seq_num == std::min<SeqNum>(end, replayer.place().seq_num));
    }
    CHECK(replayer.place().seq_num >= kLong - 100);
    if (replayer.place().seq_num == kLong - 100) {
      support::write_flow_log(dir.path(), {commands.end() - 100, commands.end()}, 10'000);
      CHECK(replayer.run({}).records == 100);
    }
    CHECK(replayer.engine().state_hash() == engine.state_hash() && replayer.digest() == digest.value());
    CHECK(replayer.seek({}).empty() && replayer.run({.seq_num = 30'000}).records == 30'000);  // and left in the middle
  }
}

TEST("damage far on in a log is met by a long run too") {
  const support::TempDir dir;
  support::write_flow_log(dir.path(), support::flow(102, 40'000), 10'000);
  damage(dir.path() + "/00000004.log", 4096 + 5000 * kRecordSize + 50);
  Replayer replayer(dir.path(), support::flow_config(), support::kConfigDigest);
  CHECK(log_error_of([&replayer] { (void)replayer.run({}); }).find("00000004.log") != std::string::npos);
  CHECK(replayer.place().seq_num == 35'000);
}

TEST("a snapshot of another history is left out, and an older one is taken") {
  const Sample sample(61);
  sample.snapshot_at(200);
  const Sample other(62);
  other.snapshot_at(400);
  std::filesystem::copy(list_snapshots(other.dir.path())[0], snapshot_folder(sample.dir.path()));
  Replayer replayer = sample.replayer();
  const auto warnings = replayer.seek({});
  CHECK(warnings.size() == 1 && warnings[0].find("the log does not hold the record that it ends with") != std::string::npos);
  CHECK(replayer.place().seq_num == 200 && replayer.engine().state_hash() == sample.hashes[200]);
  bool refused = false;
  try {
    replayer.load(list_snapshots(sample.dir.path())[0]);
  } catch (const SnapshotError&) {
    refused = true;
  }
  CHECK(refused && replayer.place().seq_num == 0);
}

TEST("a replay reads along while the log grows, and goes on where it stopped") {
  const support::TempDir dir;
  const auto commands = support::flow(71, 300);
  Log log(support::flow_log(dir.path()));
  (void)log.recover({}, [](const LogRecord&) {});
  Replayer replayer(dir.path(), support::flow_config(), support::kConfigDigest);
  Engine live(support::flow_config());
  CHECK(replayer.run({}).records == 0 && !replayer.last_place());
  for (const Command& command : commands) {
    CHECK(log.append({&command, 1}) == AppendResult::written);
    (void)live.apply(command);
    CHECK(replayer.run({}).records == 1 && replayer.engine().state_hash() == live.state_hash());
    CHECK(replayer.last_place()->seq_num == live.last_seq_num() && replayer.first_place()->seq_num == 1);
  }
}

TEST("a snapshot is made beside the writer of the log, and made once for one seq_num") {
  const support::TempDir dir;
  const auto commands = support::flow(81, 300);
  Log log(support::flow_log(dir.path()));
  (void)log.recover({}, [](const LogRecord&) {});
  Replayer replayer(dir.path(), support::flow_config(), support::kConfigDigest);
  CHECK(!make_snapshot(replayer).newest);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    CHECK(log.append({&commands[i], 1}) == AppendResult::written);
    if (i % 100 == 99) {
      const MadeSnapshot made = make_snapshot(replayer);
      CHECK(made.is_new && made.newest->seq_num == i + 1 && made.records == 100 && made.warnings.empty());
      const MadeSnapshot again = make_snapshot(replayer);
      CHECK(!again.is_new && again.newest->seq_num == i + 1 && again.records == 0);
    }
  }
}

TEST("damage in the middle of a log is an error that names the place, and no early end") {
  const Sample sample(91, 300);
  const std::string path = sample.dir.path() + "/00000002.log";
  damage(path, 4096 + 10 * kRecordSize + 50);
  Replayer replayer = sample.replayer();
  const std::string said = log_error_of([&replayer] { (void)replayer.run({}); });
  CHECK(said.find(path) != std::string::npos && said.find("offset") != std::string::npos);
  CHECK(replayer.place().seq_num <= 74);
}

TEST("a torn last record is the end of the log") {
  const Sample sample(95, 100);
  damage(sample.dir.path() + "/00000002.log", 4096 + 35 * kRecordSize + 50);
  Replayer replayer = sample.replayer();
  CHECK(replayer.run({}).records == 99 && replayer.engine().state_hash() == sample.hashes[99]);
}

TEST("a log of other instruments is refused, and a folder without a log too") {
  const Sample sample(97, 20);
  const auto open = [](const std::string& dir, std::uint64_t digest) {
    return log_error_of([&] { (void)Replayer(dir, support::flow_config(), digest); });
  };
  CHECK(open(sample.dir.path(), 78).find("other instruments or limits") != std::string::npos);
  const support::TempDir empty;
  CHECK(!open(empty.path(), support::kConfigDigest).empty());
  CHECK(!log_error_of([&sample] { (void)find_commands(sample.dir.path(), 78, 1); }).empty());
}

TEST("commands are found by kind without applying them") {
  const Sample sample(99);
  const auto found = find_commands(sample.dir.path(), support::kConfigDigest, 1U << 11U);
  std::size_t expected = 0;
  for (std::size_t i = 0; i < sample.commands.size(); ++i) {
    if (sample.commands[i].kind == CommandKind::end_of_day) {
      CHECK(found[expected].seq_num == i + 1 && found[expected].command.qty == 20'261'120);
      ++expected;
    }
  }
  CHECK(expected > 0 && found.size() == expected);
}

TEST("damage in the middle of a log ends the search for commands with its place, before, at and behind what was found") {
  for (const SeqNum damaged : {SeqNum{2}, SeqNum{75}, SeqNum{150}, SeqNum{299}}) {
    const Sample sample(91, 300);
    const std::string path = damage_record(sample.dir.path(), damaged);
    const std::string said = log_error_of([&sample] { (void)find_commands(sample.dir.path(), support::kConfigDigest, 1U << 11U); });
    CHECK(said.find(path) != std::string::npos && said.find("offset") != std::string::npos);
  }
}

TEST("a damaged record is never taken for the last one, wherever the look for the last one meets it") {
  const Sample sample(92, 300);
  for (SeqNum damaged = 2; damaged < 300; ++damaged) {
    const std::string path = damage_record(sample.dir.path(), damaged);
    const Replayer replayer = sample.replayer();
    SeqNum last = 0;
    const std::string said = log_error_of([&] { last = replayer.last_place()->seq_num; });
    CHECK(last == 300 || said.find(path) != std::string::npos);
    (void)damage_record(sample.dir.path(), damaged);  // and whole again
  }
  CHECK(sample.replayer().last_place()->seq_num == 300);
}

TEST("a torn last record is the end of the search for commands") {
  const Sample sample(95, 100);
  const auto whole = find_commands(sample.dir.path(), support::kConfigDigest, ~std::uint64_t{0});
  damage(sample.dir.path() + "/00000002.log", 4096 + 35 * kRecordSize + 50);
  const auto torn = find_commands(sample.dir.path(), support::kConfigDigest, ~std::uint64_t{0});
  CHECK(whole.size() == 100 && torn.size() == 99 && torn.back().seq_num == 99);
}

TEST("every field of a report counts in the digest of a stream") {
  const Report plain;
  const auto differs = [&plain](auto change) {
    Report other = plain;
    change(other);
    return digest_of({plain}) != digest_of({other});
  };
  CHECK(differs([](Report& r) { r.exec_id = 1; }) && differs([](Report& r) { r.seq_num = 1; }) && differs([](Report& r) { r.order_id = 1; }));
  CHECK(differs([](Report& r) { r.trade_id = 1; }) && differs([](Report& r) { r.contra_order_id = 1; }) && differs([](Report& r) { r.firm = 1; }));
  CHECK(differs([](Report& r) { r.instrument = 1; }) && differs([](Report& r) { r.exec_type = ExecType::trade; }));
  CHECK(differs([](Report& r) { r.ord_status = OrdStatus::filled; }) && differs([](Report& r) { r.reason = RejectReason::too_late; }));
  CHECK(differs([](Report& r) { r.side = Side::sell; }) && differs([](Report& r) { r.ord_type = OrdType::stop; }));
  CHECK(differs([](Report& r) { r.tif = TimeInForce::gtc; }) && differs([](Report& r) { r.liquidity = Liquidity::maker; }));
  CHECK(differs([](Report& r) { r.stop_price_ticks = 1; }) && differs([](Report& r) { r.price_ticks = 1; }));
  CHECK(differs([](Report& r) { r.last_px_ticks = 1; }) && differs([](Report& r) { r.last_qty = 1; }));
  CHECK(differs([](Report& r) { r.order_qty = 1; }) && differs([](Report& r) { r.cum_qty = 1; }) && differs([](Report& r) { r.leaves_qty = 1; }));
  CHECK(differs([](Report& r) { r.cum_notional = 1; }) && differs([](Report& r) { r.value = 1; }) && differs([](Report& r) { r.limit = 1; }));
}

}  // namespace
