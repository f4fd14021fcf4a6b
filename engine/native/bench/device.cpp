// The path under the ack policy `device`: matching goes on, and an order counts as answered when the journal says that
// it is on the device. From scheduled arrival; beside it the disk's own floor, before and after, in the same run.
#include "disk.hpp"
#include "folder.hpp"
#include "order_path.hpp"

namespace bench {

namespace {

constexpr double kLongestWaitNs = 20e9;  // without progress of the journal

// Records for every order that was confirmed since the last look how long ago it was due.
class Confirmed {
 public:
  Confirmed(const exchange::Journal& journal, exchange::SeqNum before, std::size_t orders) : journal_(journal), seen_(before), first_(before) {
    due_.reserve(orders);
  }
  void expect(Ticks due) { due_.push_back(due); }
  // Seq_nums up to here are known to be confirmed.
  exchange::SeqNum look() {
    const exchange::SeqNum confirmed = std::min<exchange::SeqNum>(journal_.confirmed_seq_num(), first_ + due_.size());
    if (confirmed > seen_) {
      const Ticks now = ticks_now();
      for (; seen_ < confirmed; ++seen_) {
        histogram_.record(now - due_[seen_ - first_]);
      }
    }
    return seen_;
  }
  [[nodiscard]] const Histogram& histogram() const noexcept { return histogram_; }

 private:
  const exchange::Journal& journal_;
  exchange::SeqNum seen_;
  const exchange::SeqNum first_;
  std::vector<Ticks> due_;
  Histogram histogram_;
};

void wait_for(const exchange::Journal& journal, exchange::SeqNum wanted, const TickRate& rate) {
  const Ticks begin = ticks_now();
  while (journal.confirmed_seq_num() < wanted) {
    need(journal.healthy() && ticks_now() - begin < rate.ticks(kLongestWaitNs), "the journal confirmed nothing for 20 s");
  }
}

struct Result {
  Histogram latency;
  double took_s = 0;
  std::uint64_t waits = 0;  // orders that found the journal full
};

Result paced(OrderPath& path, const Frames& frames, std::int64_t ts_ns, std::uint64_t per_s, const TickRate& rate, GapLog& log) {
  Result result;
  const exchange::SeqNum before = path.journal().appended_seq_num();
  Confirmed confirmed(path.journal(), before, frames.size());
  const double every_ticks = 1e9 / static_cast<double>(per_s) * rate.per_ns();
  const auto step_ns = static_cast<std::int64_t>(1e9 / static_cast<double>(per_s));
  result.took_s = seconds([&] {
    const Ticks start = ticks_now();
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const Ticks due = start + static_cast<Ticks>(every_ticks * static_cast<double>(i));
      Ticks now = ticks_now();
      while (now < due) {
        confirmed.look();
        const Ticks next = ticks_now();
        log.saw(now, next);
        now = next;
      }
      confirmed.expect(due);
      ts_ns += step_ns;
      if (!path.handle(frames[i], ts_ns)) {
        ++result.waits;
        const Ticks full = ticks_now();
        do {
          confirmed.look();
          need(path.journal().healthy() && ticks_now() - full < rate.ticks(kLongestWaitNs), "the journal took nothing for 20 s");
        } while (!path.handle(frames[i], ts_ns));
      }
    }
    const Ticks last = ticks_now();
    while (confirmed.look() < before + frames.size()) {
      need(path.journal().healthy() && ticks_now() - last < rate.ticks(kLongestWaitNs), "the journal confirmed nothing for 20 s");
    }
  });
  result.latency = confirmed.histogram();
  return result;
}

}  // namespace

Json device(const Options& options) {
  need(options.rate >= 1'000 && options.rate <= 10'000'000, "--rate must lie in 1000..10000000");
  Shape shape = sized(one_book(), options);
  shape.ops = static_cast<std::uint32_t>(std::min<std::uint64_t>(3 * options.rate, shape.ops));
  const Flow flow = make_flow(shape);
  const Frames before(flow.preload);
  const Frames frames(flow.ops);
  const TickRate rate = TickRate::measured();
  const std::size_t floor_writes = options.small ? 50 : 2'000;
  Histogram all;
  std::vector<Json> runs;
  for (unsigned run = 0; run < options.runs; ++run) {
    Histogram floor = disk_floor(options.dir, floor_writes);
    const Folder folder(options.dir);
    OrderPath path(rules(shape, true), folder.path(), exchange::AckPolicy::device);
    std::int64_t ts_ns = flow.preload.front().ts_ns;
    for (std::size_t i = 0; i < before.size(); ++i) {
      ts_ns += 1'000;
      if (!path.handle(before[i], ts_ns)) {
        wait_for(path.journal(), path.journal().appended_seq_num(), rate);
        need(path.handle(before[i], ts_ns), "the journal took no order");
      }
    }
    wait_for(path.journal(), before.size(), rate);
    GapLog log(rate, 50'000.0);  // between two looks lies the recording of a batch
    const Result result = paced(path, frames, ts_ns, options.rate, rate, log);
    need(path.engine().live_orders() == flow.live_at_end, "the path did not do the flow's work");
    floor.add(disk_floor(options.dir, floor_writes));
    all.add(result.latency);
    Json json;
    json.put("confirmed", quantiles(result.latency, rate)).put("disk", quantiles(floor, rate)).put("gaps", gaps(log, rate));
    json.put("waits", result.waits);
    runs.push_back(json.put("per_s", static_cast<double>(frames.size()) / result.took_s));
  }
  if (!options.save.empty()) {
    all.save(options.save + "/device-" + std::to_string(options.rate) + ".hist", 1.0 / rate.per_ns(), "ns");
  }
  Json json;
  return json.put("runs", runs);
}

}  // namespace bench
