// Recovery: what comes back, what is cut, what is refused.
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "segment.hpp"
#include "test_log_files.hpp"

namespace {

using namespace log_files;

TEST("batches that straddle segments come back whole and in order, under both policies") {
  for (const AckPolicy policy : {AckPolicy::memory, AckPolicy::device}) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir.path(), 7, policy);
    write_log(config, 100);
    RecoveryReport report;
    const auto records = read_all(config, &report);
    CHECK(records.size() == 100 && report.last_seq_num == 100 && report.segments == 15 && report.torn_records_cut == 0);
    for (std::size_t i = 0; i < records.size(); ++i) {
      CHECK(records[i].seq_num == i + 1 && records[i].command.price_ticks == static_cast<Price>(i + 1));
      CHECK(policy == AckPolicy::device || records[i].batch_first_seq == i + 1);
    }
  }
}

// Or a full disk would be met by a store into the mapped file, which ends the process.
TEST("a new segment owns all its blocks before it is used, under both policies") {
  for (const SegmentUse use : {SegmentUse::memory, SegmentUse::device}) {
    const support::TempDir dir;
    const std::atomic<bool> never{false};
    const SegmentHeader header{1, 1, 5'000, 1, 1};
    Segment made;
    CHECK(create_segment(dir.path(), header, use, never, made) == 0);
    struct stat file {};
    CHECK(::fstat(made.fd.get(), &file) == 0);
    CHECK(static_cast<std::uint64_t>(file.st_size) == header.file_size() && file.st_blocks * 512 >= file.st_size);
  }
}

TEST("one batch of the greatest size fits, over many small segments too") {
  const support::TempDir dir;
  Log log(config_for(dir.path(), 500));
  open(log);
  const std::vector<Command> batch(kMaxBatch, support::new_order(Side::buy, 1, 1));
  CHECK(log.append(batch) == AppendResult::written);
  CHECK(log.append(std::vector<Command>(kMaxBatch + 1, batch.front())) == AppendResult::refused);
  CHECK(log.healthy() && log.last_seq_num() == kMaxBatch && log.durable_seq_num() == kMaxBatch);
}

TEST("a log goes on under either policy, whatever it was written under") {
  const support::TempDir dir;
  std::uint64_t count = 0;
  for (const AckPolicy policy : {AckPolicy::device, AckPolicy::memory, AckPolicy::device, AckPolicy::memory}) {
    const LogConfig config = config_for(dir.path(), 9, policy);
    Log log(config);
    std::uint64_t seen = 0;
    (void)log.recover({}, [&seen](const LogRecord& record) { CHECK(record.command.price_ticks == static_cast<Price>(++seen)); });
    CHECK(seen == count && log.durable_seq_num() == count);
    for (int i = 0; i < 13; ++i) {
      const Command one = command(++count);
      CHECK(log.append({&one, 1}) == AppendResult::written);
    }
    CHECK(log.durable_seq_num() == (policy == AckPolicy::device ? count : count - 13));
  }
  CHECK(read_all(config_for(dir.path(), 9)).size() == count);
}

TEST("time in the log never goes back, even if the commands' does") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path());
  {
    Log log(config);
    open(log);
    for (const TimeNs ts : {TimeNs{7}, TimeNs{10}, TimeNs{3}, TimeNs{12}}) {
      Command one = command(1);
      one.ts_ns = ts;
      CHECK(log.append({&one, 1}) == AppendResult::written);
    }
  }
  const auto records = read_all(config);
  CHECK(records[0].command.ts_ns == 7 && records[2].command.ts_ns == 10 && records[3].command.ts_ns == 12);
}

TEST("what is not well formed is not taken, and does no harm") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path());
  {
    Log log(config);
    open(log);
    Command bad = command(1);
    bad.kind = CommandKind{};
    CHECK(log.append({&bad, 1}) == AppendResult::refused && log.healthy());
    const Command good = command(1);
    CHECK(log.append({&good, 1}) == AppendResult::written);
  }
  CHECK(read_all(config).size() == 1);
}

