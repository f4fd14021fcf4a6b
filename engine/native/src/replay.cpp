#include "exchange/replay.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "exchange/log_tools.hpp"
#include "exchange/record.hpp"
#include "replay_feed.hpp"

namespace exchange {

namespace {

// A run that is longer than this reads ahead with a second thread.
constexpr std::uint64_t kLongRun = 8192;

ReplayPlace place_of(const LogRecord& record) noexcept { return {record.seq_num, record.epoch, record.command.ts_ns, record.crc}; }

std::optional<ReplayPlace> place_at(const std::string& log_dir, SeqNum seq_num) {
  LogReader reader(log_dir, seq_num);
  LogRecord record;
  return reader.next({&record, 1}) == 1 ? std::optional(place_of(record)) : std::nullopt;
}

// The same for places that no segment has.
std::optional<ReplayPlace> place_if_there(const std::string& log_dir, SeqNum seq_num) {
  try {
    return place_at(log_dir, seq_num);
  } catch (const LogError&) {
    return std::nullopt;
  }
}

// `digest` is what the log's segments carry, 0 when there is none yet.
[[noreturn]] void other_instruments(const std::string& log_dir, std::uint64_t digest) {
  if (digest == 0) {
    throw LogError(log_dir + ": there is no log segment yet; start a core on this folder first", LogCause::empty);
  }
  throw LogError(log_dir + ": the log was written under other instruments or limits, and would replay differently: give the files that "
                           "its core was started with",
                 LogCause::settings);
}

}  // namespace

// Four short chains side by side: one long one would wait for a multiplication 16 times over.
void digest_report(Digest& digest, const Report& report) noexcept {
  const auto pair = [](auto low, auto high) {
    return std::uint64_t{static_cast<std::uint32_t>(low)} | std::uint64_t{static_cast<std::uint32_t>(high)} << 32U;
  };
  std::uint64_t kinds = 0;
  for (const std::uint8_t kind :
       {static_cast<std::uint8_t>(report.exec_type), static_cast<std::uint8_t>(report.ord_status), static_cast<std::uint8_t>(report.reason),
        static_cast<std::uint8_t>(report.side), static_cast<std::uint8_t>(report.ord_type), static_cast<std::uint8_t>(report.tif),
        static_cast<std::uint8_t>(report.liquidity)}) {
    kinds = kinds << 8U | kind;
  }
  std::array<Digest, 4> lanes;
  const auto words = [&lanes](std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    lanes[0].word(a);
    lanes[1].word(b);
    lanes[2].word(c);
    lanes[3].word(d);
  };
  words(report.exec_id, report.seq_num, report.order_id, report.trade_id);
  words(report.contra_order_id, pair(report.firm, report.instrument), kinds, pair(report.stop_price_ticks, report.price_ticks));
  words(static_cast<std::uint64_t>(report.last_px_ticks), static_cast<std::uint64_t>(report.last_qty),
        static_cast<std::uint64_t>(report.order_qty), static_cast<std::uint64_t>(report.cum_qty));
  words(static_cast<std::uint64_t>(report.leaves_qty), static_cast<std::uint64_t>(report.cum_notional),
        static_cast<std::uint64_t>(report.value), static_cast<std::uint64_t>(report.limit));
  lanes[0].word(lanes[1].value());
  lanes[2].word(lanes[3].value());
  lanes[0].word(lanes[2].value());
  digest.word(lanes[0].value());
}

struct Replayer::State {
  std::string log_dir;
  EngineConfig config;
  std::uint64_t config_digest = 0;
  Engine engine;
  std::optional<ReplayFeed> feed;
  ReplayPlace place;
  std::optional<SnapshotInfo> loaded;
  FeedBatch batch;
  std::size_t taken = 0;  // of `batch`
  std::span<const Report> reports;  // of the last batch
  std::vector<KeptReport> kept;
  bool digest_wanted = false;
  Digest digest;

  State(std::string dir, EngineConfig from, std::uint64_t digest_of_config)
      : log_dir(std::move(dir)), config(std::move(from)), config_digest(digest_of_config), engine(config) {}

