// Saved bytes that are not what save() gave: each is refused with a reason, and none makes an engine that goes wrong later.
#include "check.hpp"
#include "exchange/engine.hpp"
#include "flow_support.hpp"
#include "saved_state.hpp"

namespace {

using namespace exchange;

// Where numbers stand: eight words, the accepted digest, the number of firms, then a firm's id and five words.
constexpr std::size_t kNowAt = 6 * 8;
constexpr std::size_t kLastTickAt = 7 * 8;
constexpr std::size_t kFirmsAt = 9 * 8;
constexpr std::size_t kBucketTimeAt = kFirmsAt + 4 + 4 + 5 * 8;
// From the end: a cell's net, bought, sold, cash, maker_qty and taker_qty, then the sum.
constexpr std::size_t kNetFromEnd = 6 * 8 + 4;

EngineConfig limited_config() {
  EngineConfig config = support::flow_config();
  config.default_limits.rate_per_s = 1'000;
  config.default_limits.burst = 10;
  config.default_limits.position_limit = 1'000'000;
  return config;
}

// Firm 1 holds 5, firm 2 owes them, each with an order that rests; time is 1000.
Engine small_engine() {
  Engine engine(limited_config());
  for (Command command : {support::new_order(Side::buy, 100, 5, 1), support::new_order(Side::sell, 100, 5, 2),
                          support::new_order(Side::buy, 99, 7, 1), support::new_order(Side::sell, 101, 7, 2)}) {
    command.ts_ns = 1'000;
    (void)engine.apply(command);
  }
  return engine;
}

std::string refusal_with(std::size_t at, std::int64_t value) {
  support::StateBytes bytes = support::saved(small_engine());
  store_le(bytes.data() + at, value);
  support::make_sum_right(bytes);
  Engine fresh(limited_config());
  return support::load_refusal(fresh, bytes);
}

// Every `step`th bit.
void change_bits(const Engine& engine, const EngineConfig& config, std::size_t step) {
  support::StateBytes bytes = support::saved(engine);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += step) {
    const auto changed = static_cast<std::uint8_t>(1U << (bit % 8));
    bytes[bit / 8] ^= changed;
    Engine fresh(config);
    CHECK(support::load_refusal(fresh, bytes).starts_with("the saved state is not sound: "));
    bytes[bit / 8] ^= changed;
  }
  Engine fresh(config);
  CHECK(support::load_refusal(fresh, bytes).empty() && fresh.state_hash() == engine.state_hash());
}

TEST("a saved state with any one bit wrong is refused, and the reason told") {
  change_bits(small_engine(), limited_config(), 1);
  Engine engine(support::flow_config());
  for (const Command& command : support::flow(3, 200)) {
    (void)engine.apply(command);
  }
  change_bits(engine, support::flow_config(), 7);  // a new engine for each takes its time
}

TEST("a saved state whose bytes are all sound but not the ones that were saved is refused for its sum") {
  support::StateBytes bytes = support::saved(small_engine());
  bytes[kNowAt] ^= 1U;
  Engine fresh(limited_config());
  CHECK(support::load_refusal(fresh, bytes) == "the saved state is not sound: its sum (CRC) is another");
}

TEST("a saved state of another format names both versions") {
  support::StateBytes bytes = support::saved(small_engine());
  bytes[0] = 3;
  Engine fresh(limited_config());
  CHECK(support::load_refusal(fresh, bytes) == "the saved state is not sound: it has format version 3, this program reads version 4");
}

TEST("numbers that later sums would overflow on are refused though the sum of the bytes is right") {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::size_t net_at = support::saved(small_engine()).size() - kNetFromEnd;
  for (const std::int64_t value : {kLeast, std::int64_t{-1}, kMaxTsNs + 1, kMost}) {
    CHECK(refusal_with(kNowAt, value).ends_with("the time"));
    CHECK(refusal_with(kLastTickAt, value).ends_with("the time of the last command"));
    CHECK(refusal_with(kBucketTimeAt, value).ends_with("the time of a bucket"));
  }
  CHECK(refusal_with(kBucketTimeAt, 1'001).ends_with("the time of a bucket"));  // later than the state
  for (const std::int64_t value : {kLeast, kMost}) {
    CHECK(refusal_with(net_at, value).ends_with("a position"));
    CHECK(refusal_with(net_at + 8, value).ends_with("a quantity of the day"));
  }
}

TEST("what may stand in a saved state at its bounds can be traded on, split and settled") {
  support::StateBytes bytes = support::saved(small_engine());
  store_le(bytes.data() + kNowAt, kMaxTsNs);
  store_le(bytes.data() + kBucketTimeAt, std::int64_t{0});
  store_le(bytes.data() + bytes.size() - kNetFromEnd, -(std::int64_t{1} << 62U));
  support::make_sum_right(bytes);
  Engine engine(limited_config());
  support::load(engine, bytes);
  for (const Command& command : support::flow(8, 400)) {
    (void)engine.apply(command);
  }
  Engine again(limited_config());
  support::load(again, support::saved(engine));
  CHECK(again.state_hash() == engine.state_hash());
}

TEST("an order with more than an order can have is refused") {
  Engine engine(support::flow_config());
  (void)engine.apply(support::new_order(Side::buy, 99, 7, 1));
  support::StateBytes bytes = support::saved(engine);
  // The one order stands in front of the second instrument (3 words of 4, a time, a count, two states), the number of
  // cells and the one cell; it ends with leaves, cum and cum_notional.
  const std::size_t order_end = bytes.size() - 4 - (8 + 6 * 8) - 4 - (2 + 3 * 4 + 8 + 4);
  CHECK(load_le<std::int32_t>(bytes.data() + order_end - 16) == 7);
  const auto refusal = [&](std::int32_t cum, std::int64_t cum_notional) {
    support::StateBytes changed = bytes;
    store_le(changed.data() + order_end - 12, cum);
    store_le(changed.data() + order_end - 8, cum_notional);
    support::make_sum_right(changed);
    Engine fresh(support::flow_config());
    return support::load_refusal(fresh, changed);
  };
  CHECK(refusal(3, 3 * kMaxPriceTicks).empty());
  CHECK(refusal(static_cast<std::int32_t>(kMaxOrderQty) - 6, 0).ends_with("a filled quantity"));
  CHECK(refusal(3, 3 * kMaxPriceTicks + 1).ends_with("the worth of what was filled"));
  CHECK(refusal(3, -1).ends_with("the worth of what was filled"));
}

}  // namespace
