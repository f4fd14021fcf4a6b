// Inputs that a fuzz target takes for good: what its corpus began with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

using Bytes = std::vector<std::uint8_t>;

struct Seed {
  std::string name;  // of its file, without suffix
  Bytes bytes;
};

// Empty for a target that it does not know. Same on every machine.
[[nodiscard]] std::vector<Seed> seeds_of(std::string_view target);

}  // namespace fuzz
