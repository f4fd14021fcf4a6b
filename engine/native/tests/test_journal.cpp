// The journal: what it confirms is in the log whatever happens; what it does not is taken back, or said to be unknown.
#include "exchange/journal.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "exchange/posix.hpp"
#include "log_ops.hpp"
#include "test_log_files.hpp"

namespace {

using namespace log_files;

// A hang ends the test instead of the machine's patience.
template <typename Condition>
void wait_for(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::yield();
  }
}

void open(Journal& journal) { (void)journal.recover({}, [](const LogRecord&) {}); }

// A device that obeys orders: writes of batches are told from the making of segments, whose first write is at offset 0.
struct Faults {
  static inline std::atomic<long> good_writes{-1};  // then one batch write fails; -1: none does
  static inline std::atomic<int> error{0};
  static inline std::atomic<std::size_t> part{0};            // of the failing write that reaches the file
  static inline std::atomic<bool> no_way_back{false};        // everything after it fails too
  static inline std::atomic<bool> no_direct{false};          // as tmpfs once did
  static inline std::atomic<int> making{0};                  // error of making segments
  static inline std::atomic<bool> hold_batches{false};
  static inline std::atomic<bool> hold_making{false};
  static inline std::atomic<bool> held{false};
  static inline std::atomic<long> syncs{0};

  static ssize_t failing(int with) {
    errno = with;
    return -1;
  }
  static ssize_t write(int fd, const void* from, std::size_t size, off_t offset) {
    if (offset == 0) {
      while (hold_making) {
        held = true;
        std::this_thread::yield();
      }
      return making != 0 ? failing(making) : ::pwrite(fd, from, size, offset);
    }
    const auto flags = static_cast<unsigned>(::fcntl(fd, F_GETFL));
    if (no_direct && (flags & static_cast<unsigned>(O_DIRECT)) != 0) {
      return failing(EINVAL);
    }
    while (hold_batches) {
      held = true;
      std::this_thread::yield();
    }
    if (good_writes < 0 || good_writes-- > 0) {
      return ::pwrite(fd, from, size, offset);
    }
    const bool direct = (flags & static_cast<unsigned>(O_DIRECT)) != 0;
    if (part > 0 && !direct) {  // as the page cache does: what went in is told, and the next call fails
      good_writes = 0;
      return ::pwrite(fd, from, std::min<std::size_t>(size, part.exchange(0)), offset);
    }
    good_writes = no_way_back ? 0 : -1;
    if (part > 0) {  // a device fails without saying how far it came
      const UniqueFd plain(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY));
      (void)!::pwrite(plain.get(), from, std::min<std::size_t>(size, part), offset);
    }
    return failing(error);
  }
  static int sync(int fd) {
    ++syncs;
    return no_way_back && good_writes == 0 ? static_cast<int>(failing(EIO)) : ::fdatasync(fd);
  }

  Faults() {
    good_writes = -1;
    error = making = 0;
    part = 0;
    syncs = 0;
    no_way_back = no_direct = hold_batches = hold_making = held = false;
    set_file_ops(&kOps);
  }
  ~Faults() { set_file_ops(nullptr); }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  Faults(Faults&&) = delete;
  Faults& operator=(Faults&&) = delete;

  static constexpr FileOps kOps{&Faults::write, &Faults::sync, ::fallocate};
};

TEST("what a journal confirms comes back, under both policies, over segments and beyond the ring") {
  for (const AckPolicy policy : {AckPolicy::memory, AckPolicy::device}) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir.path(), 20'000, policy);
    constexpr std::uint64_t kCount = Journal::kMaxUnconfirmed + 30'000;
    std::atomic<std::uint64_t> told{0};
    Journal journal(config, [&told] { ++told; });
    open(journal);
    for (std::uint64_t n = 1; n <= kCount; ++n) {
      wait_for([&journal, n] { return journal.append(command(n)); });
      CHECK(journal.appended_seq_num() == n && journal.confirmed_seq_num() <= n);
    }
    journal.close();
    CHECK(journal.confirmed_seq_num() == kCount && journal.lost() == Journal::Lost::nothing && told > 0);
    CHECK(journal.durable_seq_num() == (policy == AckPolicy::device ? kCount : 0));
    CHECK(!journal.append(command(1)) && !journal.accepts() && !journal.healthy());
    const auto records = read_all(config);
    CHECK(records.size() == kCount);
    for (std::uint64_t n = 1; n <= kCount; ++n) {
      CHECK(records[n - 1].command.price_ticks == static_cast<Price>(n));
    }
  }
}

