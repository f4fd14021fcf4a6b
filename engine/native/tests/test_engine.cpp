// The engine through its public faces: C++, C, saved bytes. Its rules are held against the reference by tests/engine.
#include <cstring>

#include "check.hpp"
#include "exchange/engine.hpp"
#include "exchange/exchange.h"
#include "flow_support.hpp"

namespace {

using namespace exchange;

std::vector<std::uint8_t> saved(const Engine& engine) {
  std::vector<std::uint8_t> bytes;
  engine.save([&bytes](std::span<const std::uint8_t> piece) { bytes.insert(bytes.end(), piece.begin(), piece.end()); });
  return bytes;
}

void load(Engine& engine, std::span<const std::uint8_t> bytes, std::size_t piece_size) {
  std::size_t at = 0;
  engine.load([&](std::span<std::uint8_t> piece) {
    const std::size_t count = std::min({piece.size(), bytes.size() - at, piece_size});
    std::memcpy(piece.data(), bytes.data() + at, count);
    at += count;
    return count;
  });
}

exch_command c_command(const Command& from) {
  exch_command made{};
  made.kind = static_cast<std::uint8_t>(from.kind);
  made.side = static_cast<std::uint8_t>(from.side);
  made.ord_type = static_cast<std::uint8_t>(from.ord_type);
  made.tif = static_cast<std::uint8_t>(from.tif);
  made.stp = static_cast<std::uint8_t>(from.stp);
  made.state = static_cast<std::uint8_t>(from.state);
  made.firm = from.firm;
  made.instrument = from.instrument;
  made.price_ticks = from.price_ticks;
  made.qty = from.qty;
  made.stop_price_ticks = from.stop_price_ticks;
  made.order_id = from.order_id;
  made.ts_ns = from.ts_ns;
  made.cl_ord_id_length = static_cast<std::uint8_t>(from.cl_ord_id.view().size());
  std::memcpy(made.cl_ord_id, from.cl_ord_id.view().data(), from.cl_ord_id.view().size());
  return made;
}

}  // namespace

TEST("a state saved after any command and loaded goes on like the one that never stopped") {
  const auto commands = support::flow(11, 400);
  for (std::size_t k = 0; k <= commands.size(); k += 7) {
    Engine first(support::flow_config());
    for (std::size_t i = 0; i < k; ++i) {
      static_cast<void>(first.apply(commands[i]));
    }
    Engine second(support::flow_config());
    load(second, saved(first), 1 + k % 37);
    CHECK(second.state_hash() == first.state_hash());
    for (std::size_t i = k; i < commands.size(); ++i) {
      const auto wanted = first.apply(commands[i]);
      const auto got = second.apply(commands[i]);
      CHECK(got.size() == wanted.size());
      for (std::size_t j = 0; j < got.size(); ++j) {
        CHECK(support::same_report(got[j], wanted[j]));
      }
    }
    CHECK(second.state_hash() == first.state_hash());
  }
}

TEST("a saved state is refused when it is cut, when something follows it, and under another configuration") {
  Engine engine(support::flow_config());
  for (const Command& command : support::flow(3, 200)) {
    static_cast<void>(engine.apply(command));
  }
  std::vector<std::uint8_t> bytes = saved(engine);
  const auto refused = [](const EngineConfig& config, std::span<const std::uint8_t> from) {
    Engine fresh(config);
    try {
      load(fresh, from, 4096);
    } catch (const std::runtime_error&) {
      return true;
    }
    return false;
  };
  CHECK(!refused(support::flow_config(), bytes));
  for (std::size_t cut = 0; cut < bytes.size(); cut += 13) {
    CHECK(refused(support::flow_config(), std::span(bytes).first(cut)));
  }
  bytes.push_back(0);
  CHECK(refused(support::flow_config(), bytes));
  bytes.pop_back();
  EngineConfig other = support::flow_config();
  other.instruments[0].max_qty -= 1;
  CHECK(refused(other, bytes));
}

