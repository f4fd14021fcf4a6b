// usage: fuzz_<target> <iterations> <seed>
// Feeds the target with inputs made from the seed: the same numbers give the same run.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s <iterations> <seed>\n", argv[0]);
    return 2;
  }
  const std::uint64_t iterations = std::strtoull(argv[1], nullptr, 10);
  support::Random random(std::strtoull(argv[2], nullptr, 10));
  std::vector<std::uint8_t> input;
  for (std::uint64_t i = 0; i < iterations; ++i) {
    input.resize(random.below(random.below(8) == 0 ? 4096 : 256));
    // Small values are likelier: they reach enum fields, counts and lengths that mean something.
    const bool small = random.below(2) == 0;
    for (auto& byte : input) {
      byte = static_cast<std::uint8_t>(small ? random.below(16) : random.next());
    }
    (void)LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%llu inputs\n", static_cast<unsigned long long>(iterations));
  return 0;
}