// The batches are 1, 2-3, 4-6, 7-10.
TEST("damage is cut in the last batch and refused before it, with the place and the tools named") {
  for (SeqNum seq = 1; seq <= 10; ++seq) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir.path());
    write_log(config, 10);
    const Place place(dir.path(), seq, 64);
    overwrite(place.path, place.offset + 50, "Z");
    if (seq >= 7) {
      CHECK(read_all(config).size() == seq - 1);
      RecoveryReport again;
      CHECK(read_all(config, &again).size() == seq - 1 && again.torn_records_cut == 0);
      continue;
    }
    const auto before = bytes_of(place.path);
    const auto message = refusal(config);
    CHECK(message && contains(*message, place.name()));
    CHECK(contains(*message, "exchange log verify --log-dir " + dir.path()));
    CHECK(contains(*message, "exchange log repair --log-dir " + dir.path() + " --dry-run"));
    CHECK(bytes_of(place.path) == before);
  }
}

// Seeded: any bytes of the last batch, in any order of arrival, cut to any length.
TEST("however the last batch is torn, everything before it is kept and everything from the first fault on is cut") {
  support::Random random(11);
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path() + "/log", 8);
  const std::string whole = dir.path() + "/whole";
  write_log(config_for(whole, 8), 21);  // batches 1, 2-3, 4-6, 7-10, 11-15, 16-21; segments end at 8, 16, 24
  for (int round = 0; round < 150; ++round) {
    copy_log(whole, config.dir);
    SeqNum first_bad = 22;
    std::uint64_t left = 0;
    for (SeqNum seq = 16; seq <= 21; ++seq) {
      const Place place(config.dir, seq, 8);
      std::string bytes = place.read();
      const std::uint64_t what = random.below(4);
      if (what == 1) {
        bytes.assign(kRecordSize, '\0');
      } else if (what == 2) {
        bytes.replace(random.below(kRecordSize), std::string::npos, "");
        bytes.resize(kRecordSize, '\0');
      } else if (what == 3) {
        char& byte = bytes[random.below(kRecordSize)];
        byte = static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << random.below(8)));
      }
      const bool good = bytes == place.read();
      place.write(bytes);
      first_bad = good ? first_bad : std::min(first_bad, seq);
      left += seq >= first_bad && bytes.find_first_not_of('\0') != std::string::npos ? 1 : 0;
    }
    RecoveryReport report;
    CHECK(read_all(config, &report).size() == first_bad - 1);
    CHECK(report.torn_records_cut == left);
    CHECK(read_all(config, &report).size() == first_bad - 1 && report.torn_records_cut == 0);
  }
}

TEST("garbage behind the end is cut as far as a batch can reach, and refused beyond") {
  for (const SeqNum at : {SeqNum{2}, SeqNum{kMaxBatch}, SeqNum{kMaxBatch + 1}}) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir.path(), 5000);
    (void)read_all(config);
    const Place place(dir.path(), at, 5000);
    place.write("garbage");
    const auto message = refusal(config);
    CHECK(message.has_value() == (at == kMaxBatch + 1));
    CHECK(!message || contains(*message, Place(dir.path(), 1, 5000).name()));
  }
}

TEST("a start behind a snapshot applies what follows, for every place of it, and no other history") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), 7);
  write_log(config, 30);
  const auto all = read_all(config);
  for (SeqNum k = 1; k <= 30; ++k) {
    RecoveryReport report;
    const auto tail = read_all(config, &report, {k, all[k - 1].crc});
    CHECK(tail.size() == 30 - k && report.records == 30 - k && report.last_seq_num == 30);
    CHECK(tail.empty() || tail.front().seq_num == k + 1);
    const auto message = refusal(config, {k, all[k - 1].crc + 1});
    const Place place(dir.path(), k, 7);
    CHECK(message && contains(*message, place.path + " offset " + std::to_string(place.offset)) && contains(*message, "another history"));
    CHECK(contains(*message, "/snapshots/000000000000000000") && contains(*message, "exchange log repair --log-dir " + dir.path()));
  }
  const auto message = refusal(config, {31, all[29].crc});
  CHECK(message && contains(*message, "another history"));
  CHECK(contains(*refusal(config, {500, 1}), "00000000000000000500.snap: it ends with seq_num 500, and the log ends before"));
}

TEST("damage in front of a snapshot does not keep a log from starting behind it, a bad header does") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), 7);
  write_log(config, 30);
  const auto all = read_all(config);
  Place(dir.path(), 3, 7).write(std::string(kRecordSize, '\x5A'));
  CHECK(refusal(config).has_value());
  CHECK(read_all(config, nullptr, {20, all[19].crc}).size() == 10);
  overwrite(segment_file(dir.path(), 1), 20, "\x01");
  CHECK(contains(*refusal(config, {20, all[19].crc}), "00000001.log: offset 12: the header is damaged"));
}

