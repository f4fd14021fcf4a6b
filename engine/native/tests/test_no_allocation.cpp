// The match path asks nobody for anything: no memory, no lock, no system call, and no page where somebody looks after the
// memory ahead. The counters are shown to count first.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "../bench/mixed_flow.hpp"
#include "../bench/silence_guard.hpp"
#include "check.hpp"
#include "exchange/memory_ahead.hpp"

using bench::MixedFlow;
using bench::Silence;
using exchange::Engine;
using exchange::ExecType;

namespace {

constexpr std::uint64_t kOps = 1'000'000;

void nothing() {}

// False under a sanitizer, which has an allocator of its own: then the plain build is the one that tells.
bool heard_something(const Silence& heard) {
  if (!heard.supported) {
    std::fprintf(stderr, "  not looked at: a sanitizer stands in front of the allocator\n");
    return false;
  }
  if (!heard.failure.empty()) {
    std::fprintf(stderr, "  %s\n", heard.failure.c_str());
  }
  CHECK(heard.failure.empty());
  return true;
}

struct Warm {
  std::unique_ptr<Engine> engine;
  MixedFlow flow{20261121};

  void prepare() {
    engine = std::make_unique<Engine>(MixedFlow::config());
    flow.begin(*engine);
    run();
  }
  void run() {
    for (std::uint64_t i = 0; i < kOps; ++i) {
      flow.step(*engine);
    }
  }
};

// A morning of orders that all rest, each with an id of its own: everything that grows by orders grows.
class Growth {
 public:
  static constexpr std::uint32_t kOrders = 256 * 5'080;  // beyond the first table of ids
  static constexpr std::uint32_t kOrdersALook = 25'600;  // 25 ms of a million a second
  static constexpr std::uint32_t kInstruments = 16;

