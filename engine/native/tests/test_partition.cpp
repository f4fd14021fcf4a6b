// Partitions behind a log that the test holds back, and the link in front of them.
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "../src/core_link.hpp"
#include "../src/core_threads.hpp"
#include "check.hpp"
#include "exchange/codec.hpp"
#include "held_partition.hpp"
#include "link_client.hpp"
#include "support.hpp"

namespace {

using namespace exchange;
using namespace held;
using support::Client;
using support::engine_config;
using support::order;

// Of this process, by the name that the system shows.
std::vector<pid_t> threads_named(const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string said;
    if (std::getline(std::ifstream(task.path() / "comm"), said) && said == name) {
      found.push_back(static_cast<pid_t>(std::stol(task.path().filename())));
    }
  }
  return found;
}

int cpus_of(pid_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK(::sched_getaffinity(thread, sizeof set, &set) == 0);
  return CPU_COUNT(&set);
}

TEST("a partition's memory ahead is looked after by one thread, which a pinned partition does not draw to its own CPU") {
  const std::vector<int> allowed = allowed_cpus();
  Doorbell bell;
  std::vector<pid_t> looking;
  {
    Partition partition(engine_config(), "", std::make_unique<HeldLog>(), bell);
    CHECK(threads_named("memory-ahead").empty());
    (void)partition.recover();
    std::thread pinned = start_thread("pinned", allowed.empty() ? -1 : allowed[0], [&partition] { partition.run(); });
    wait_until([&] { return (looking = threads_named("memory-ahead")).size() == 1; });
    CHECK(cpus_of(looking[0]) == static_cast<int>(allowed.size()));
    partition.close_inputs();
    pinned.join();
  }
  CHECK(threads_named("memory-ahead").empty());
}

TEST("no answer leaves before the log has confirmed what it depends on, and a depth depends on all before it") {
  Gate gate;
  gate.buy(2);
  gate.put({}, true);
  gate.buy(1);
  gate.settle(3);
  CHECK(gate.log().appended == 3 && gate.released().empty() && !gate.partition().has_releasable());
  gate.log().confirmed = 1;
  const auto first = gate.released();
  CHECK(first.size() == 1 && reply_of(first[0]).seq_num == 1);
  CHECK(gate.released().empty());
  gate.log().confirmed = 2;
  const auto second = gate.released();
  CHECK(second.size() == 2 && reply_of(second[0]).seq_num == 2 && std::holds_alternative<DepthFrame>(second[1]));
  gate.log().confirmed = 3;
  CHECK(gate.released().size() == 1);
}

TEST("the gate holds while matching, confirming and releasing run against each other") {
  constexpr SeqNum kOrders = 20'000;
  Gate gate;
  gate.on_piece = [&gate](const AnswerSink::To& to) { CHECK(to.request_id <= gate.log().confirmed); };
  std::thread confirmer([&gate] {
    support::Random random(7);
    while (gate.log().confirmed < kOrders) {
      const SeqNum now = gate.log().confirmed;
      gate.log().confirmed = std::min<SeqNum>(gate.log().appended, now + random.below(64));
      std::this_thread::yield();
    }
  });
  SeqNum seen = 0;
  for (SeqNum i = 0; i < kOrders; ++i) {
    gate.buy(1);
    for (const Frame& frame : gate.released()) {
      CHECK(reply_of(frame).seq_num == ++seen);
    }
  }
  wait_until([&] {
    for (const Frame& frame : gate.released()) {
      CHECK(reply_of(frame).seq_num == ++seen);
    }
    return seen == kOrders;
  });
  confirmer.join();
}

TEST("a log with no room refuses with its numbers, and takes commands again when there is room") {
  Gate gate;
  gate.log().most = 2;
  gate.log().confirmed = 1;
  gate.buy(3);
  wait_until([&] { return gate.partition().stats(false).rejects == 1; });
  gate.log().confirmed = 2;
  const auto frames = gate.released();
  CHECK(frames.size() == 3);
  const Reply refused = reply_of(frames[2]);
  CHECK(refused.seq_num == 0 && refused.order_id == 0 && refused.reason == RejectReason::log_unavailable);
  CHECK(refused.value == 1 && refused.limit == static_cast<std::int64_t>(Journal::kMaxUnconfirmed));
  gate.log().most = 3;
  gate.buy(1);
  gate.settle(3);
  CHECK(gate.partition().stats(true).state_hash != 0);
}

TEST("when the log refused what it had not confirmed, that is refused, what it had is answered, and no depth tells of it") {
  Gate gate;
  gate.buy(2);
  gate.put({}, true);
  gate.settle(2);
  gate.log().confirmed = 1;
  gate.log().fail(Journal::Lost::refused);
  gate.buy(1);
  gate.put({}, true);
  wait_until([&] { return gate.partition().stats(false).rejects == 1; });
  const auto frames = gate.released();
  CHECK(frames.size() == 2 && reply_of(frames[0]).seq_num == 1);
  CHECK(reply_of(frames[1]).reason == RejectReason::log_unavailable && reply_of(frames[1]).seq_num == 0);
  CHECK(gate.refused == std::vector<std::uint64_t>{2} && gate.untold == std::vector<std::uint64_t>{3});
}

TEST("when nobody knows what is in the log, nobody is told anything") {
  Gate gate;
  gate.buy(2);
  gate.settle(2);
  gate.log().confirmed = 1;
  gate.log().fail(Journal::Lost::unknown);
  gate.buy(1);
  wait_until([&] { return gate.partition().stats(false).queue_depth == 0; });
  CHECK(gate.released().size() == 1 && gate.refused.empty() && gate.untold == std::vector<std::uint64_t>{2});
}