TEST("a sleeping journal wakes for each command by itself") {
  const support::TempDir dir;
  Journal journal(config_for(dir.path()));
  open(journal);
  for (std::uint64_t n = 1; n <= 50; ++n) {
    CHECK(journal.append(command(n)));
    wait_for([&journal, n] { return journal.confirmed_seq_num() == n; });
    CHECK(journal.durable_seq_num() == n);
  }
}

TEST("a journal's thread takes no signal") {
  const support::TempDir dir;
  static std::atomic<pthread_t> taker;
  taker = 0;
  struct sigaction mine {};
  struct sigaction before {};
  mine.sa_handler = [](int) { taker = ::pthread_self(); };
  ::sigaction(SIGUSR1, &mine, &before);
  Journal journal(config_for(dir.path()));
  open(journal);
  sigset_t usr1{};
  ::sigemptyset(&usr1);
  ::sigaddset(&usr1, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &usr1, nullptr);  // here too: whoever takes it now is a thread of the journal
  ::kill(::getpid(), SIGUSR1);
  for (std::uint64_t n = 1; n <= 5; ++n) {
    CHECK(journal.append(command(n)));
    wait_for([&journal, n] { return journal.confirmed_seq_num() == n; });
  }
  CHECK(taker == 0);
  ::pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
  wait_for([] { return taker != 0; });
  CHECK(::pthread_equal(taker, ::pthread_self()) != 0);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST("where direct writes are refused, every batch is written and synced") {
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path());
  {
    const Faults faults;
    Faults::no_direct = true;
    Journal journal(config);
    open(journal);
    const long before = Faults::syncs;
    for (std::uint64_t n = 1; n <= 5; ++n) {
      CHECK(journal.append(command(n)));
      wait_for([&journal, n] { return journal.confirmed_seq_num() == n; });
    }
    CHECK(Faults::syncs == before + 5);
  }
  CHECK(read_all(config).size() == 5);
}

// Seeded: any write fails, any part of it reaches the file, and the way back is open or not.
TEST("after a failed write nothing is taken, what was confirmed is there, and what was lost is told truly") {
  support::Random random(5);
  for (int round = 0; round < 150; ++round) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir.path(), 500);
    std::uint64_t appended = 0;
    std::uint64_t confirmed = 0;
    Journal::Lost lost = Journal::Lost::nothing;
    {
      const Faults faults;
      Journal journal(config);
      open(journal);
      Faults::no_direct = random.below(2) == 0;
      Faults::error = random.below(2) == 0 ? ENOSPC : EIO;
      Faults::part = random.below(6) * 1000;
      Faults::no_way_back = random.below(2) == 0;
      Faults::good_writes = static_cast<long>(random.below(6));
      while (journal.append(command(appended + 1))) {
        ++appended;
        if (random.below(3) == 0) {
          wait_for([&journal, appended] { return journal.confirmed_seq_num() == appended || !journal.healthy(); });
        }
      }
      wait_for([&journal] { return journal.lost() != Journal::Lost::nothing; });
      lost = journal.lost();
      confirmed = journal.confirmed_seq_num();
      CHECK(!journal.healthy() && !journal.accepts() && !journal.append(command(1)));
      const bool by_sync = Faults::no_way_back && journal.fault() == LogFault::device;
      CHECK(by_sync || journal.fault() == (Faults::error == ENOSPC ? LogFault::disk_full : LogFault::device));
      CHECK(lost == Journal::Lost::refused || Faults::no_way_back);
    }
    const auto records = read_all(config);
    CHECK(records.size() >= confirmed && records.size() <= appended);
    CHECK(lost == Journal::Lost::unknown || records.size() == confirmed);
    for (std::size_t i = 0; i < records.size(); ++i) {
      CHECK(records[i].command.price_ticks == static_cast<Price>(i + 1));
    }
  }
}

TEST("a full disk refuses what has no segment, keeps what was confirmed, and is not called damage") {
  for (const AckPolicy policy : {AckPolicy::memory, AckPolicy::device}) {
    const support::TempDir dir;
    const LogConfig config = config_for(dir.path(), 10, policy);
    const Faults faults;
    {
      Journal journal(config);
      open(journal);
      Faults::making = ENOSPC;
      std::uint64_t n = 0;
      while (journal.append(command(n + 1))) {
        ++n;
        wait_for([&journal, n] { return journal.confirmed_seq_num() == n || !journal.healthy(); });
      }
      wait_for([&journal] { return journal.lost() != Journal::Lost::nothing; });
      CHECK(journal.lost() == Journal::Lost::refused && journal.fault() == LogFault::disk_full && !journal.healthy());
      CHECK(journal.confirmed_seq_num() == 10);
    }
    const auto message = refusal(config);
    CHECK(message && contains(*message, "the next segment cannot be made") && contains(*message, "the disk is full: make room"));
    CHECK(!contains(*message, "repair"));
    Faults::making = 0;
    CHECK(read_all(config).size() == 10);
  }
}

