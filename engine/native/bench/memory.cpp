// Resident memory, as the kernel counts it. Every figure comes from a process of its own, so that no page is counted
// that an earlier one left behind.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <functional>
#include <memory>

#include "exchange/engine.hpp"
#include "map_book.hpp"
#include "program.hpp"

namespace bench {

using exchange::Command;
using exchange::Engine;
using exchange::EngineConfig;

namespace {

double resident_bytes() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "r"), &std::fclose);
  long long total = 0;
  long long resident = 0;
  need(file != nullptr && std::fscanf(file.get(), "%lld %lld", &total, &resident) == 2, "/proc/self/statm cannot be read");
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// What `work` returns, run in a child.
double in_a_child(const std::function<double()>& work) {
  std::array<int, 2> ends{};
  need(::pipe(ends.data()) == 0, "no pipe");
  const pid_t child = ::fork();
  need(child >= 0, "no child process");
  if (child == 0) {
    (void)::malloc_trim(0);  // or what is measured would live in what the flow's maker gave back
    const double value = work();
    const bool said = ::write(ends[1], &value, sizeof value) == sizeof value;
    ::_exit(said ? 0 : 1);
  }
  ::close(ends[1]);
  double value = 0;
  const bool heard = ::read(ends[0], &value, sizeof value) == sizeof value;
  ::close(ends[0]);
  int status = 0;
  need(::waitpid(child, &status, 0) == child && status == 0 && heard, "a child that measures memory ended badly");
  return value;
}

void apply_all(Engine& engine, const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    static_cast<void>(engine.apply(command));
  }
}

// Bytes more than before an engine was made and had applied `first` and `second`, and how many of its orders live then.
double grown(const EngineConfig& config, const std::vector<Command>& first, const std::vector<Command>& second) {
  return in_a_child([&] {
    const double before = resident_bytes();
    Engine engine(config);
    apply_all(engine, first);
    apply_all(engine, second);
    return resident_bytes() - before;
  });
}

// A buy and a sell in every instrument.
std::vector<Command> one_pair_each(const Shape& shape) {
  std::vector<Command> pairs;
  for (std::uint32_t i = 0; i < shape.instruments; ++i) {
    for (const exchange::Side side : {exchange::Side::buy, exchange::Side::sell}) {
      Command command;
      command.instrument = i;
      command.side = side;
      command.firm = side == exchange::Side::buy ? 1 : 2;
      command.price_ticks = shape.middle + (side == exchange::Side::buy ? -1 : 1);
      command.qty = 1;
      pairs.push_back(command);
    }
  }
  return pairs;
}

}  // namespace

Json memory(const Options& options) {
  const Shape shape = sized(many_books(), options);
  const Flow flow = make_flow(shape);
  const EngineConfig config = rules(shape, true);
  EngineConfig single = config;
  single.instruments.resize(1);
  const auto preloaded = static_cast<double>(flow.preload.size());
  const auto instruments = static_cast<double>(shape.instruments);
  std::vector<double> order;
  std::vector<double> churned;
  std::vector<double> idle;
  std::vector<double> active;
  std::vector<double> fixed;
  std::vector<double> map;
  for (unsigned run = 0; run < options.runs; ++run) {
    fixed.push_back(grown(single, {}, {}));
    const double empty = grown(config, {}, {});
    idle.push_back((empty - fixed.back()) / instruments);
    active.push_back((grown(config, one_pair_each(shape), {}) - empty) / instruments);
    order.push_back(grown(config, flow.preload, {}) / preloaded);
    churned.push_back(grown(config, flow.preload, flow.ops) / static_cast<double>(flow.live_at_end));
    map.push_back(in_a_child([&] {
                    const double before = resident_bytes();
                    MapVenue book(shape.instruments);
                    for (const Command& command : flow.preload) {
                      book.apply(command, [](auto...) {});
                    }
                    return resident_bytes() - before;
                  }) /
                  preloaded);
  }
  Json json;
  json.put("order_bytes", order).put("order_bytes_after_ops", churned).put("instrument_idle_bytes", idle);
  json.put("instrument_active_bytes", active).put("engine_bytes", fixed).put("map_order_bytes", map);
  return json.put("orders", preloaded).put("live_at_end", flow.live_at_end);
}

}  // namespace bench