TEST("while it is not settled what a broken log lost, its answers stay where they are") {
  Gate gate;
  gate.buy(1);
  gate.settle(1);
  gate.log().fail(Journal::Lost::nothing);
  CHECK(gate.released().empty() && gate.refused.empty() && gate.untold.empty());
  gate.log().fail(Journal::Lost::refused);
  CHECK(gate.released().empty() && gate.refused.size() == 1);
}

TEST("a partition whose answers cannot leave waits, tells its hash meanwhile, and loses nothing") {
  constexpr SeqNum kOrders = Partition::kAnswerSlots + 1000;
  Gate gate;
  gate.buy(Partition::kInputSlots / 2);
  gate.settle(Partition::kInputSlots / 2);
  gate.buy(kOrders - Partition::kInputSlots / 2);
  wait_until([&] { return gate.log().appended == Partition::kAnswerSlots + 1; });
  CHECK(gate.partition().stats(true).state_hash != 0);
  CHECK(gate.released().empty() && gate.log().appended == Partition::kAnswerSlots + 1);
  gate.log().confirmed = kOrders;
  SeqNum seen = 0;
  wait_until([&] {
    for (const Frame& frame : gate.released()) {
      CHECK(reply_of(frame).seq_num == ++seen);
    }
    return seen == kOrders;
  });
}

TEST("a frame of many pieces arrives whole") {
  Gate gate;
  for (Price price = 1; price <= 600; ++price) {
    gate.put(support::new_order(Side::buy, price, 1));
  }
  Command levels;
  levels.qty = 1000;
  gate.put(levels, true);
  gate.settle(600);
  gate.log().confirmed = 600;
  const auto frames = gate.released();
  CHECK(frames.size() == 601 && std::get<DepthFrame>(frames.back()).depth.bids.size() == 600);
}

EngineConfig quick_halt() {
  EngineConfig config = engine_config();
  config.instruments[0].reference_ticks = 1000;
  config.instruments[0].luld_bps = 100;
  config.limit_state_ns = 1'000'000;
  config.halt_ns = 1'000'000;
  return config;
}

// The band ends at 1010: a limit state begins, after a millisecond a halt, after one more trading goes on.
void run_into_the_band(Gate& gate) {
  gate.log().confirmed = ~SeqNum{0};
  gate.put(support::new_order(Side::sell, 1011, 1, 1));
  gate.put(support::new_order(Side::buy, 1011, 1, 2));
}

TEST("a timer that is due is sequenced by the partition itself when nobody sends anything") {
  Gate gate(quick_halt());
  run_into_the_band(gate);
  wait_until([&] { return gate.partition().stats(false).seq_num >= 3; });
  CHECK(gate.log().appended <= 4);
}

TEST("a timer that is due is sequenced while questions come without a pause") {
  constexpr int kQuestions = 30'000;  // many milliseconds of work, put in much faster
  Gate gate(quick_halt());
  run_into_the_band(gate);
  for (int i = 0; i < kQuestions; ++i) {
    gate.put({}, true);
  }
  wait_until([&] { return gate.partition().stats(false).queue_depth == 0; });
  const auto frames = gate.released();
  CHECK(frames.size() == kQuestions + 2);
  CHECK(std::get<DepthFrame>(frames.back()).depth.seq_num >= 3);
}

// ---- the link in front of held partitions ----

TEST("past a full ring every command is refused with what waits and what may wait, and nobody else is kept waiting") {
  std::vector<std::unique_ptr<Partition>> partitions;
  CoreLink link({}, partitions);
  auto* held = new HeldLog;
  partitions.push_back(std::make_unique<Partition>(engine_config(), "", std::unique_ptr<InputLog>(held), link.server().bell()));
  const std::uint16_t port = link.server().listen("127.0.0.1", 0);
  std::thread matching([&] { partitions[0]->run(); });
  std::thread linking([&] { link.run(); });
  {
    constexpr std::size_t kOrders = Partition::kAnswerSlots + Partition::kInputSlots + 3072;
    Client client(port);
    std::thread sender([&client] {
      for (std::size_t i = 1; i <= kOrders; ++i) {
        client.send(order(i, Side::buy, 1));
      }
    });
    const auto refused = std::get<ReplyFrame>(client.receive());
    CHECK(refused.reply.reason == RejectReason::log_unavailable && refused.reply.seq_num == 0);
    CHECK(refused.reply.value == Partition::kInputSlots && refused.reply.limit == Partition::kInputSlots);
    sender.join();
    held->confirmed = kOrders;
    link.server().bell().ring();
    for (std::size_t answered = 1; answered < kOrders; ++answered) {
      CHECK(std::holds_alternative<ReplyFrame>(client.receive()));
    }
  }
  link.stop();
  linking.join();
  matching.join();
}

TEST("a core whose log failed refuses for a moment, then closes its links and is no longer running") {
  std::vector<std::unique_ptr<Partition>> partitions;
  CoreLink link({}, partitions);
  auto* held = new HeldLog;
  partitions.push_back(std::make_unique<Partition>(engine_config(), "", std::unique_ptr<InputLog>(held), link.server().bell()));
  const std::uint16_t port = link.server().listen("127.0.0.1", 0);
  link.set_running(true);
  std::thread matching([&] { partitions[0]->run(); });
  std::thread linking([&] { link.run(); });
  Client client(port);
  held->fail(Journal::Lost::refused);
  CHECK(client.ask(order(1, Side::buy, 1)).reason == RejectReason::log_unavailable);
  CHECK(!client.next());
  linking.join();
  matching.join();
  CHECK(!link.running() && link.links() == 0);
}

}  // namespace
