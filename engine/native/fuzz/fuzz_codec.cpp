// Any bytes into the frame decoder, raw or as the payload of a frame with a right CRC, in pieces. What it accepts
// must come out the same after being encoded again.
#include <vector>

#include "check.hpp"
#include "exchange/bytes.hpp"
#include "exchange/codec.hpp"
#include "exchange/crc32c.hpp"

namespace {

std::vector<std::uint8_t> framed(std::span<const std::uint8_t> payload) {
  std::vector<std::uint8_t> frame(exchange::kFrameHeader);
  exchange::store_le(frame.data(), static_cast<std::uint32_t>(payload.size() + 4));
  exchange::store_le(frame.data() + 4, exchange::crc32c(payload));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const std::size_t piece = data[0] + std::size_t{1};
  const bool raw = data[1] % 4 == 0;
  const std::span<const std::uint8_t> rest(data + 2, size - 2);
  const std::vector<std::uint8_t> bytes = raw ? std::vector<std::uint8_t>(rest.begin(), rest.end()) : framed(rest);
  exchange::FrameDecoder decoder;
  std::vector<std::uint8_t> again;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    decoder.feed(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    while (const auto frame = decoder.next()) {
      CHECK(exchange::encode(*frame, again));
    }
  }
  CHECK(again.size() <= bytes.size());
  CHECK(std::equal(again.begin(), again.end(), bytes.begin()));
  return 0;
}