TEST("a slow device refuses for as long as it is slow, and loses nothing") {
  const support::TempDir dir;
  const Faults faults;
  const LogConfig config = config_for(dir.path(), 300'000);
  Journal journal(config);
  open(journal);
  Faults::hold_batches = true;
  std::uint64_t n = 0;
  while (journal.append(command(n + 1))) {
    ++n;
  }
  CHECK(n == Journal::kMaxUnconfirmed && journal.confirmed_seq_num() == 0);
  CHECK(!journal.accepts() && journal.healthy() && journal.fault() == LogFault::slow && journal.lost() == Journal::Lost::nothing);
  Faults::hold_batches = false;
  wait_for([&journal, n] { return journal.confirmed_seq_num() == n; });
  CHECK(journal.accepts() && journal.fault() == LogFault::none && journal.append(command(n + 1)));
}

TEST("a segment that is late refuses commands under memory only until it is there") {
  const support::TempDir dir;
  const Faults faults;
  const LogConfig config = config_for(dir.path(), 10, AckPolicy::memory);
  Journal journal(config);
  open(journal);
  Faults::hold_making = true;
  for (std::uint64_t n = 1; n <= 10; ++n) {
    CHECK(journal.append(command(n)));
  }
  CHECK(!journal.append(command(11)) && !journal.append(command(11)));
  CHECK(!journal.accepts() && journal.healthy() && journal.fault() == LogFault::slow);
  Faults::hold_making = false;
  wait_for([&journal] { return journal.append(command(11)); });
  CHECK(journal.fault() == LogFault::none && journal.confirmed_seq_num() == 11);
  journal.close();
  CHECK(read_all(config).size() == 11);
}

// A child that appends until it is killed, and says in shared memory what was confirmed.
pid_t start_child(const LogConfig& config, std::atomic<SeqNum>& confirmed) {
  const pid_t child = ::fork();
  if (child != 0) {
    return child;
  }
  Journal journal(config);
  SeqNum n = journal.recover({}, [](const LogRecord&) {}).last_seq_num;
  while (true) {
    if (n < journal.confirmed_seq_num() + 100 && journal.append(command(n + 1))) {
      ++n;
    }
    confirmed.store(journal.confirmed_seq_num(), std::memory_order_release);
  }
}

void kill_rounds(AckPolicy policy, int rounds, std::uint64_t seed) {
  void* const shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  auto& confirmed = *new (shared) std::atomic<SeqNum>(0);
  support::Random random(seed);
  const support::TempDir dir;
  const LogConfig config = config_for(dir.path(), 64, policy);
  SeqNum before = 0;
  for (int round = 0; round < rounds; ++round) {
    const SeqNum target = before + 1 + random.below(300);
    const pid_t child = start_child(config, confirmed);
    wait_for([&confirmed, target] { return confirmed.load(std::memory_order_acquire) >= target; });
    const SeqNum seen = confirmed.load(std::memory_order_acquire);  // while the child lives and writes
    CHECK(record_crc_at(config.dir, seen).has_value());
    ::kill(child, SIGKILL);
    CHECK(::waitpid(child, nullptr, 0) == child);
    const SeqNum at_death = confirmed.load(std::memory_order_acquire);
    const LogVerifyReport report = verify_log(config.dir);
    CHECK(report.starts() && report.last_seq_num >= at_death);
    LogReader reader(config.dir, before + 1);
    LogRecord record;
    for (SeqNum seq = before + 1; seq <= at_death; ++seq) {
      CHECK(reader.next({&record, 1}) == 1 && record.command.price_ticks == static_cast<Price>(seq));
    }
    before = report.last_seq_num;
  }
  CHECK(read_all(config).size() == before);
  ::munmap(shared, 4096);
}

TEST("whatever moment a process is killed at, everything it confirmed under memory is in the log") {
  kill_rounds(AckPolicy::memory, 40, 21);
}

TEST("whatever moment a process is killed at, everything it confirmed under device is in the log") {
  kill_rounds(AckPolicy::device, 25, 22);
}

}  // namespace
