// How long one durable write takes here, without anything of ours.
#pragma once

#include <string>

#include "histogram.hpp"

namespace bench {

// Ticks of `writes` writes, one after the other, into a file inside `dir`.
[[nodiscard]] Histogram disk_floor(const std::string& dir, std::size_t writes);

}  // namespace bench