  static exchange::EngineConfig config() {
    exchange::InstrumentConfig one;
    one.reference_ticks = 10'000;
    exchange::EngineConfig config;
    config.instruments.assign(kInstruments, one);
    config.default_limits = {100, 100'000, 0, 0, exchange::StpMode::none};
    config.max_live_orders = kOrders + 1;
    return config;
  }
  // Page faults of this thread while it applied them, after the first few, whose reports make room for all.
  std::int64_t faults(Engine& engine, exchange::MemoryAhead* ahead, std::uint32_t orders = kOrders) {
    std::int64_t taken = 0;
    while (made_ < orders) {
      if (ahead != nullptr && made_ % kOrdersALook == 0) {
        ahead->look();
      }
      fill();
      const std::int64_t before = faults_so_far();
      CHECK(engine.apply_batch(batch_).size() == batch_.size());
      taken += made_ > kOrdersALook ? faults_so_far() - before : 0;
    }
    CHECK(engine.live_orders() == made_);
    return taken;
  }

 private:
  static std::int64_t faults_so_far() {
    rusage usage{};
    CHECK(::getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_minflt;
  }
  void fill() {
    for (exchange::Command& command : batch_) {
      ++made_;
      command = {};
      command.kind = exchange::CommandKind::new_order;
      command.firm = made_ / 100 % 1'000;  // whose positions get their places over the day
      command.instrument = made_ % kInstruments;
      command.side = made_ % 2 == 0 ? exchange::Side::buy : exchange::Side::sell;
      command.price_ticks = 10'000 + (command.side == exchange::Side::buy ? -1 : 1) * (1 + made_ % 400);
      command.qty = 1;
      std::array<char, 20> id{};
      std::snprintf(id.data(), id.size(), "order-%010u", made_);
      command.cl_ord_id = exchange::ClOrdId::parse(id.data()).value_or(exchange::ClOrdId{});
      command.ts_ns = made_;
    }
  }

  std::array<exchange::Command, 256> batch_{};
  std::uint32_t made_ = 0;
};

}  // namespace

TEST("orders that make tables grow take no page fault where the memory ahead is looked after") {
  const auto unaided = std::make_unique<Engine>(Growth::config());
  const std::int64_t taken = Growth().faults(*unaided, nullptr);
  const auto engine = std::make_unique<Engine>(Growth::config());
  exchange::MemoryAhead ahead(*engine);
  const std::int64_t left = Growth().faults(*engine, &ahead);
  std::fprintf(stderr, "  page faults %lld, and %lld without it\n", static_cast<long long>(left), static_cast<long long>(taken));
  CHECK(engine->state_hash() == unaided->state_hash());
  if (bench::listen(nothing, nothing).supported) {  // a sanitizer's own memory grows, too
    CHECK(taken > 1'000 && left <= 12);
  }
}

TEST("the memory ahead is looked after by a thread of its own") {
  const auto unaided = std::make_unique<Engine>(Growth::config());
  const std::int64_t taken = Growth().faults(*unaided, nullptr, 2 * Growth::kOrdersALook);
  const auto engine = std::make_unique<Engine>(Growth::config());
  {
    exchange::MemoryAhead ahead(*engine);
    CHECK(ahead.start());
  }  // ends behind its first look
  const std::int64_t left = Growth().faults(*engine, nullptr, 2 * Growth::kOrdersALook);
  if (bench::listen(nothing, nothing).supported) {
    CHECK(taken > 100 && left <= 12);
  }
}

TEST("the guard hears an allocation and a free") {
  const Silence heard = bench::listen(nothing, [] {
    volatile std::size_t size = 100;
    std::free(std::malloc(size));
    const std::unique_ptr<int> one = std::make_unique<int>(static_cast<int>(size));
    size = static_cast<std::size_t>(*one);
  });
  if (heard_something(heard)) {
    CHECK(heard.allocations >= 1 && heard.frees == heard.allocations);
    CHECK(!heard.silent());
  }
}

TEST("the guard hears a lock") {
  std::mutex mutex;
  const Silence heard = bench::listen(nothing, [&mutex] { const std::lock_guard<std::mutex> held(mutex); });
  if (heard_something(heard)) {
    CHECK(heard.locks == 1);
  }
}

TEST("the guard hears a system call and tells which") {
  const Silence heard = bench::listen(nothing, [] { static_cast<void>(::getppid()); });
  if (heard_something(heard)) {
    CHECK(heard.first_system_call == SYS_getppid);
  }
}

TEST("the mixed flow meets everything that the match path can do") {
  Warm warm;
  warm.prepare();
  for (const ExecType type : {ExecType::fresh, ExecType::trade, ExecType::cancelled, ExecType::replaced, ExecType::rejected,
                              ExecType::cancel_rejected, ExecType::restated, ExecType::triggered, ExecType::limit_state}) {
    if (warm.flow.seen(type) < 10) {
      std::fprintf(stderr, "  exec_type %d: %llu\n", static_cast<int>(type), static_cast<unsigned long long>(warm.flow.seen(type)));
    }
    CHECK(warm.flow.seen(type) >= 10);
  }
  CHECK(warm.flow.accepted() > kOps / 4);
  CHECK(warm.flow.seen(ExecType::trade) > kOps / 10);
}

TEST("a million mixed operations make no system call") {
  Warm warm;
  const Silence heard = bench::listen([&warm] { warm.prepare(); }, [&warm] { warm.run(); });
  if (heard_something(heard)) {
    if (heard.first_system_call >= 0) {
      std::fprintf(stderr, "  system call %lld\n", static_cast<long long>(heard.first_system_call));
    }
    CHECK(heard.first_system_call < 0);
  }
}

TEST("a million mixed operations neither allocate nor free nor lock") {
  Warm warm;
  const Silence heard = bench::listen([&warm] { warm.prepare(); }, [&warm] { warm.run(); }, bench::SystemCalls::ignored);
  if (heard_something(heard)) {
    std::fprintf(stderr, "  allocations %llu, frees %llu, locks %llu\n", static_cast<unsigned long long>(heard.allocations),
                static_cast<unsigned long long>(heard.frees), static_cast<unsigned long long>(heard.locks));
    CHECK(heard.allocations == 0 && heard.frees == 0 && heard.locks == 0);
  }
}