TEST("batches make the reports of single commands, whatever was looked at before its turn") {
  struct Case {
    std::uint32_t partitions;
    std::uint64_t resting;  // enough for nothing, the orders, everything to be fetched ahead
  };
  for (const Case& one : {Case{1, 1'000}, Case{1, 20'000}, Case{1, 70'000}, Case{3, 70'000}}) {
    EngineConfig config;
    config.instruments.resize(50);
    config.partitions = one.partitions;
    config.partition = one.partitions - 1;
    Engine single(config);
    Engine batched(config);
    support::Random random(5);
    std::vector<Command> commands;
    const auto apply_both = [&] {
      std::size_t at = 0;
      const std::span<const Report> reports = batched.apply_batch(commands);
      for (const Command& command : commands) {
        for (const Report& report : single.apply(command)) {
          CHECK(at < reports.size() && support::same_report(report, reports[at]));
          ++at;
        }
      }
      CHECK(at == reports.size() && single.state_hash() == batched.state_hash());
      commands.clear();
    };
    std::uint64_t accepted = 0;
    for (std::uint64_t i = 0; i < one.resting; ++i) {
      commands.push_back(support::resting_order(random, 50));
      ++accepted;
    }
    apply_both();
    const std::uint64_t live = single.live_orders();
    CHECK(live > one.resting / 2);
    for (int batch = 0; batch < 40; ++batch) {
      for (int i = 0; i < 150; ++i) {
        commands.push_back(support::hostile_command(random, 50, accepted * one.partitions));
        ++accepted;
      }
      if (batch % 8 == 7) {  // what was looked at is forgotten, moved or gone when its turn comes
        support::push_day_change(commands);
      }
      apply_both();
    }
  }
}

TEST("the C interface gives the reports of the C++ one, and its saved state loads") {
  const auto commands = support::flow(21, 600);
  Engine engine(support::flow_config());
  const EngineConfig config = support::flow_config();
  std::vector<exch_instrument> instruments;
  for (const InstrumentConfig& one : config.instruments) {
    instruments.push_back({one.max_qty, one.reference_ticks, one.market_notional_cap, one.luld_bps, one.collar_bps, one.fat_finger_pct,
                           static_cast<std::uint32_t>(one.initial_state)});
  }
  exch_config c_config{};
  c_config.instruments = instruments.data();
  c_config.instrument_count = instruments.size();
  c_config.stp = static_cast<std::uint32_t>(config.default_limits.stp);
  c_config.max_live_orders = config.max_live_orders;
  c_config.limit_state_ns = config.limit_state_ns;
  c_config.halt_ns = config.halt_ns;
  char error[32];  // NOLINT(modernize-avoid-c-arrays)
  CHECK(exch_create(nullptr, error, sizeof error) == nullptr && std::string_view(error) == "config is null");
  exch_engine* const c_engine = exch_create(&c_config, nullptr, 0);
  CHECK(c_engine != nullptr);
  for (const Command& command : commands) {
    const exch_command record = c_command(command);
    const auto wanted = engine.apply(command);
    CHECK(exch_submit(c_engine, &record, 1) == wanted.size());
    for (const Report& report : wanted) {
      exch_report got{};
      CHECK(exch_poll(c_engine, &got, 1) == 1);
      CHECK(std::memcmp(&got, &report, 47) == 0 && got.leaves_qty == report.leaves_qty && got.value == report.value);
    }
  }
  CHECK(exch_state_hash(c_engine) == engine.state_hash());
  std::vector<std::uint8_t> bytes;
  CHECK(exch_save(
            c_engine,
            [](void* context, const void* data, size_t size) {
              const auto* const from = static_cast<const std::uint8_t*>(data);
              static_cast<std::vector<std::uint8_t>*>(context)->insert(static_cast<std::vector<std::uint8_t>*>(context)->end(), from, from + size);
              return 0;
            },
            &bytes) == 0);
  std::span<const std::uint8_t> left(bytes);
  exch_engine* const again = exch_load(
      &c_config,
      [](void* context, void* data, size_t size) {
        auto& from = *static_cast<std::span<const std::uint8_t>*>(context);
        const std::size_t count = std::min(size, from.size());
        std::memcpy(data, from.data(), count);
        from = from.subspan(count);
        return count;
      },
      &left, nullptr, 0);
  CHECK(again != nullptr && exch_state_hash(again) == engine.state_hash());
  exch_destroy(again);
  exch_destroy(c_engine);
}

TEST("a configuration that makes no sense is refused by the C interface with the field's name") {
  exch_instrument share{};
  share.max_qty = 0;
  exch_config config{};
  config.instruments = &share;
  config.instrument_count = 1;
  char error[100] = "";
  CHECK(exch_create(&config, error, sizeof error) == nullptr);
  CHECK(std::strstr(error, "max_qty") != nullptr);
  char tiny[4] = "";
  CHECK(exch_create(&config, tiny, sizeof tiny) == nullptr && std::strlen(tiny) == 3);
}
