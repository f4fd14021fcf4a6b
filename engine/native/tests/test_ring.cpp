#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../src/core_doorbell.hpp"
#include "check.hpp"
#include "exchange/ring.hpp"

namespace {

using namespace exchange;

TEST("a ring shows nothing before it is published, and everything in order afterwards") {
  SpscRing<int> ring(4);
  ring.stage() = 1;
  ring.stage() = 2;
  CHECK(ring.front() == nullptr && ring.size() == 0 && ring.has_staged());
  ring.publish();
  CHECK(!ring.has_staged() && ring.size() == 2);
  CHECK(*ring.front() == 1);
  ring.take();
  CHECK(*ring.front() == 2);
  ring.take();
  CHECK(ring.empty());
}

TEST("a ring's slot is free again only when the reader released it") {
  SpscRing<int> ring(2);
  ring.stage() = 1;
  ring.stage() = 2;
  CHECK(ring.room() == 0);
  ring.publish();
  CHECK(*ring.front() == 1);
  ring.take();
  CHECK(ring.room() == 0 && ring.size() == 2);
  ring.release();
  CHECK(ring.room() == 1 && ring.size() == 1);
}

TEST("room for several slots is found though the writer knew of fewer") {
  SpscRing<int> ring(4);
  for (int i = 0; i < 3; ++i) {
    ring.stage() = i;
  }
  ring.publish();
  while (ring.front() != nullptr) {
    ring.take();
  }
  ring.release();
  CHECK(ring.room(1) >= 1);
  CHECK(ring.room(4) == 4);
}

TEST("a ring whose capacity is no power of two is refused") {
  bool refused = false;
  try {
    const SpscRing<int> ring(3);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}

// Two threads, a ring much smaller than what goes through it, and bells at both ends instead of spinning.
TEST("two threads pass everything through a small ring, in order, and wake each other") {
  constexpr std::uint64_t kItems = 200'000;
  SpscRing<std::uint64_t> ring(64);
  Doorbell filled;
  Doorbell emptied;
  std::thread writer([&] {
    for (std::uint64_t next = 1; next <= kItems;) {
      std::size_t room = ring.room();
      if (room == 0) {
        emptied.arm();
        if (ring.room() == 0) {
          emptied.wait(10'000);
        }
        emptied.disarm();
        continue;
      }
      for (; room > 0 && next <= kItems; --room) {
        ring.stage() = next++;
      }
      ring.publish();
      filled.ring();
    }
  });
  std::uint64_t expected = 1;
  while (expected <= kItems) {
    filled.arm();
    if (ring.empty()) {
      filled.wait(10'000);
    }
    filled.disarm();
    while (const std::uint64_t* item = ring.front()) {
      CHECK(*item == expected);
      ++expected;
      ring.take();
    }
    ring.release();
    emptied.ring();
  }
  writer.join();
  CHECK(ring.empty());
}

}  // namespace
