// Order bytes to report bytes under the ack policy `memory`, and the same loop around nothing, in turns: what the second
// one shows is the machine's, not ours.
#include "folder.hpp"
#include "order_path.hpp"

namespace bench {

namespace {

constexpr std::size_t kSegment = 65'536;  // operations between two looks at the control
constexpr double kSliceNs = 250e6;        // likewise, of an open loop
constexpr double kWatchNs = 20e6;

volatile std::uint8_t seen_by_nothing = 0;

// What both loops call; this one does nothing but touch what it is given.
void handle_nothing(std::span<const std::uint8_t> bytes) noexcept { seen_by_nothing = bytes[0]; }

struct Result {
  Histogram ours;
  Histogram control;
  double ours_s = 0;
  std::uint64_t ops = 0;
};

void preload(OrderPath& path, const Frames& frames, std::int64_t& ts_ns) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    need(path.handle(frames[i], ts_ns += 1'000), "the journal took no order");
  }
}

// One order after the other, each as soon as the one before is answered: service time.
Result closed(OrderPath& path, const Frames& frames, std::int64_t ts_ns, const TickRate& rate, GapLog& log) {
  Result result;
  for (std::size_t begin = 0; begin < frames.size(); begin += kSegment) {
    const std::size_t end = std::min(frames.size(), begin + kSegment);
    result.ours_s += seconds([&] {
      for (std::size_t i = begin; i < end; ++i) {
        const Ticks from = ticks_now();
        const bool taken = path.handle(frames[i], ts_ns += 1'000);
        result.ours.record(ticks_now() - from);
        need(taken, "the journal took no order");
      }
    });
    for (std::size_t i = begin; i < end; ++i) {
      const Ticks from = ticks_now();
      handle_nothing(frames[i]);
      result.control.record(ticks_now() - from);
    }
    log.watch(rate.ticks(kWatchNs));
  }
  result.ops = frames.size();
  return result;
}

// Calls handle(i) for begin..end-1, each when it is due, or late when the one before took longer; records from when it was due.
template <typename Handle>
void paced(std::size_t begin, std::size_t end, double every_ticks, Histogram& histogram, GapLog& log, Handle&& handle) {
  const Ticks start = ticks_now();
  for (std::size_t i = begin; i < end; ++i) {
    const Ticks due = start + static_cast<Ticks>(every_ticks * static_cast<double>(i - begin));
    Ticks now = ticks_now();
    while (now < due) {
      const Ticks next = ticks_now();
      log.saw(now, next);
      now = next;
    }
    handle(i);
    histogram.record(ticks_now() - due);
  }
}

Result paced_slices(OrderPath& path, const Frames& frames, std::int64_t ts_ns, std::uint64_t per_s, const TickRate& rate, GapLog& log) {
  Result result;
  const double every_ns = 1e9 / static_cast<double>(per_s);
  const auto slice = std::min(frames.size(), static_cast<std::size_t>(kSliceNs / every_ns));
  const auto step_ns = static_cast<std::int64_t>(every_ns);
  for (std::size_t begin = 0; begin + slice <= frames.size(); begin += slice) {
    const double every_ticks = every_ns * rate.per_ns();
    result.ours_s += seconds([&] {
      paced(begin, begin + slice, every_ticks, result.ours, log,
            [&](std::size_t i) { need(path.handle(frames[i], ts_ns += step_ns), "the journal took no order"); });
    });
    paced(begin, begin + slice, every_ticks, result.control, log, [&](std::size_t i) { handle_nothing(frames[i]); });
    result.ops += slice;
  }
  return result;
}

void save(const Options& options, const std::string& name, const Result& all, const TickRate& rate) {
  if (!options.save.empty()) {
    all.ours.save(options.save + '/' + name + ".hist", 1.0 / rate.per_ns(), "ns");
    all.control.save(options.save + '/' + name + "-control.hist", 1.0 / rate.per_ns(), "ns");
  }
}

// `per_s` 0: closed loop.
Json measure(const Options& options, std::uint64_t per_s, std::uint32_t ops, const std::string& name) {
  Shape shape = sized(one_book(), options);
  shape.ops = std::min(shape.ops, ops);
  const Flow flow = make_flow(shape);
  const Frames before(flow.preload);
  const Frames frames(flow.ops);
  const TickRate rate = TickRate::measured();
  Result all;
  std::vector<Json> runs;
  for (unsigned run = 0; run < options.runs; ++run) {
    const Folder folder(options.dir);
    OrderPath path(rules(shape, true), folder.path(), exchange::AckPolicy::memory);
    std::int64_t ts_ns = flow.preload.front().ts_ns;
    preload(path, before, ts_ns);
    GapLog log(rate);
    const Result result =
        per_s == 0 ? closed(path, frames, ts_ns, rate, log) : paced_slices(path, frames, ts_ns, per_s, rate, log);
    need(result.ops != frames.size() || path.engine().live_orders() == flow.live_at_end, "the path did not do the flow's work");
    need(path.journal().healthy() && path.journal().appended_seq_num() == before.size() + result.ops, "the journal lost something");
    Json json;
    json.put("ours", quantiles(result.ours, rate)).put("control", quantiles(result.control, rate)).put("gaps", gaps(log, rate));
    runs.push_back(json.put("per_s", static_cast<double>(result.ops) / result.ours_s));
    all.ours.add(result.ours);
    all.control.add(result.control);
  }
  save(options, name, all, rate);
  Json json;
  return json.put("runs", runs).put("ticks_per_ns", rate.per_ns());
}

}  // namespace

Json path(const Options& options) { return measure(options, 0, one_book().ops, "path-closed"); }

Json open_loop(const Options& options) {
  need(options.rate >= 1'000 && options.rate <= 10'000'000, "--rate must lie in 1000..10000000");
  const auto ops = static_cast<std::uint32_t>(std::min<std::uint64_t>(3 * options.rate, one_book().ops));
  return measure(options, options.rate, ops, "path-open-" + std::to_string(options.rate));
}

}  // namespace bench