  void open_feed(SeqNum from);
  void begin();
  [[nodiscard]] bool go_on_behind(const SnapshotInfo& info);
  [[nodiscard]] bool has_batch();
  [[nodiscard]] std::size_t fitting(const ReplayStop& stop, std::uint64_t already) const noexcept;
  void apply(std::size_t count, const ReportFilter& filter);
  void look_at_reports(std::span<const Command> commands, SeqNum first, const ReportFilter& filter);
};

void Replayer::State::open_feed(SeqNum from) {
  feed.emplace(log_dir, from);
  batch = {};
  taken = 0;
  if (feed->config_digest() != config_digest) {
    other_instruments(log_dir, feed->config_digest());
  }
}

void Replayer::State::begin() {
  if (engine.last_seq_num() != 0) {
    engine = Engine(config);
  }
  place = {};
  loaded.reset();
  kept.clear();
  digest = {};
  open_feed(1);
}

// False: the log does not hold the record that the snapshot ends with, so it is one of another history.
bool Replayer::State::go_on_behind(const SnapshotInfo& info) {
  const auto there = place_if_there(log_dir, info.seq_num);
  if (!there || there->record_crc != info.record_crc) {
    return false;
  }
  open_feed(info.seq_num);
  if (!has_batch()) {
    return false;
  }
  taken = 1;
  place = *there;
  loaded = info;
  return true;
}

bool Replayer::State::has_batch() {
  if (taken < batch.commands.size()) {
    return true;
  }
  taken = 0;
  batch.commands.clear();
  return feed->next(batch);
}

// How many of the records at hand lie before the stop. Neither seq_num nor time goes back in a log.
std::size_t Replayer::State::fitting(const ReplayStop& stop, std::uint64_t already) const noexcept {
  std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(batch.commands.size() - taken, stop.records - already));
  const SeqNum next = batch.first_seq_num + taken;
  if (next > stop.seq_num) {
    return 0;
  }
  most = static_cast<std::size_t>(std::min<std::uint64_t>(most, stop.seq_num - next + 1));
  if (most == 0 || batch.commands[taken + most - 1].ts_ns <= stop.ts_ns) {
    return most;
  }
  const auto first = batch.commands.begin() + static_cast<std::ptrdiff_t>(taken);
  const auto behind = std::find_if(first, first + static_cast<std::ptrdiff_t>(most),
                                   [&stop](const Command& command) { return command.ts_ns > stop.ts_ns; });
  return static_cast<std::size_t>(behind - first);
}

void Replayer::State::apply(std::size_t count, const ReportFilter& filter) {
  const std::span<const Command> commands = std::span<const Command>(batch.commands).subspan(taken, count);
  const SeqNum first = batch.first_seq_num + taken;
  reports = engine.apply_batch(commands);
  taken += count;
  place = batch.place(taken - 1);
  if (engine.last_seq_num() != place.seq_num) {
    throw LogError(log_dir + ": seq_num " + std::to_string(place.seq_num) + ": the engine counts " + std::to_string(engine.last_seq_num()) +
                   ": a command in the log is one that no engine takes; `exchange log verify` looks at all of it");
  }
  look_at_reports(commands, first, filter);
}

void Replayer::State::look_at_reports(std::span<const Command> commands, SeqNum first, const ReportFilter& filter) {
  if (digest_wanted) {
    for (const Report& report : reports) {
      digest_report(digest, report);
    }
  }
  if (!filter.wants_any()) {
    return;
  }
  for (const Report& report : reports) {
    const Command& command = commands[report.seq_num - first];
    if (filter.wants(report, command.kind)) {
      kept.push_back({report, command});
    }
  }
}

Replayer::Replayer(std::string log_dir, EngineConfig config, std::uint64_t config_digest)
    : state_(std::make_unique<State>(std::move(log_dir), std::move(config), config_digest)) {
  begin();
}

Replayer::Replayer(Replayer&&) noexcept = default;
Replayer& Replayer::operator=(Replayer&&) noexcept = default;
Replayer::~Replayer() = default;

void Replayer::begin() { state_->begin(); }

std::vector<std::string> Replayer::seek(const SnapshotLimit& limit) {
  State& state = *state_;
  std::vector<std::string> warnings;
  state.begin();
  SnapshotLimit now = limit;
  while (const auto info = load_newest_snapshot(state.log_dir, state.config, state.engine, warnings, now)) {
    if (state.go_on_behind(*info)) {
      return warnings;
    }
    warnings.push_back(info->path + ": left out, the log does not hold the record that it ends with");
    state.begin();
    if (info->seq_num == 0) {
      break;
    }
    now.seq_num = info->seq_num - 1;
  }
  return warnings;
}

void Replayer::load(const std::string& snapshot_path) {
  State& state = *state_;
  state.begin();
  try {
    if (!state.go_on_behind(load_snapshot(snapshot_path, state.engine))) {
      throw SnapshotError(snapshot_path + ": the log does not hold the record that it ends with");
    }
  } catch (...) {
    state.engine = Engine(state.config);
    state.begin();
    throw;
  }
}

