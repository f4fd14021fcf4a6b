// The match path asks nobody for anything: no memory, no lock, no system call. The counters are shown to count first.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "../bench/mixed_flow.hpp"
#include "../bench/silence_guard.hpp"
#include "check.hpp"

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

}  // namespace

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
