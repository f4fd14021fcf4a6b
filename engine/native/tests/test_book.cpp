#include <map>
#include <vector>

#include "check.hpp"
#include "exchange/engine.hpp"
#include "support.hpp"

namespace {

using namespace exchange;
using support::new_order;

// Every question the ladder answers, answered by a plain map.
void compare(const Ladder& ladder, const std::map<LevelKey, Qty>& truth, LevelKey around) {
  CHECK(ladder.best() == (truth.empty() ? std::optional<LevelKey>() : truth.begin()->first));
  for (const LevelKey key : {around - 1, around, around + 1, LevelKey{0}}) {
    const auto behind = truth.upper_bound(key);
    CHECK(ladder.next(key) == (behind == truth.end() ? std::optional<LevelKey>() : behind->first));
  }
  if (const auto found = truth.find(around); found != truth.end()) {
    CHECK(ladder.at(around).qty == found->second);
  }
}

TEST("the ladder answers like an ordered map, in its window, far from it, and while the window moves") {
  support::Random random(7);
  for (int round = 0; round < 20; ++round) {
    Ladder ladder;
    std::map<LevelKey, Qty> truth;
    LevelKey centre = static_cast<LevelKey>(random.below(4000)) - 2000;
    for (int step = 0; step < 3000; ++step) {
      if (random.below(200) == 0) {
        centre += static_cast<LevelKey>(random.below(6000)) - 3000;
      }
      const LevelKey key = centre + static_cast<LevelKey>(random.below(random.below(8) == 0 ? 4000 : 60));
      if (random.below(2) == 0) {
        const auto qty = static_cast<Qty>(random.below(100) + 1);
        ladder.make(key).qty = qty;
        truth[key] = qty;
      } else if (!truth.empty()) {
        const LevelKey gone = truth.contains(key) ? key : truth.begin()->first;
        ladder.erase(gone);
        truth.erase(gone);
      }
      compare(ladder, truth, key);
    }
  }
}

TEST("the slab gives slots back and counts what lives") {
  Slab slab(3);
  const OrderSlot first = slab.insert({});
  slab.insert({});
  slab.insert({});
  CHECK(slab.full());
  slab.erase(first);
  CHECK(slab.live() == 2);
  CHECK(slab.insert({}) == first);
}

TEST("two engines fed alike agree in every reply and in the state hash") {
  support::Random random(11);
  Engine one({1000, 1000});
  Engine two({1000, 1000});
  for (int step = 0; step < 20000; ++step) {
    Command command = new_order(random.below(2) == 0 ? Side::buy : Side::sell, static_cast<Price>(random.below(50) + 100),
                                static_cast<Qty>(random.below(20) + 1));
    command.instrument = static_cast<InstrumentId>(random.below(2));
    if (random.below(3) == 0) {
      command = support::cancel(random.below(static_cast<std::uint64_t>(step) + 1));
    }
    const Reply& a = one.apply(command);
    const Reply& b = two.apply(command);
    CHECK(a.order_id == b.order_id && a.status == b.status && a.fills.size() == b.fills.size());
    CHECK(a.seq_num == static_cast<SeqNum>(step) + 1);
  }
  CHECK(one.state_hash() == two.state_hash());
  CHECK(one.trades() > 1000);
}

TEST("the state hash notices who is first in the queue") {
  Engine one({1000});
  Engine two({1000});
  one.apply(new_order(Side::buy, 100, 5, 1));
  one.apply(new_order(Side::buy, 100, 5, 2));
  two.apply(new_order(Side::buy, 100, 5, 2));
  two.apply(new_order(Side::buy, 100, 5, 1));
  CHECK(one.state_hash() != two.state_hash());
}

TEST("the configuration is part of the digest that logs are bound to") {
  CHECK(Engine({1000}).config_digest() != Engine({1001}).config_digest());
  CHECK(Engine({1000}).config_digest() != Engine({1000, 1000}).config_digest());
  CHECK(Engine({1000}).config_digest() != Engine({1000}, 5).config_digest());
}

TEST("many client order ids are all remembered") {
  ClOrdIds ids;
  for (OrderId id = 1; id <= 20000; ++id) {
    const auto name = ClOrdId::parse("order " + std::to_string(id));
    CHECK(ids.find(static_cast<FirmId>(id % 3), *name) == 0);
    ids.insert(static_cast<FirmId>(id % 3), *name, id);
  }
  for (OrderId id = 1; id <= 20000; ++id) {
    const auto name = ClOrdId::parse("order " + std::to_string(id));
    CHECK(ids.find(static_cast<FirmId>(id % 3), *name) == id);
    CHECK(ids.find(3, *name) == 0);
  }
}

}  // namespace
