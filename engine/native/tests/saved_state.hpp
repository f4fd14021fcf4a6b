// A state as bytes for tests and fuzz targets: saved, loaded in pieces, and its sum made right again after a change.
#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"
#include "exchange/engine.hpp"

namespace support {

using StateBytes = std::vector<std::uint8_t>;

inline StateBytes saved(const exchange::Engine& engine) {
  StateBytes bytes;
  engine.save([&bytes](std::span<const std::uint8_t> piece) { bytes.insert(bytes.end(), piece.begin(), piece.end()); });
  return bytes;
}

inline void load(exchange::Engine& engine, std::span<const std::uint8_t> bytes, std::size_t piece_size = std::numeric_limits<std::size_t>::max()) {
  engine.load([&](std::span<std::uint8_t> piece) {
    const std::size_t count = std::min({piece.size(), bytes.size(), piece_size});
    std::copy_n(bytes.begin(), count, piece.begin());  // also of nothing
    bytes = bytes.subspan(count);
    return count;
  });
}

// Why the bytes are refused; empty when they load.
inline std::string load_refusal(exchange::Engine& engine, std::span<const std::uint8_t> bytes) {
  try {
    load(engine, bytes);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

// The last four bytes are the sum over all in front of them.
inline void make_sum_right(StateBytes& bytes) {
  if (bytes.size() >= sizeof(std::uint32_t)) {
    const std::size_t summed = bytes.size() - sizeof(std::uint32_t);
    exchange::store_le(bytes.data() + summed, exchange::crc32c(std::span(bytes).first(summed)));
  }
}

}  // namespace support
