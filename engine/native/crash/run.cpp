#include "run.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <optional>

#include "exchange/log_tools.hpp"
#include "exchange/posix.hpp"
#include "exchange/replay.hpp"
#include "flow_support.hpp"
#include "life.hpp"

namespace crash {

namespace {

using exchange::AckPolicy;
using exchange::Command;
using exchange::LogConfig;
using exchange::SeqNum;

constexpr exchange::TimeNs kLifeNs = 1'000'000;  // between the beginnings of two lives; more than one takes
constexpr int kSilenceMs = 150'000;

struct Death {
  std::vector<Message> messages;
  int status = 0;
};

// Reads until the child is gone; kills it itself where the point says so.
Death watch(pid_t child, int messages, const Point& point) {
  const exchange::UniqueFd end(messages);
  Death death;
  std::array<char, 3000 * sizeof(Message)> bytes{};
  std::size_t held = 0;
  std::uint64_t answers = 0;
  bool killed = false;
  for (;;) {
    pollfd wanted{end.get(), POLLIN, 0};
    if (::poll(&wanted, 1, kSilenceMs) == 0) {
      ::kill(child, SIGALRM);
    }
    const ssize_t got = ::read(end.get(), bytes.data() + held, bytes.size() - held);
    if (got <= 0) {
      break;
    }
    held += static_cast<std::size_t>(got);
    const std::size_t whole = held / sizeof(Message);
    for (std::size_t i = 0; i < whole; ++i) {
      Message message;
      std::memcpy(&message, bytes.data() + i * sizeof(Message), sizeof(Message));
      death.messages.push_back(message);
      ++answers;
    }
    held -= whole * sizeof(Message);
    std::memmove(bytes.data(), bytes.data() + whole * sizeof(Message), held);
    if (point.kind == Kind::outside && answers > point.at && !killed) {
      ::kill(child, SIGKILL);
      killed = true;
    }
  }
  while (::waitpid(child, &death.status, 0) < 0 && errno == EINTR) {
  }
  return death;
}

std::array<std::uint8_t, exchange::kRecordSize> bytes_of(const Command& command) {
  std::array<std::uint8_t, exchange::kRecordSize> bytes{};
  (void)exchange::encode_record({command, 1, 1, 1}, bytes);
  return bytes;
}

class Run {
 public:
  Run(const Request& request, Totals& totals)
      : request_(request), totals_(totals), random_(request.seed * 0x9E3779B9ULL + 1), clean_(support::flow_config()) {
    std::string made = (std::filesystem::temp_directory_path() / "exchange-crash-XXXXXX").string();
    folder_ = ::mkdtemp(made.data()) != nullptr ? made : std::string();
    log_ = support::flow_log(folder_ + "/log");
    first_policy_ = random_.below(2);
    constexpr std::array<std::uint64_t, 8> kSizes = {1, 5, 16, 64, 64, 300, 300, 300};
    log_.segment_records = kSizes.at(random_.below(kSizes.size()));
  }

  bool run() {
    try {
      return lives();
    } catch (const std::runtime_error& error) {
      broken(error.what());
    }
  }

 private:
  bool lives() {
    ++totals_.runs;
    bool first_killed = false;
    for (std::size_t number = 0; number < kLives; ++number) {
      const bool killed = life(number);
      first_killed = number == 0 ? killed : first_killed;
    }
    recover();
    check_every_way_back();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    return first_killed;
  }

  [[noreturn]] void broken(const std::string& what) const { throw Broken(what, points_, folder_); }
  void require(bool holds, const std::string& what) const {
    if (!holds) {
      broken(what);
    }
  }
  [[nodiscard]] SeqNum last() const noexcept { return clean_.last_seq_num(); }
  // Not when a core died before its first one was made.
  [[nodiscard]] bool has_segment() const { return std::filesystem::exists(log_.dir + "/00000001.log"); }

