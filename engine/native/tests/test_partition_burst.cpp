// Bursts, inputs that all wait when the partition looks: applied in runs, answered as if they had come one at a time.
#include <vector>

#include "check.hpp"
#include "flow_support.hpp"
#include "held_partition.hpp"
#include "support.hpp"

namespace {

using namespace exchange;
using namespace held;

struct Asked {
  Command command;
  bool asks_depth = false;
};

// Every kind of command, most of them about the same few orders, some not well formed, and questions in between.
std::vector<Asked> mixed_inputs(std::size_t count) {
  support::Random random(11);
  std::vector<Asked> inputs;
  for (Command& command : support::flow(5, count)) {
    if (random.below(9) == 0) {
      Command question;
      question.instrument = static_cast<InstrumentId>(random.below(3));
      question.qty = 5;
      inputs.push_back({question, true});
    }
    if (command.kind == CommandKind::limits) {
      command.qty = 0;  // orders of any size
    }
    if (random.below(50) == 0) {
      command.firm = kMaxFirmId + 1;
    }
    inputs.push_back({command, false});
  }
  return inputs;
}

// Takes nothing for a while again and again, and now and then refuses one alone.
bool takes_mostly(std::uint64_t asked) { return asked / 40 % 8 != 5 && asked % 37 != 0; }

EngineConfig slow_timers() {
  EngineConfig config = support::flow_config();
  config.limit_state_ns = config.halt_ns = TimeNs{86'400} * 1'000'000'000;  // the clock is to change nothing
  return config;
}

TEST("a burst is answered byte for byte as the same inputs one at a time, whatever is asked and refused in between") {
  const auto inputs = mixed_inputs(6'000);
  Gate burst(slow_timers());
  Gate single(slow_timers());
  burst.log().takes = single.log().takes = takes_mostly;
  for (const Asked& one : inputs) {
    burst.stage(one.command, one.asks_depth);
    single.put(one.command, one.asks_depth);
    wait_until([&] { return single.partition().stats(false).queue_depth == 0; });
  }
  burst.partition().submit();
  wait_until([&] { return burst.partition().stats(false).queue_depth == 0; });
  burst.log().confirmed = single.log().confirmed = ~SeqNum{0};
  CHECK(burst.released().size() == inputs.size() && single.released().size() == inputs.size());
  CHECK(burst.bytes == single.bytes);
  const PartitionStats of_burst = burst.partition().stats(false);
  const PartitionStats of_single = single.partition().stats(false);
  CHECK(of_burst.seq_num == of_single.seq_num && of_burst.commands == of_single.commands && of_burst.rejects == of_single.rejects);
  CHECK(of_burst.trades == of_single.trades && of_burst.trades > 500 && of_burst.live_orders == of_single.live_orders);
}

TEST("each answer of a burst leaves as soon as the log has confirmed its own command") {
  constexpr SeqNum kOrders = 600;
  Gate gate;
  for (SeqNum i = 1; i <= kOrders; ++i) {
    gate.stage(support::new_order(Side::buy, 100, 1));
    if (i % 3 == 0) {
      gate.stage({}, true);
    }
  }
  gate.partition().submit();
  gate.settle(kOrders);
  CHECK(gate.released().empty());
  for (SeqNum confirmed = 1; confirmed <= kOrders; ++confirmed) {
    gate.log().confirmed = confirmed;
    const auto frames = gate.released();
    const bool asked = confirmed % 3 == 0;
    CHECK(frames.size() == (asked ? 2U : 1U) && reply_of(frames[0]).seq_num == confirmed);
    CHECK(!asked || std::get<DepthFrame>(frames[1]).depth.seq_num == confirmed);
  }
}

TEST("a log that breaks inside a burst takes nothing more of it, and what it had stands in front of the refusals") {
  for (const Journal::Lost lost : {Journal::Lost::refused, Journal::Lost::unknown}) {
    Gate gate;
    gate.log().takes = [&log = gate.log(), lost](std::uint64_t asked) {
      if (asked == 6) {
        log.confirmed = 3;
        log.fail(lost);
      }
      return true;
    };
    for (int i = 0; i < 10; ++i) {
      gate.stage(support::new_order(Side::buy, 100, 1));
    }
    gate.partition().submit();
    gate.settle(5);
    const auto frames = gate.released();
    const bool told = lost == Journal::Lost::refused;
    CHECK(frames.size() == (told ? 8U : 3U) && reply_of(frames[2]).seq_num == 3);
    CHECK((told ? gate.refused : gate.untold) == (std::vector<std::uint64_t>{4, 5}));
    if (told) {
      CHECK(reply_of(frames[3]).reason == RejectReason::log_unavailable && reply_of(frames[3]).limit == 0);
    }
  }
}

TEST("a partition ends when the log took a command of a burst that leaves no trace in the engine") {
  Gate gate;
  gate.log().looks = false;
  for (const FirmId firm : {1U, 2U, kMaxFirmId + 1, 3U}) {
    gate.stage(support::new_order(Side::buy, 100, 1, firm));
  }
  gate.partition().submit();
  wait_until([&] { return gate.partition().ended(); });
  gate.log().confirmed = ~SeqNum{0};
  CHECK(gate.released().empty());
}

// Leaves room for `room` answers of a usual size, confirms none, and goes on in a burst.
void fill_answers(Gate& gate, std::size_t room) {
  for (std::size_t left = Partition::kAnswerSlots - room; left > 0;) {
    const std::size_t some = std::min(left, Partition::kInputSlots / 2);
    gate.buy(some);
    left -= some;
    gate.settle(Partition::kAnswerSlots - room - left);
  }
}

TEST("a refusal tells what waited when the log refused, however long the answers before it wait for room") {
  constexpr SeqNum kBefore = Partition::kAnswerSlots - 3;
  Gate gate;
  gate.log().takes = [](std::uint64_t asked) { return asked != kBefore + 2; };
  fill_answers(gate, 3);
  gate.stage(support::new_order(Side::sell, 100, 60, 2));  // its fills need more room than there is
  gate.stage(support::new_order(Side::buy, 100, 1));
  gate.partition().submit();
  wait_until([&] { return gate.partition().stats(false).seq_num == kBefore + 1; });
  CHECK(gate.log().asked == kBefore + 2);
  gate.log().confirmed = ~SeqNum{0};
  auto frames = gate.released();
  wait_until([&] {
    for (Frame& frame : gate.released()) {
      frames.push_back(std::move(frame));
    }
    return frames.size() == kBefore + 2;
  });
  CHECK(reply_of(frames[kBefore]).fills.size() == 60);
  CHECK(reply_of(frames.back()).reason == RejectReason::log_unavailable && reply_of(frames.back()).value == kBefore + 1);
}

TEST("a partition that is given up while its answers wait for room gives the log no more of a burst") {
  constexpr SeqNum kRoom = 100;
  Gate gate;
  fill_answers(gate, kRoom);
  for (SeqNum i = 0; i < 2 * kRoom; ++i) {
    gate.stage(support::new_order(Side::buy, 100, 1));
  }
  gate.partition().submit();
  wait_until([&] { return gate.partition().stats(false).seq_num == Partition::kAnswerSlots + 1; });
  gate.partition().give_up();
  wait_until([&] { return gate.partition().ended(); });
  const PartitionStats stats = gate.partition().stats(false);
  CHECK(gate.log().appended == Partition::kAnswerSlots + 1 && stats.seq_num == gate.log().appended && stats.queue_depth == kRoom - 1);
  gate.log().confirmed = ~SeqNum{0};
  CHECK(gate.released().size() == Partition::kAnswerSlots);
}

}  // namespace