ReplayRun Replayer::run(const ReplayStop& stop, const ReportFilter& filter) {
  State& state = *state_;
  // However the run ends, nobody reads behind its back.
  struct Pause {
    ReplayFeed& feed;
    ~Pause() { feed.pause(); }
  } const pause{*state.feed};
  ReplayRun done;
  while (true) {
    if (done.records == stop.records || (filter.wants_any() && state.kept.size() >= filter.most)) {
      done.more = true;
      break;
    }
    if (!state.has_batch()) {
      break;
    }
    const std::size_t count = state.fitting(stop, done.records);
    if (count == 0) {
      break;
    }
    state.apply(count, filter);
    done.records += count;
    done.reports += state.reports.size();
    if (done.records / kLongRun != (done.records - count) / kLongRun) {
      state.feed->read_ahead();
    }
  }
  return done;
}

void Replayer::want_digest(bool wanted) noexcept { state_->digest_wanted = wanted; }
std::uint64_t Replayer::digest() const noexcept { return state_->digest.value(); }
std::vector<KeptReport> Replayer::take_kept() { return std::exchange(state_->kept, {}); }
const ReplayPlace& Replayer::place() const noexcept { return state_->place; }
const Engine& Replayer::engine() const noexcept { return state_->engine; }
const std::optional<SnapshotInfo>& Replayer::loaded() const noexcept { return state_->loaded; }
const std::string& Replayer::log_dir() const noexcept { return state_->log_dir; }

std::optional<ReplayPlace> Replayer::next_place() {
  State& state = *state_;
  return state.has_batch() ? std::optional(state.batch.place(state.taken)) : std::nullopt;
}

std::optional<ReplayPlace> Replayer::first_place() const { return place_at(state_->log_dir, 1); }

// Records are dense from 1: two bounds that close in on the last one. They may have closed in on damage instead: reading on
// from there tells.
std::optional<ReplayPlace> Replayer::last_place() const {
  std::optional<ReplayPlace> last = first_place();
  if (!last) {
    return last;
  }
  SeqNum missing = 2;
  while (const auto found = place_if_there(state_->log_dir, missing)) {
    last = found;
    missing *= 2;
  }
  while (missing - last->seq_num > 1) {
    const SeqNum middle = last->seq_num + (missing - last->seq_num) / 2;
    if (const auto found = place_if_there(state_->log_dir, middle)) {
      last = found;
    } else {
      missing = middle;
    }
  }
  ReplayFeed feed(state_->log_dir, last->seq_num);
  FeedBatch batch;
  while (feed.next(batch)) {
    last = batch.place(batch.commands.size() - 1);
  }
  return last;
}

MadeSnapshot make_snapshot(Replayer& replayer, std::size_t keep) {
  MadeSnapshot made;
  made.warnings = replayer.seek({});
  made.records = replayer.run({}).records;
  const ReplayPlace at = replayer.place();
  if (at.seq_num == 0) {
    return made;
  }
  if (made.records == 0) {
    made.newest = replayer.loaded();
    return made;
  }
  sync_log(replayer.log_dir(), at.seq_num);
  // A core whose device fails takes its last batch back; what it took back must not live on here.
  if (const auto crc = record_crc_at(replayer.log_dir(), at.seq_num); !crc || *crc != at.record_crc) {
    throw SnapshotError(replayer.log_dir() + ": the core took seq_num " + std::to_string(at.seq_num) + " back meanwhile; try again");
  }
  made.newest = write_snapshot(replayer.log_dir(), replayer.engine(), {at.epoch, at.ts_ns, at.record_crc}, keep);
  made.is_new = true;
  return made;
}

// By the feed, as every replay: it tells damage in the middle from the end of the log.
std::vector<FoundCommand> find_commands(const std::string& log_dir, std::uint64_t config_digest, std::uint64_t command_kinds) {
  ReplayFeed feed(log_dir, 1);
  if (feed.config_digest() != config_digest) {
    other_instruments(log_dir, feed.config_digest());
  }
  std::vector<FoundCommand> found;
  FeedBatch batch;
  while (feed.next(batch)) {
    for (std::size_t i = 0; i < batch.commands.size(); ++i) {
      if ((command_kinds >> static_cast<unsigned>(batch.commands[i].kind) & 1U) != 0) {
        found.push_back({batch.first_seq_num + i, batch.commands[i]});
      }
    }
  }
  return found;
}

}  // namespace exchange
