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

using On = ApplyThread::On;

void apply_all(On where, std::size_t count) {
  const auto commands = support::flow(7, count);
  Engine single(support::flow_config());
  Engine applied(support::flow_config());
  std::vector<Report> made;
  ApplyThread applying(
      applied, [&made](std::span<const Report> reports) { made.insert(made.end(), reports.begin(), reports.end()); }, where);
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
  CHECK(at == made.size() && applied.state_hash() == single.state_hash());
}

template <typename What>
std::string message_of(const What& what) {
  try {
    what();
    return {};
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

// A batch throws once the engine has seen this many commands, as often as it is applied.
struct Failing {
  Failing(On where, SeqNum after)
      : applying(engine, [this, after](std::span<const Report>) { fail_at(after); }, where) {}
  void fail_at(SeqNum after) {
    if (engine.last_seq_num() >= after) {
      throw std::runtime_error("no memory for this");
    }
  }
  void add(std::size_t count) {
    for (const Command& command : support::flow(7, count)) {
      applying.add(command);
    }
  }
  Engine engine{support::flow_config()};
  ApplyThread applying;
};

TEST("commands given to a thread are all applied, once and in order, however many there are, also where there is no thread") {
  for (const On where : {On::thread, On::caller}) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, kBatch - 1, kBatch, kBatch + 1, 20 * kBatch + 7}) {
      apply_all(where, count);
    }
  }
}

TEST("what a batch throws reaches whoever gives commands, and nothing behind it is applied") {
  Failing failing(On::thread, 3 * kBatch);
  CHECK(message_of([&] { failing.add(40 * kBatch); }) == "no memory for this");
  CHECK(message_of([&] { failing.applying.finish(); }) == "no memory for this");
  CHECK(failing.engine.last_seq_num() == 3 * kBatch);
}

TEST("without a thread a batch that throws is not applied again, and everything behind it throws the same") {
  Failing failing(On::caller, 3 * kBatch);
  CHECK(message_of([&] { failing.add(40 * kBatch); }) == "no memory for this");
  CHECK(message_of([&] { failing.applying.finish(); }) == "no memory for this");
  CHECK(message_of([&] { failing.add(kBatch); }) == "no memory for this");
  CHECK(message_of([&] { failing.add(kBatch); }) == "no memory for this");
  CHECK(message_of([&] { failing.applying.finish(); }) == "no memory for this");
  CHECK(failing.engine.last_seq_num() == 3 * kBatch);
}

TEST("the last batch, which finish() applies itself, is not applied again either when it throws") {
  for (const On where : {On::thread, On::caller}) {
    Failing failing(where, kBatch + 10);
    failing.add(kBatch + 10);
    CHECK(message_of([&] { failing.applying.finish(); }) == "no memory for this");
    CHECK(message_of([&] { failing.applying.finish(); }) == "no memory for this");
    CHECK(failing.engine.last_seq_num() == kBatch + 10);
  }
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
