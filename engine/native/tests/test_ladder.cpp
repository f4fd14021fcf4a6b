// The price ladder against std::map, which is what it stands in for.
#include <map>

#include "../src/ladder.hpp"
#include "check.hpp"
#include "support.hpp"

namespace {

using namespace exchange;

struct Twin {
  LadderMemory memory;
  FarLevels far{&memory.far_nodes};
  Ladder ladder;
  std::map<LevelKey, Qty> truth;

  void add(LevelKey key) {
    const Qty qty = ++truth[key];
    ladder.make(key, far, memory).qty = qty;
  }
  void remove(LevelKey key) {
    truth.erase(key);
    ladder.at(key, far) = Level{};
    ladder.erase(key, far);
  }
  void check_all() const {
    CHECK(ladder.best() == (truth.empty() ? kNoKey : truth.begin()->first));
    LevelKey key = ladder.best();
    for (const auto& [wanted, qty] : truth) {
      CHECK(key == wanted);
      CHECK(ladder.at(key, far).qty == qty);
      key = ladder.next(key, far);
    }
    CHECK(key == kNoKey);
  }
};

// Keys around a middle that wanders, now and then from far away.
LevelKey key_near(support::Random& random, LevelKey middle, std::uint64_t width) {
  if (random.below(40) == 0) {
    return static_cast<LevelKey>(random.below(2'000'000'000)) - 1'000'000'000;
  }
  return middle + static_cast<LevelKey>(random.below(width)) - static_cast<LevelKey>(width / 2);
}

}  // namespace

TEST("a ladder has the levels of an ordered map, in its order, however prices wander") {
  for (const std::uint64_t width : {8ULL, 60ULL, 300ULL, 3'000ULL, 9'000ULL, 100'000ULL}) {
    support::Random random(width);
    Twin twin;
    LevelKey middle = 0;
    for (int step = 0; step < 4'000; ++step) {
      middle += static_cast<LevelKey>(random.below(2 * width / 4 + 3)) - static_cast<LevelKey>(width / 4 + 1);
      if (twin.truth.empty() || random.below(5) < 3) {
        twin.add(key_near(random, middle, width));
      } else if (random.below(3) == 0) {
        twin.remove(twin.truth.begin()->first);
      } else {
        const auto from = twin.truth.lower_bound(key_near(random, middle, width));
        twin.remove(from == twin.truth.end() ? twin.truth.rbegin()->first : from->first);
      }
      if (step % 16 == 0) {
        twin.check_all();
      }
    }
    twin.check_all();
  }
}

TEST("the best level is known after every step of a market that runs away and comes back") {
  Twin twin;
  for (const int direction : {1, -1}) {
    for (int step = 0; step < 20'000; ++step) {
      twin.add(direction * step * 3);
      if (twin.truth.size() > 200) {
        twin.remove(direction > 0 ? twin.truth.begin()->first : twin.truth.rbegin()->first);
      }
      CHECK(twin.ladder.best() == twin.truth.begin()->first);
    }
  }
  twin.check_all();
}

TEST("levels at the ends of the price range are levels like others") {
  Twin twin;
  for (const LevelKey key : {-1'000'000'000, 1'000'000'000, -1, 1, 999'999'999, -999'999'999}) {
    twin.add(key);
    twin.check_all();
  }
  while (!twin.truth.empty()) {
    twin.remove(twin.truth.rbegin()->first);
    twin.check_all();
  }
}
