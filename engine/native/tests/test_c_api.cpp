// The C interface: what it gives is what the C++ one gives, and what makes no sense it refuses.
#include <malloc.h>

#include <cstring>
#include <limits>

#include "check.hpp"
#include "exchange/engine.hpp"
#include "exchange/exchange.h"
#include "flow_support.hpp"

#if defined(__SANITIZE_ADDRESS__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace {

using namespace exchange;

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

constexpr exch_instrument kShare{.max_qty = 1'000,
                                 .reference_ticks = 0,
                                 .market_notional_cap = 0,
                                 .luld_bps = 0,
                                 .collar_bps = 0,
                                 .fat_finger_pct = 0,
                                 .initial_state = 2};

exch_config config_of(const exch_instrument* instruments, std::size_t count) {
  exch_config config{};
  config.instruments = instruments;
  config.instrument_count = count;
  config.max_live_orders = 100;
  return config;
}

exch_engine* new_engine() {
  const exch_config config = config_of(&kShare, 1);
  return exch_create(&config, nullptr, 0);
}

std::string create_refusal(const exch_config& config) {
  char error[100] = "";
  CHECK(exch_create(&config, error, sizeof error) == nullptr);
  return error;
}

}  // namespace

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

TEST("a count of instruments that nobody can have is refused before one of them is read") {
  for (const std::size_t count : {std::size_t{kMaxInstruments} + 1, std::numeric_limits<std::size_t>::max()}) {
    CHECK(create_refusal(config_of(&kShare, count)) == "instruments: expected 1 to 100000");
  }
  CHECK(create_refusal(config_of(nullptr, 1)) == "instruments is null");
  CHECK(create_refusal(config_of(nullptr, 0)) == "instruments: expected 1 to 100000");
}

TEST("a null pointer is answered with nothing instead of a crash, and nothing is applied") {
  exch_engine* const engine = new_engine();
  exch_command command = c_command(support::new_order(Side::buy, 100, 5));
  CHECK(exch_submit(nullptr, &command, 1) == 0 && exch_submit(engine, nullptr, 3) == 0 && exch_submit(engine, nullptr, 0) == 0);
  CHECK(exch_last_seq_num(engine) == 0 && exch_submit(engine, &command, 1) == 1);
  exch_report report{};
  CHECK(exch_poll(nullptr, &report, 1) == 0 && exch_poll(engine, nullptr, 1) == 0 && exch_poll(engine, &report, 1) == 1);
  exch_level level{};
  CHECK(exch_depth(nullptr, 0, 1, &level, 1) == 0 && exch_depth(engine, 0, 1, nullptr, 1) == 0);
  CHECK(exch_indicative(nullptr, 0).qty == 0 && exch_state_hash(nullptr) == 0);
  CHECK(exch_last_seq_num(nullptr) == 0 && exch_next_timer_ns(nullptr) == 0);
  CHECK(exch_save(engine, nullptr, nullptr) == -1);
  CHECK(exch_save(nullptr, [](void*, const void*, std::size_t) { return 0; }, nullptr) == -1);
  const exch_config config = config_of(&kShare, 1);
  char error[40] = "";
  CHECK(exch_load(&config, nullptr, nullptr, error, sizeof error) == nullptr && std::string_view(error) == "get is null");
  exch_destroy(engine);
  exch_destroy(nullptr);
}

TEST("the depth of a side that is none is empty") {
  exch_engine* const engine = new_engine();
  const exch_command both[] = {c_command(support::new_order(Side::buy, 99, 5)), c_command(support::new_order(Side::sell, 100, 5))};
  CHECK(exch_submit(engine, both, 2) == 2);
  exch_level level{};
  for (const std::uint8_t side : {std::uint8_t{0}, std::uint8_t{3}, std::uint8_t{7}, std::uint8_t{255}}) {
    CHECK(exch_depth(engine, 0, side, &level, 1) == 0 && level.qty == 0);
  }
  CHECK(exch_depth(engine, 0, 1, &level, 1) == 1 && level.price_ticks == 99);
  CHECK(exch_depth(engine, 0, 2, &level, 1) == 1 && level.price_ticks == 100);
  exch_destroy(engine);
}

TEST("a command with something in its reserved byte is refused, so that it can mean something one day") {
  exch_engine* const engine = new_engine();
  exch_command command = c_command(support::new_order(Side::buy, 99, 5));
  command.reserved = 1;
  exch_report report{};
  CHECK(exch_submit(engine, &command, 1) == 1 && exch_poll(engine, &report, 1) == 1);
  CHECK(report.reason == static_cast<std::uint8_t>(RejectReason::bad_command) && exch_last_seq_num(engine) == 0);
  exch_destroy(engine);
}

// Bytes that this process has asked for; of the sanitizer's allocator where that one is in use.
std::size_t allocated_bytes() {
#if defined(__SANITIZE_ADDRESS__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const auto now = ::mallinfo2();
  return now.uordblks + now.hblkhd;
#endif
}

TEST("reports that were polled take no room, though one is always left waiting") {
  exch_engine* const engine = new_engine();
  const exch_command command = c_command(support::cancel(1));
  CHECK(exch_submit(engine, &command, 1) == 1);
  const std::size_t before = allocated_bytes();
  constexpr std::uint64_t kCount = 100'000;  // 12.8 MB of reports
  for (std::uint64_t n = 1; n <= kCount; ++n) {
    exch_report report{};
    CHECK(exch_submit(engine, &command, 1) == 2 && exch_poll(engine, &report, 1) == 1 && report.seq_num == n);
  }
  CHECK(allocated_bytes() < before + 100'000);
  exch_destroy(engine);
}

TEST("reports come once and in order, however many are left between submits") {
  exch_engine* const engine = new_engine();
  const exch_command command = c_command(support::cancel(1));
  support::Random random(9);
  std::uint64_t submitted = 0;
  std::uint64_t polled = 0;
  std::vector<exch_report> reports(40);
  for (int round = 0; round < 2'000; ++round) {
    const std::vector<exch_command> batch(random.below(20), command);
    submitted += batch.size();
    CHECK(exch_submit(engine, batch.data(), batch.size()) == submitted - polled);
    const std::size_t got = exch_poll(engine, reports.data(), random.below(reports.size()));
    for (std::size_t i = 0; i < got; ++i) {
      CHECK(reports[i].seq_num == ++polled);
    }
  }
  exch_destroy(engine);
}