  Plan plan(std::size_t number) {
    Plan made;
    log_.epoch += random_.below(2);
    const std::uint64_t policy = random_.below(3) == 0 ? 1 - first_policy_ : first_policy_;
    const bool device = policy == 1;
    log_.ack_policy = device ? AckPolicy::device : AckPolicy::memory;
    ++totals_.policies.at(policy);
    made.log = log_;
    made.no_direct = random_.below(3) == 0;
    made.seed = random_.next();
    made.start = last();
    const std::uint64_t longest = request_.brief ? 40 : log_.segment_records < 5 ? 60 : device ? 500 : 1500;
    const std::uint64_t few = 1 + random_.below(8);  // behind a cut tail, so that what was left of it would show
    std::uint64_t count = 10 + random_.below(longest);
    if (random_.below(2) == 0 && torn_) {
      count = few;
    }
    made.commands = support::flow(random_.next(), last() + count);
    made.commands.erase(made.commands.begin(), made.commands.begin() + static_cast<std::ptrdiff_t>(last()));
    for (Command& command : made.commands) {
      command.ts_ns += static_cast<exchange::TimeNs>(number) * kLifeNs;
    }
    const std::uint64_t segments = count / log_.segment_records + 1;
    const Point from_seed = random_point(random_, {4 + segments * 3 + (device ? count / 3 : 0), count, device});
    made.point = number < request_.points.size() ? request_.points[number] : from_seed;
    points_.push_back(made.point);
    return made;
  }

  // True when it was killed.
  bool life(std::size_t number) {
    const Plan planned = plan(number);
    int messages = -1;
    const pid_t child = start_life(planned, messages);
    const Death death = watch(child, messages, planned.point);
    ++totals_.lives;
    const bool stepped = planned.point.kind == Kind::steps || planned.point.kind == Kind::append;
    const int signal = WIFSIGNALED(death.status) ? WTERMSIG(death.status) : 0;
    const bool killed = signal == SIGKILL || (stepped && signal == SIGTRAP);  // SIGTRAP: at once where signals are blocked
    if (killed) {
      ++totals_.killed.at(static_cast<std::size_t>(planned.point.kind));
      require(planned.point.kind != Kind::none, "something killed the child that was to live");
    } else {
      require(signal == 0, "the child died of signal " + std::to_string(signal));
      const int code = WEXITSTATUS(death.status);
      require(code == 0 || (code == kNoStart && planned.point.kind == Kind::fail), "the child ended with exit code " + std::to_string(code));
      ++totals_.ended;
    }
    judge(planned, death.messages);
    if (random_.below(2) == 0) {
      recover();
    }
    if (random_.below(4) == 0) {
      snapshot();
    }
    return killed;
  }

  // Takes over what the log holds behind the life, after holding it against what was sent and what was answered.
  void judge(const Plan& planned, const std::vector<Message>& messages) {
    const exchange::LogVerifyReport report = exchange::verify_log(log_.dir);
    require(report.starts(), report.starts() ? "" : "the log is damaged: " + report.problems.front().text());
    require(report.last_seq_num >= planned.start, "the log has " + std::to_string(report.last_seq_num) + " records, it had " + std::to_string(planned.start));
    require(report.last_seq_num <= planned.start + planned.commands.size(), "the log has more records than commands were sent");
    torn_ = !report.problems.empty();
    totals_.torn += torn_ ? 1 : 0;
    totals_.switches += report.segments.empty() ? 0 : report.segments.size() - 1;
    read_behind(planned, report.last_seq_num);
    SeqNum told = planned.start;
    for (const Message& message : messages) {
      hold_against(message, planned, told);
    }
    totals_.unconfirmed_kept += last() - told;
  }

  void read_behind(const Plan& planned, SeqNum to) {
    if (to == 0) {
      return;
    }
    exchange::LogReader reader(log_.dir, 1);
    std::vector<exchange::LogRecord> records(to);
    require(reader.next(records) == to, "the log cannot be read to its end: " + reader.stop_text());
    for (SeqNum seq_num = 1; seq_num <= to; ++seq_num) {
      const bool is_new = seq_num > planned.start;
      const Command& sent = is_new ? planned.commands[seq_num - planned.start - 1] : commands_[seq_num - 1];
      require(bytes_of(records[seq_num - 1].command) == bytes_of(sent), "the record of seq_num " + std::to_string(seq_num) + " is not what was sent");
      if (is_new) {
        commands_.push_back(sent);
        digests_.push_back(digest_of(clean_.apply(sent)));
        hashes_.push_back(clean_.state_hash());
      }
    }
  }

