// exchange_silence: what the match path asks of allocator, locks and kernel during a million operations. A program of its
// own, because its counters would stand in the way of everything that exchange_bench measures.
#include <cstdio>
#include <memory>

#include "mixed_flow.hpp"
#include "silence_guard.hpp"

int main() {
  constexpr std::uint64_t kOps = 1'000'000;
  std::unique_ptr<exchange::Engine> engine;
  bench::MixedFlow flow(1);
  const auto run = [&] {
    for (std::uint64_t i = 0; i < kOps; ++i) {
      flow.step(*engine);
    }
  };
  const auto prepare = [&] {
    engine = std::make_unique<exchange::Engine>(bench::MixedFlow::config());
    flow.begin(*engine);
    run();
  };
  const bench::Silence calls = bench::listen(prepare, run);
  const bench::Silence counted = bench::listen(prepare, run, bench::SystemCalls::ignored);
  if (!calls.supported || !calls.failure.empty() || !counted.failure.empty()) {
    std::fprintf(stderr, "exchange_silence: %s%s\n", calls.failure.c_str(), counted.failure.c_str());
    return 1;
  }
  std::printf("{\"ops\": %llu, \"allocations\": %llu, \"frees\": %llu, \"locks\": %llu, \"first_system_call\": %lld}\n",
              static_cast<unsigned long long>(kOps), static_cast<unsigned long long>(counted.allocations),
              static_cast<unsigned long long>(counted.frees), static_cast<unsigned long long>(counted.locks),
              static_cast<long long>(calls.first_system_call));
  return 0;
}
