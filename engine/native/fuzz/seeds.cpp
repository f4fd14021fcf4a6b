#include "seeds.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "exchange/bytes.hpp"
#include "exchange/codec.hpp"
#include "exchange/log.hpp"
#include "exchange/snapshot.hpp"
#include "flow_support.hpp"

namespace fuzz {

namespace {

using namespace exchange;

Bytes behind(std::initializer_list<std::uint8_t> first, std::span<const std::uint8_t> rest) {
  Bytes bytes(first);
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

std::string numbered(std::string_view name, std::size_t number) { return std::string(name) + "-" + std::to_string(number); }

// ---- codec: the size of a piece, raw bytes or a payload, then frames ----

std::vector<Frame> frames() {
  NewOrderFrame order{7, 3, 1, 1, 2, 0, 10'000, 100, "order-1"};
  order.stop_price_ticks = 9'900;
  ControlFrame limits{9, 8, 3, kAllInstruments, 100'000, 500, 1'000};
  limits.order_id = 50;
  limits.stp = 3;
  Reply filled;
  filled.seq_num = 12;
  filled.order_id = 5;
  filled.status = OrdStatus::partially_filled;
  filled.order_qty = 100;
  filled.cum_qty = 40;
  filled.leaves_qty = 60;
  filled.fills = {{1, 10'000, 30, 2}, {2, 10'001, 10, 4}};
  Depth depth;
  depth.seq_num = 12;
  depth.bids = {{9'999, 10}, {9'998, 20}};
  depth.asks = {{10'001, 5}};
  depth.last_trade = PriceQty{10'000, 30};
  depth.indicative = {10'000, 7, -2};
  return {HelloFrame{"gateway-1", 3, "0123456789abcdef"},
          WelcomeFrame{3, 12, 99},
          order,
          CancelFrame{8, 3, 5},
          ReduceFrame{9, 3, 5, 40},
          AmendFrame{10, 3, 5, 10'002, 80, 0, 1},
          limits,
          DepthRequestFrame{11, 1, 10},
          ReplyFrame{7, filled},
          DepthFrame{11, depth},
          DepthFrame{12, Depth{}},
          LogonFrame{1, "token"}};
}

std::vector<Seed> codec_seeds() {
  std::vector<Seed> seeds;
  Bytes stream;
  for (const Frame& frame : frames()) {
    Bytes bytes;
    (void)encode(frame, bytes);
    const std::size_t number = seeds.size() / 2;
    seeds.push_back({numbered("frame", number), behind({static_cast<std::uint8_t>(number * 20), 0}, bytes)});
    seeds.push_back({numbered("payload", number), behind({255, 1}, std::span(bytes).subspan(kFrameHeader))});
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  for (const std::uint8_t piece : std::initializer_list<std::uint8_t>{0, 6, 255}) {
    seeds.push_back({numbered("stream", piece), behind({piece, 0}, stream)});
  }
  return seeds;
}

// ---- engine: the bytes that fuzz_engine.cpp makes commands of ----

struct Written {
  std::uint8_t what = 0;  // below 160: its remainder by 4 is new order, cancel, reduce, amend; above: by 14 the kind
  std::uint8_t bits = 0;  // side, then type, then time in force
  std::uint8_t more = 0;  // firm, instrument, state, stp
  std::uint8_t price = 0;
  std::uint8_t stop = 0;
  std::uint8_t qty = 0;
  std::uint8_t order_id = 0;
  std::uint8_t later_ns = 1;

  void put(Bytes& to) const {
    to.insert(to.end(), {what, bits, more, price, stop, qty, order_id, later_ns});
    if (what % 3 == 0) {
      to.insert(to.end(), {1, static_cast<std::uint8_t>('A' + order_id % 26)});  // a client's order id of one letter
    }
  }
};

std::uint8_t small(std::uint64_t value) { return static_cast<std::uint8_t>(value); }

std::uint8_t order_bits(support::Random& random) {
  constexpr std::uint8_t kTifs[] = {0, 1, 3, 4};
  const std::uint64_t type = random.below(3) == 0 ? 1 + random.below(4) : 2;
  // fuzz_engine.cpp takes each part by a remainder of what is left: look for bits that give the parts.
  const std::uint64_t tif = random.below(3) == 0 ? kTifs[random.below(4)] : random.below(2);
  const std::uint64_t side = 1 + random.below(2);
  for (unsigned bits = 0; bits < 256; ++bits) {
    if (bits % 4 == side && (bits >> 2U) % 6 == type && (bits >> 5U) % 6 == tif) {
      return small(bits);
    }
  }
  return small(side | 2U << 2U);
}

Bytes trading(std::uint64_t seed, std::size_t commands, bool sessions) {
  support::Random random(seed);
  Bytes bytes;
  for (std::size_t i = 0; i < commands; ++i) {
    Written one;
    const std::uint64_t choice = random.below(10);
    one.what = small(choice < 6 ? 4 * random.below(40) : 1 + random.below(3) + 4 * random.below(38));
    one.bits = order_bits(random);
    one.more = small(random.below(3) + 24 * random.below(2));
    one.price = small(95 + random.below(10));
    one.stop = small(95 + random.below(10));
    one.qty = small(1 + random.below(60));
    one.order_id = small(random.below(32));
    one.later_ns = small(random.below(4) == 0 ? 40 : random.below(5));
    if (sessions && random.below(5) == 0) {
      constexpr std::uint8_t kKinds[] = {173, 173, 173, 174, 175, 176, 177, 178, 179, 180};  // 5, 5, 5, 6 .. 12 by 14
      one.what = kKinds[random.below(10)];
      one.more = small(random.below(3) == 0 ? 250 + random.below(5) : random.below(48));
      one.qty = small(random.below(4));
      one.price = small(1 + random.below(3));
    }
    one.put(bytes);
  }
  return bytes;
}

std::vector<Seed> engine_seeds() {
  std::vector<Seed> seeds;
  for (std::size_t i = 0; i < 12; ++i) {
    seeds.push_back({numbered("orders", i), trading(i + 1, 10 + 8 * i, false)});
    seeds.push_back({numbered("sessions", i), trading(i + 101, 10 + 8 * i, true)});
  }
  return seeds;
}

// ---- log: 24 bytes of damage; the whole also as a record, as records of a segment, and as a segment ----

Bytes file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes{std::istreambuf_iterator<char>(in), {}};
}

std::vector<Seed> log_seeds() {
  constexpr std::size_t kHeader = 4096;
  const support::TempDir dir;
  LogConfig config;
  config.dir = dir.path();
  config.segment_records = 5;
  {
    Log log(config);
    (void)log.recover({}, [](const LogRecord&) {});
    const auto commands = support::flow(3, 12);
    for (std::size_t first = 0; first < commands.size(); first += 3) {
      (void)log.append(std::span(commands).subspan(first, 3));
    }
  }
  std::vector<Seed> seeds;
  for (std::size_t number = 1; number <= 3; ++number) {
    const Bytes segment = file_bytes(dir.path() + "/0000000" + std::to_string(number) + ".log");
    const std::span<const std::uint8_t> records = std::span(segment).subspan(kHeader, 5 * kRecordSize);
    seeds.push_back({numbered("segment", number), segment});
    seeds.push_back({numbered("records", number), Bytes(records.begin(), records.end())});
    for (std::size_t i = 0; i < 5; ++i) {
      const auto record = records.subspan(i * kRecordSize, kRecordSize);
      seeds.push_back({numbered(numbered("record", number), i), Bytes(record.begin(), record.end())});
      seeds.push_back({numbered(numbered("inside", number), i), Bytes(record.begin() + 4, record.end())});
    }
  }
  // Segment - 1, place (even: in the records), byte: a torn tail, an older record, a header.
  seeds.push_back({"torn-tail", {2, 0x80, 0, 0xFF}});
  seeds.push_back({"damage", {0, 0x82, 0, 0, 1, 0x04, 1, 0xFF}});
  seeds.push_back({"header", {1, 0x11, 0, 7}});
  return seeds;
}

// ---- snapshot: what to do with it, then changes; or a whole file, or a whole state ----

std::vector<Seed> snapshot_seeds() {
  std::vector<Seed> seeds;
  for (const std::size_t commands : {0, 3, 40, 150}) {
    Engine engine(support::flow_config());
    for (const Command& command : support::flow(7, commands)) {
      (void)engine.apply(command);
    }
    Bytes state;
    engine.save([&state](std::span<const std::uint8_t> piece) { state.insert(state.end(), piece.begin(), piece.end()); });
    seeds.push_back({numbered("state", commands), behind({1}, state)});
    if (commands == 3) {
      const support::TempDir dir;
      seeds.push_back({"file", file_bytes(write_snapshot(dir.path(), engine, {1, 2, 3}).path)});
    }
  }
  seeds.push_back({"untouched-file", {0}});
  seeds.push_back({"header-byte", {0, 8, 0, 1, 1}});
  seeds.push_back({"cut-file", {0, 0, 32, 0, 0}});
  seeds.push_back({"untouched-state", {2}});
  for (std::uint8_t at = 0; at < 12; ++at) {  // one byte changed, all over the state, with the sum made right and without
    seeds.push_back({numbered("change", at), {static_cast<std::uint8_t>(2 + at % 2), static_cast<std::uint8_t>(at * 37), at, 1, static_cast<std::uint8_t>(at * 3)}});
  }
  return seeds;
}

}  // namespace

std::vector<Seed> seeds_of(std::string_view target) {
  if (target == "codec") {
    return codec_seeds();
  }
  if (target == "engine") {
    return engine_seeds();
  }
  if (target == "log") {
    return log_seeds();
  }
  return target == "snapshot" ? snapshot_seeds() : std::vector<Seed>{};
}

}  // namespace fuzz
