// The engine through its C++ face, and its saved bytes. Its rules are held against the reference by tests/engine.
#include "check.hpp"
#include "exchange/engine.hpp"
#include "flow_support.hpp"
#include "saved_state.hpp"

namespace {

using namespace exchange;

using support::load;
using support::saved;

}  // namespace

TEST("a state saved after any command and loaded goes on like the one that never stopped") {
  const auto commands = support::flow(11, 400);
  for (std::size_t k = 0; k <= commands.size(); k += 7) {
    Engine first(support::flow_config());
    for (std::size_t i = 0; i < k; ++i) {
      static_cast<void>(first.apply(commands[i]));
    }
    Engine second(support::flow_config());
    load(second, saved(first), 1 + k % 37);
    CHECK(second.state_hash() == first.state_hash());
    for (std::size_t i = k; i < commands.size(); ++i) {
      const auto wanted = first.apply(commands[i]);
      const auto got = second.apply(commands[i]);
      CHECK(got.size() == wanted.size());
      for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(support::same_report(got[j], wanted[j]));
      }
    }
    CHECK(second.state_hash() == first.state_hash());
  }
}

TEST("a saved state is refused when it is cut, when something follows it, and under another configuration") {
  Engine engine(support::flow_config());
  for (const Command& command : support::flow(3, 200)) {
    static_cast<void>(engine.apply(command));
  }
  std::vector<std::uint8_t> bytes = saved(engine);
  const auto refused = [](const EngineConfig& config, std::span<const std::uint8_t> from) {
    Engine fresh(config);
    try {
      load(fresh, from, 4096);
    } catch (const std::runtime_error&) {
      return true;
    }
    return false;
  };
  CHECK(!refused(support::flow_config(), bytes));
  for (std::size_t cut = 0; cut < bytes.size(); cut += 13) {
    CHECK(refused(support::flow_config(), std::span(bytes).first(cut)));
  }
  bytes.push_back(0);
  CHECK(refused(support::flow_config(), bytes));
  bytes.pop_back();
  EngineConfig other = support::flow_config();
  other.instruments[0].max_qty -= 1;
  CHECK(refused(other, bytes));
}

TEST("batches make the reports of single commands, whatever was looked at before its turn") {
  struct Case {
    std::uint32_t partitions;
    std::uint64_t resting;  // enough for nothing, the orders, everything to be fetched ahead
  };
  for (const Case& one : {Case{1, 1'000}, Case{1, 20'000}, Case{1, 70'000}, Case{3, 70'000}}) {
    EngineConfig config;
    config.instruments.resize(50);
    config.partitions = one.partitions;
    config.partition = one.partitions - 1;
    Engine single(config);
    Engine batched(config);
    support::Random random(5);
    std::vector<Command> commands;
    const auto apply_both = [&] {
      std::size_t at = 0;
      const std::span<const Report> reports = batched.apply_batch(commands);
      for (const Command& command : commands) {
        for (const Report& report : single.apply(command)) {
          CHECK(at < reports.size() && support::same_report(report, reports[at]));
          ++at;
        }
      }
      CHECK(at == reports.size() && single.state_hash() == batched.state_hash());
      commands.clear();
    };
    std::uint64_t accepted = 0;
    for (std::uint64_t i = 0; i < one.resting; ++i) {
      commands.push_back(support::resting_order(random, 50));
      ++accepted;
    }
    apply_both();
    const std::uint64_t live = single.live_orders();
    CHECK(live > one.resting / 2);
    for (int batch = 0; batch < 40; ++batch) {
      for (int i = 0; i < 150; ++i) {
        commands.push_back(support::hostile_command(random, 50, accepted * one.partitions));
        ++accepted;
      }
      if (batch % 8 == 7) {  // what was looked at is forgotten, moved or gone when its turn comes
        support::push_day_change(commands);
      }
      apply_both();
    }
    for (int size = 1; size < 80; ++size) {  // shorter than the looks at it, and around that
      for (int i = 0; i < size; ++i) {
        commands.push_back(support::hostile_command(random, 50, accepted * one.partitions));
        ++accepted;
      }
      apply_both();
    }
  }
}
