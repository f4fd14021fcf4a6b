// Reading a log back: all of it, as after the loss of every snapshot, and a snapshot with a tail, as at every start.
// The files were just written, so they are in the page cache: what is measured is our work, not the disk's.
#include "exchange/replay.hpp"

#include "exchange/apply_thread.hpp"
#include "exchange/snapshot.hpp"
#include "folder.hpp"
#include "order_path.hpp"

namespace bench {

using exchange::AckPolicy;
using exchange::Command;
using exchange::Engine;
using exchange::EngineConfig;
using exchange::Journal;
using exchange::LogRecord;
using exchange::LogStart;
using exchange::Report;

namespace {

constexpr std::uint32_t kReplayRecords = 5'000'000;
constexpr std::size_t kTail = 100'000;

// Appends to what is in `dir` already.
void write_log(const EngineConfig& config, const std::string& dir, const LogStart& from, const std::vector<Command>& first,
               const std::vector<Command>& second) {
  Journal journal(OrderPath::log_config(config, dir, AckPolicy::memory));
  journal.recover(from, [](const LogRecord&) {});
  for (const std::vector<Command>* part : {&first, &second}) {
    for (const Command& command : *part) {
      need(journal.append(command), "the journal took no command");
    }
  }
  journal.close();
}

void hash_trades(std::span<const Report> reports, TradeHash& hash) noexcept {
  for (const Report& report : reports) {
    if (report.exec_type == exchange::ExecType::trade && report.liquidity == exchange::Liquidity::taker) {
      hash.add(report.last_px_ticks, report.last_qty, report.contra_order_id, report.order_id);
    }
  }
}

// As a core that starts: every record's CRC, seq_num and epoch checked, applied, its trades hashed as they come.
double recover_rate(const EngineConfig& config, const std::string& dir, const Flow& flow) {
  Engine engine(config);
  TradeHash hash;
  Journal journal(OrderPath::log_config(config, dir, AckPolicy::memory));
  std::uint64_t records = 0;
  const double took = seconds([&] {
    exchange::ApplyThread applying(engine, [&hash](std::span<const Report> reports) { hash_trades(reports, hash); });
    records = journal.recover({}, [&applying](const LogRecord& record) { applying.add(record.command); }).records;
    applying.finish();
  });
  need(records == flow.preload.size() + flow.ops.size() && hash == flow.hash, "the replay did not do the flow's work");
  return static_cast<double>(records) / took;
}

// As `exchange replay` does; with `digest`, over every field of every report.
double replayer_rate(const EngineConfig& config, const std::string& dir, const Flow& flow, bool digest, std::uint64_t& state_hash) {
  exchange::Replayer replayer(dir, config, exchange::config_digest(config));
  replayer.begin();
  replayer.want_digest(digest);
  exchange::ReplayRun run;
  const double took = seconds([&] {
    run = replayer.run({});
    state_hash = replayer.engine().state_hash();
  });
  need(run.records == flow.preload.size() + flow.ops.size(), "the replayer did not reach the end");
  need(replayer.engine().trades() == flow.hash.trades(), "the replayer did not make the flow's trades");
  return static_cast<double>(run.records) / took;
}

}  // namespace

Json replay(const Options& options) {
  Shape shape = one_book();
  shape.ops = kReplayRecords;
  shape = sized(shape, options);
  const EngineConfig config = rules(shape, true);
  const Flow flow = make_flow(shape);
  const Folder folder(options.dir);
  write_log(config, folder.path(), {}, flow.preload, flow.ops);
  std::vector<double> recovered;
  std::vector<double> replayed;
  std::vector<double> digested;
  std::uint64_t first_hash = 0;
  std::uint64_t hash = 0;
  for (unsigned run = 0; run < options.runs; ++run) {
    recovered.push_back(recover_rate(config, folder.path(), flow));
    replayed.push_back(replayer_rate(config, folder.path(), flow, false, first_hash));
    digested.push_back(replayer_rate(config, folder.path(), flow, true, hash));
    need(hash == first_hash, "two replays of one log differ");
  }
  Json json;
  json.put("records", std::uint64_t{flow.preload.size() + flow.ops.size()}).put("state_hash", hex(hash));
  return json.put("recover_per_s", recovered).put("replayer_per_s", replayed).put("digest_per_s", digested);
}

Json restart(const Options& options) {
  const Shape shape = sized(many_books(), options);
  const EngineConfig config = rules(shape, true);
  Flow flow = make_flow(shape);
  flow.ops.resize(std::min(flow.ops.size(), kTail));
  const Folder folder(options.dir);
  write_log(config, folder.path(), {}, flow.preload, {});
  exchange::Replayer replayer(folder.path(), config, exchange::config_digest(config));
  const exchange::MadeSnapshot snapshot = exchange::make_snapshot(replayer);
  need(snapshot.is_new, "no snapshot was made");
  const LogStart from{snapshot.newest->seq_num, snapshot.newest->record_crc};
  write_log(config, folder.path(), from, flow.ops, {});
  std::vector<double> all_s;
  std::vector<double> load_s;
  std::uint64_t live = 0;
  for (unsigned run = 0; run < options.runs; ++run) {
    std::optional<exchange::SnapshotInfo> loaded;
    std::vector<std::string> warnings;
    exchange::RecoveryReport report;
    double load = 0;
    all_s.push_back(seconds([&] {
      Engine engine(config);
      load = seconds([&] { loaded = exchange::load_newest_snapshot(folder.path(), config, engine, warnings); });
      need(loaded && warnings.empty(), "the snapshot was not loaded");
      Journal journal(OrderPath::log_config(config, folder.path(), AckPolicy::memory));
      exchange::ApplyThread applying(engine);
      report = journal.recover({loaded->seq_num, loaded->record_crc}, [&](const LogRecord& record) { applying.add(record.command); });
      applying.finish();
      live = engine.live_orders();
      need(journal.accepts(), "the journal is not ready");
    }));
    load_s.push_back(load);
    need(report.last_seq_num == flow.preload.size() + flow.ops.size(), "the tail was not applied");
  }
  Json json;
  json.put("all_s", all_s).put("load_s", load_s).put("live", live).put("tail", std::uint64_t{flow.ops.size()});
  return json;
}

}  // namespace bench