TEST("a log that went on behind a snapshot start is the same log as any other") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), 7);
  write_log(config, 20);
  const auto all = read_all(config);
  {
    Log log(config);
    (void)log.recover({15, all[14].crc}, [](const LogRecord&) {});
    const std::vector<Command> batch{command(21), command(22)};
    CHECK(log.append(batch) == AppendResult::written);
  }
  const auto now = read_all(config);
  CHECK(now.size() == 22 && now.back().command.price_ticks == 22);
}

TEST("a segment of format version 1 is refused with what to do") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path());
  write_log(config, 3);
  overwrite(segment_file(dir.path(), 1), 8, std::string("\x01\x00\x00\x00", 4));
  const auto message = refusal(config);
  CHECK(contains(*message, "00000001.log: offset 8: the segment has format version 1, this program reads version 2"));
  CHECK(contains(*message, "new log folder"));
}

TEST("another configuration, an older epoch and a missing segment are refused") {
  const support::TempDir dir;
  LogConfig config = config_for(dir.path(), 7);
  config.epoch = 5;
  write_log(config, 20);
  LogConfig other = config;
  other.config_digest = 43;
  CHECK(contains(*refusal(other), "00000001.log: offset 48: the log was written under another instrument configuration"));
  other = config;
  other.epoch = 4;
  CHECK(contains(*refusal(other), "newer than this core's epoch 4"));
  std::filesystem::remove(segment_file(dir.path(), 2));
  CHECK(contains(*refusal(config), "00000003.log: offset 0: segment 2 before it is missing"));
}

TEST("records out of order are refused: epoch, batch, time, seq_num") {
  const auto refused_with = [](const std::string& text, const std::function<void(LogRecord&)>& change) {
    const support::TempDir dir;
    LogConfig config = config_for(dir.path());
    config.epoch = 3;
    write_log(config, 10);
    const Place place(dir.path(), 5, 64);
    LogRecord record = decoded(place.read());
    change(record);
    place.write(encoded(record));
    const auto message = refusal(config);
    return message && contains(*message, place.name()) && contains(*message, text);
  };
  CHECK(refused_with("epoch 2 after epoch 3", [](LogRecord& record) { record.epoch = 2; }));
  CHECK(refused_with("newer than this core's", [](LogRecord& record) { record.epoch = 4; }));
  CHECK(refused_with("belongs to a batch", [](LogRecord& record) { record.batch_first_seq = 3; }));
  CHECK(refused_with("belongs to a batch", [](LogRecord& record) { record.batch_first_seq = 6; }));
  CHECK(refused_with("the time of the record", [](LogRecord& record) { record.command.ts_ns = 1; }));
  CHECK(refused_with("seq_num 6 stands in the place of 5", [](LogRecord& record) { record.seq_num = 6; }));
}

TEST("a log that was never recovered, or was closed, takes nothing, and one folder has one owner") {
  const support::TempDir dir;
  Log log(config_for(dir.path()));
  const Command one = command(1);
  CHECK(log.append({&one, 1}) == AppendResult::refused && !log.accepts());
  open(log);
  CHECK(log.append({&one, 1}) == AppendResult::written && log.accepts());
  CHECK(contains(*refusal(config_for(dir.path())), "another core has this log open"));
  log.close();
  CHECK(log.append({&one, 1}) == AppendResult::refused && !log.accepts());
  CHECK(!refusal(config_for(dir.path())));
}

TEST("senseless configurations are refused, and replicated needs a standby") {
  const auto refused = [](const std::function<void(LogConfig&)>& change, const std::string& text) {
    LogConfig config = config_for("/nowhere");
    change(config);
    try {
      const Log log(config);
    } catch (const std::invalid_argument& error) {
      return contains(error.what(), text);
    }
    return false;
  };
  CHECK(refused([](LogConfig& config) { config.epoch = 0; }, "epoch"));
  CHECK(refused([](LogConfig& config) { config.segment_records = 0; }, "segment_records"));
  CHECK(refused([](LogConfig& config) { config.segment_records = (1U << 24U) + 1; }, "segment_records"));
  CHECK(refused([](LogConfig& config) { config.ack_policy = AckPolicy::replicated; }, "needs a standby"));
}

TEST("what an unfinished segment left is cleared away") {
  const support::TempDir dir;
  write_log(config_for(dir.path()), 3);
  const std::string leftover = dir.path() + "/00000002.log.tmp";
  std::ofstream(leftover) << "half";
  CHECK(read_all(config_for(dir.path())).size() == 3 && !std::filesystem::exists(leftover));
}

}  // namespace
