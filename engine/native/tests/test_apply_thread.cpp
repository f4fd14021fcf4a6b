// Commands applied on a thread of their own are applied as they would be without it.
#include <stdexcept>
#include <string>

#include "check.hpp"
#include "exchange/apply_thread.hpp"
#include "flow_support.hpp"
#include "support.hpp"

namespace {

using namespace exchange;

constexpr std::size_t kBatch = 512;  // ApplyThread's

TEST("commands given to a thread are all applied, once and in order, however many there are") {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, kBatch - 1, kBatch, kBatch + 1, 20 * kBatch + 7}) {
    const auto commands = support::flow(7, count);
    Engine single(support::flow_config());
    Engine threaded(support::flow_config());
    std::vector<Report> made;
    ApplyThread applying(threaded, [&made](std::span<const Report> reports) { made.insert(made.end(), reports.begin(), reports.end()); });
    for (const Command& command : commands) {
      applying.add(command);
    }
    applying.finish();
    std::size_t at = 0;
    for (const Command& command : commands) {
      for (const Report& report : single.apply(command)) {
        CHECK(at < made.size() && support::same_report(report, made[at]));
        ++at;
      }
    }
    CHECK(at == made.size() && threaded.state_hash() == single.state_hash());
  }
}

TEST("what a batch throws reaches whoever gives commands, and nothing behind it is applied") {
  const auto commands = support::flow(7, 40 * kBatch);
  Engine engine(support::flow_config());
  ApplyThread applying(engine, [&engine](std::span<const Report>) {
    if (engine.last_seq_num() == 3 * kBatch) {
      throw std::runtime_error("no memory for this");
    }
  });
  const auto message = [&applying](const auto& what) -> std::string {
    try {
      what();
      return {};
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  };
  CHECK(message([&] {
          for (const Command& command : commands) {
            applying.add(command);
          }
        }) == "no memory for this");
  CHECK(message([&] { applying.finish(); }) == "no memory for this");
  CHECK(engine.last_seq_num() == 3 * kBatch);
}

TEST("a thread whose giver gives up ends") {
  const auto commands = support::flow(7, 5 * kBatch);
  Engine engine(support::flow_config());
  {
    ApplyThread applying(engine);
    for (const Command& command : commands) {
      applying.add(command);
    }
  }
  CHECK(engine.last_seq_num() % kBatch == 0);
}

}  // namespace
