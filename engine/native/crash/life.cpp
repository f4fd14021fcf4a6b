#include "life.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <deque>
#include <system_error>
#include <thread>

#include "exchange/replay.hpp"
#include "flow_support.hpp"

namespace crash {

namespace {

using exchange::SeqNum;

constexpr unsigned kPatienceS = 120;  // a child that hangs dies of SIGALRM, and the parent says so

class Life {
 public:
  Life(const Plan& plan, int to_parent)
      : plan_(plan),
        to_parent_(to_parent),
        random_(plan.seed),
        engine_(support::flow_config()),
        journal_(plan.log, [this] { say(Message::Kind::gate, journal_.confirmed_seq_num(), 0); }) {}

  void live() {
    recover();
    // A death in a batch wants large ones.
    const bool in_batch = plan_.point.kind == Kind::batch;
    const std::uint64_t burst = in_batch ? 20 + random_.below(200) : random_.below(3) == 0 ? 1 : 1 + random_.below(60);
    const bool waits = in_batch || random_.below(3) != 0;
    const bool holds = in_batch || (waits && random_.below(2) == 0);
    const std::uint64_t snapshot_every = random_.below(3) == 0 ? 20 + random_.below(200) : plan_.commands.size() + 1;
    hold_batches(holds);
    for (std::size_t i = 0; i < plan_.commands.size(); ++i) {
      if (!append(i)) {
        tell_what_is_lost();
        return;
      }
      if (waits && i % burst == burst - 1) {
        hold_batches(false);
        wait_for_all();
        hold_batches(holds);
      }
      if (i % snapshot_every == snapshot_every - 1) {
        make_snapshot();
      }
      tell_confirmed();
    }
    hold_batches(false);
    journal_.close();
    tell_confirmed();
    if (journal_.confirmed_seq_num() == engine_.last_seq_num()) {
      say(Message::Kind::finished, engine_.last_seq_num(), engine_.state_hash());
    } else {
      tell_what_is_lost();
    }
  }

 private:
  void say(Message::Kind kind, SeqNum seq_num, std::uint64_t number) {
    const Message message{kind, seq_num, number};
    if (::write(to_parent_, &message, sizeof(message)) != static_cast<ssize_t>(sizeof(message))) {
      throw std::system_error(errno, std::generic_category(), "the parent does not listen");
    }
  }

  // As the core does.
  void recover() {
    std::vector<std::string> warnings;
    exchange::LogStart from;
    if (const auto found = exchange::load_newest_snapshot(plan_.log.dir, support::flow_config(), engine_, warnings)) {
      from = {found->seq_num, found->record_crc};
    }
    if (!warnings.empty()) {
      throw std::runtime_error("a snapshot was passed over: " + warnings.front());
    }
    (void)journal_.recover(from, [this](const exchange::LogRecord& record) { (void)engine_.apply(record.command); });
    say(Message::Kind::recovered, journal_.appended_seq_num(), engine_.state_hash());
  }

  // False: the log is broken.
  bool append(std::size_t number) {
    const exchange::Command& command = plan_.commands[number];
    begin_append(number);
    bool taken = journal_.append(command);
    end_append();
    while (!taken && journal_.healthy()) {
      std::this_thread::yield();
      taken = journal_.append(command);
    }
    if (taken) {
      const auto reports = engine_.apply(command);
      digests_.push_back(digest_of(reports));
    }
    return taken;
  }

  void tell_confirmed() {
    const SeqNum confirmed = journal_.confirmed_seq_num();
    const SeqNum last = engine_.last_seq_num();
    while (!digests_.empty() && last - digests_.size() + 1 <= confirmed) {
      say(Message::Kind::confirmed, last - digests_.size() + 1, digests_.front());
      digests_.pop_front();
    }
  }

  void wait_for_all() {
    while (journal_.healthy() && journal_.confirmed_seq_num() < journal_.appended_seq_num()) {
      tell_confirmed();
      std::this_thread::yield();
    }
  }

  // As the program beside the core does, from the log.
  void make_snapshot() {
    hold_batches(false);
    try {
      exchange::Replayer replayer(plan_.log.dir, support::flow_config(), plan_.log.config_digest);
      const auto made = exchange::make_snapshot(replayer);
      if (made.is_new) {
        say(Message::Kind::snapshot, made.newest->seq_num, made.newest->state_hash);
      }
    } catch (const std::runtime_error&) {
      if (!made_fail()) {
        throw;
      }
    }
  }

  void tell_what_is_lost() {
    hold_batches(false);
    while (journal_.lost() == exchange::Journal::Lost::nothing) {
      std::this_thread::yield();
    }
    tell_confirmed();
    if (journal_.lost() == exchange::Journal::Lost::refused) {
      say(Message::Kind::refused, journal_.confirmed_seq_num(), 0);
    }
  }

  const Plan& plan_;
  int to_parent_;
  support::Random random_;
  exchange::Engine engine_;
  exchange::Journal journal_;
  std::deque<std::uint64_t> digests_;  // of what is applied and not confirmed
};

[[noreturn]] void be_child(const Plan& plan, int to_parent) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)::alarm(kPatienceS);
  const rlimit no_core{0, 0};
  (void)::setrlimit(RLIMIT_CORE, &no_core);
  int code = 0;
  try {
    arm(plan.point, plan.no_direct);
    Life(plan, to_parent).live();
  } catch (const exchange::LogError& error) {
    code = made_fail() ? kNoStart : kTrouble;
    if (code == kTrouble) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child: %s\n", error.what());
    code = kTrouble;
  }
  ::_exit(code);
}

}  // namespace

std::uint64_t digest_of(std::span<const exchange::Report> reports) noexcept {
  exchange::Digest digest;
  for (const exchange::Report& report : reports) {
    exchange::digest_report(digest, report);
  }
  return digest.value();
}

pid_t start_life(const Plan& plan, int& messages) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    be_child(plan, ends[1]);
  }
  ::close(ends[1]);
  messages = ends[0];
  if (child < 0) {
    throw std::system_error(errno, std::generic_category(), "fork");
  }
  return child;
}

}  // namespace crash