  void hold_against(const Message& message, const Plan& planned, SeqNum& told) {
    const std::string seq_num = std::to_string(message.seq_num);
    require(message.seq_num <= last(), "seq_num " + seq_num + " was told of, and the log ends with " + std::to_string(last()));
    switch (message.kind) {
      case Message::Kind::recovered:
        require(message.seq_num == planned.start, "the child found " + seq_num + " records, not " + std::to_string(planned.start));
        require(message.number == hash_at(planned.start), "the child's state behind seq_num " + seq_num + " is not that of a clean engine");
        return;
      case Message::Kind::gate:
        return;
      case Message::Kind::confirmed:
        require(message.seq_num == ++told, "seq_num " + seq_num + " was confirmed out of order");
        require(message.number == digests_[message.seq_num - 1], "the reports of seq_num " + seq_num + " are not those that were answered");
        ++totals_.confirmed;
        return;
      case Message::Kind::snapshot:
        require(message.number == hash_at(message.seq_num), "the snapshot behind seq_num " + seq_num + " is of another state");
        ++totals_.snapshots;
        return;
      case Message::Kind::refused:
        require(message.seq_num == last(), "everything behind seq_num " + seq_num + " was refused, and the log ends with " + std::to_string(last()));
        ++totals_.refused;
        return;
      case Message::Kind::finished:
        require(message.seq_num == last() && message.number == hash_at(last()), "a log that was closed in peace is another one now");
        return;
    }
    broken("the child says what nobody says");
  }

  [[nodiscard]] std::uint64_t hash_at(SeqNum seq_num) const {
    return seq_num == 0 ? exchange::Engine(support::flow_config()).state_hash() : hashes_.at(seq_num - 1);
  }

  // As the next core would; under the other policy, because a log is one whatever wrote it.
  void recover() {
    exchange::Engine engine(support::flow_config());
    std::vector<std::string> warnings;
    exchange::LogStart from;
    if (const auto found = exchange::load_newest_snapshot(log_.dir, support::flow_config(), engine, warnings)) {
      require(hash_at(found->seq_num) == found->state_hash, "a snapshot holds another state than its place in the log");
      from = {found->seq_num, found->record_crc};
    }
    require(warnings.empty(), warnings.empty() ? "" : "a snapshot was passed over: " + warnings.front());
    LogConfig other = log_;
    other.ack_policy = log_.ack_policy == AckPolicy::device ? AckPolicy::memory : AckPolicy::device;
    exchange::Journal journal(other);
    const auto report = journal.recover(from, [&](const exchange::LogRecord& record) {
      require(digest_of(engine.apply(record.command)) == digests_.at(record.seq_num - 1),
              "the reports of seq_num " + std::to_string(record.seq_num) + " are others after a start");
    });
    require(report.last_seq_num == last(), "a start finds " + std::to_string(report.last_seq_num) + " records, a reader " + std::to_string(last()));
    require(engine.state_hash() == hash_at(last()), "a start comes to another state than a clean engine");
    require(journal.confirmed_seq_num() == last() && journal.durable_seq_num() == last(), "what was found is not confirmed");
  }

  void snapshot() {
    if (!has_segment()) {
      return;
    }
    exchange::Replayer replayer(log_.dir, support::flow_config(), log_.config_digest);
    const auto made = exchange::make_snapshot(replayer);
    totals_.snapshots += made.is_new ? 1 : 0;
    require(made.newest.has_value() == (last() > 0), "a log has no snapshot");
    require(!made.newest || made.newest->state_hash == hash_at(last()), "a snapshot of the end is not the state there");
  }

  // From the first record, and from every snapshot there is.
  void check_every_way_back() {
    if (!has_segment()) {
      return;
    }
    exchange::Replayer replayer(log_.dir, support::flow_config(), log_.config_digest);
    replayer.begin();
    (void)replayer.run({});
    require(replayer.engine().state_hash() == hash_at(last()), "a replay of everything comes to another state");
    for (const std::string& path : exchange::list_snapshots(log_.dir)) {
      replayer.load(path);
      (void)replayer.run({});
      require(replayer.place().seq_num == last() && replayer.engine().state_hash() == hash_at(last()), path + " and its tail come to another state");
    }
  }

  const Request& request_;
  Totals& totals_;
  support::Random random_;
  std::string folder_;
  LogConfig log_;
  std::uint64_t first_policy_ = 0;
  bool torn_ = false;  // the life before left a torn tail
  exchange::Engine clean_;  // has what is in the log
  std::vector<Command> commands_;
  std::vector<std::uint64_t> digests_;  // of the reports of each seq_num
  std::vector<std::uint64_t> hashes_;   // of the state behind it
  std::vector<Point> points_;
};

}  // namespace

bool run_once(const Request& request, Totals& totals) { return Run(request, totals).run(); }

}  // namespace crash
