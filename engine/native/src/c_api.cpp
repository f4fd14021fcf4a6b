#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "exchange/c_records.hpp"
#include "exchange/engine.hpp"
#include "exchange/exchange.h"

static_assert(sizeof(exch_report) == sizeof(exchange::Report) && offsetof(exch_report, limit) == offsetof(exchange::Report, limit) &&
              offsetof(exch_report, last_qty) == offsetof(exchange::Report, last_qty) &&
              offsetof(exch_report, exec_type) == offsetof(exchange::Report, exec_type));

// The reports lie in `waiting` from `polled` on.
struct exch_engine {
  explicit exch_engine(const exchange::EngineConfig& config) : engine(config) {}
  // Once half of them are polled, so that a report is moved about once however many are left waiting.
  void drop_polled() {
    if (polled >= waiting.size() - polled) {
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(polled));
      polled = 0;
    }
  }
  exchange::Engine engine;
  std::vector<exchange::Report> waiting;
  std::size_t polled = 0;
};

namespace {

exchange::EngineConfig config_of(const exch_config* given) {
  if (given == nullptr || (given->instruments == nullptr && given->instrument_count != 0)) {
    throw std::invalid_argument(given == nullptr ? "config is null" : "instruments is null");
  }
  const exch_config& from = *given;
  if (from.instrument_count > exchange::kMaxInstruments) {  // or what lies behind the array would be read
    throw std::invalid_argument("instruments: expected 1 to " + std::to_string(exchange::kMaxInstruments));
  }
  exchange::EngineConfig config;
  for (std::size_t i = 0; i < from.instrument_count; ++i) {
    const exch_instrument& one = from.instruments[i];
    if (one.initial_state > 5) {
      throw std::invalid_argument("initial_state is no state");
    }
    config.instruments.push_back({one.max_qty, one.reference_ticks, one.luld_bps, one.collar_bps, one.market_notional_cap, one.fat_finger_pct,
                                  static_cast<exchange::SessionState>(one.initial_state)});
  }
  if (from.stp > 3) {
    throw std::invalid_argument("stp is no mode");
  }
  config.default_limits = {from.max_order_qty, from.position_limit, from.rate_per_s, from.burst, static_cast<exchange::StpMode>(from.stp)};
  config.max_live_orders = from.max_live_orders == 0 ? config.max_live_orders : from.max_live_orders;
  config.limit_state_ns = from.limit_state_ns == 0 ? config.limit_state_ns : from.limit_state_ns;
  config.halt_ns = from.halt_ns == 0 ? config.halt_ns : from.halt_ns;
  config.partitions = from.partitions == 0 ? 1 : from.partitions;
  config.partition = from.partition;
  return config;
}

void tell(char* error, std::size_t size, const char* what) noexcept {
  if (error != nullptr && size > 0) {
    const std::size_t length = std::min(std::strlen(what), size - 1);
    std::memcpy(error, what, length);
    error[length] = '\0';
  }
}

template <typename Make>
exch_engine* made_or_null(char* error, std::size_t size, const Make& make) noexcept {
  try {
    return make().release();
  } catch (const std::exception& failure) {
    tell(error, size, failure.what());
    return nullptr;
  }
}

}  // namespace

extern "C" {

exch_engine* exch_create(const exch_config* config, char* error, size_t error_size) {
  return made_or_null(error, error_size, [&] { return std::make_unique<exch_engine>(config_of(config)); });
}

void exch_destroy(exch_engine* engine) { delete engine; }

size_t exch_submit(exch_engine* engine, const exch_command* commands, size_t count) {
  if (engine == nullptr || (commands == nullptr && count != 0)) {
    return 0;
  }
  try {
    constexpr std::size_t kAtOnce = 256;
    std::vector<exchange::Command> batch;
    batch.reserve(std::min(count, kAtOnce));
    engine->drop_polled();
    for (std::size_t at = 0; at < count; at += kAtOnce) {
      batch.clear();
      std::transform(commands + at, commands + std::min(count, at + kAtOnce), std::back_inserter(batch), exchange::command_of);
      const std::span<const exchange::Report> made = engine->engine.apply_batch(batch);
      engine->waiting.insert(engine->waiting.end(), made.begin(), made.end());
    }
    return engine->waiting.size() - engine->polled;
  } catch (...) {
    return 0;
  }
}

size_t exch_poll(exch_engine* engine, exch_report* reports, size_t capacity) {
  if (engine == nullptr || reports == nullptr) {
    return 0;
  }
  const std::size_t count = std::min(capacity, engine->waiting.size() - engine->polled);
  if (count > 0) {
    std::memcpy(reports, engine->waiting.data() + engine->polled, count * sizeof(exch_report));
    engine->polled += count;
  }
  return count;
}

size_t exch_depth(const exch_engine* engine, uint32_t instrument, uint8_t side, exch_level* levels, size_t capacity) {
  const bool is_side = side == static_cast<uint8_t>(exchange::Side::buy) || side == static_cast<uint8_t>(exchange::Side::sell);
  if (engine == nullptr || levels == nullptr || !is_side) {
    return 0;
  }
  try {
    const exchange::Depth depth = engine->engine.depth(instrument, capacity);
    const std::vector<exchange::PriceQty>& found = side == 1 ? depth.bids : depth.asks;
    std::transform(found.begin(), found.end(), levels, [](const exchange::PriceQty& one) { return exch_level{one.price_ticks, one.qty}; });
    return found.size();
  } catch (...) {
    return 0;
  }
}

exch_level exch_indicative(const exch_engine* engine, uint32_t instrument) {
  if (engine == nullptr) {
    return {0, 0};
  }
  try {
    const exchange::Indicative found = engine->engine.indicative(instrument);
    return {found.price_ticks, found.qty};
  } catch (...) {
    return {0, 0};
  }
}

uint64_t exch_state_hash(const exch_engine* engine) { return engine == nullptr ? 0 : engine->engine.state_hash(); }
uint64_t exch_last_seq_num(const exch_engine* engine) { return engine == nullptr ? 0 : engine->engine.last_seq_num(); }
int64_t exch_next_timer_ns(const exch_engine* engine) { return engine == nullptr ? 0 : engine->engine.next_timer_ns(); }

int exch_save(const exch_engine* engine, int (*put)(void* context, const void* data, size_t size), void* context) {
  if (engine == nullptr || put == nullptr) {
    return -1;
  }
  int failed = 0;
  try {
    engine->engine.save([&](std::span<const std::uint8_t> piece) { failed = failed != 0 ? failed : put(context, piece.data(), piece.size()); });
  } catch (...) {
    return -1;
  }
  return failed;
}

exch_engine* exch_load(const exch_config* config, size_t (*get)(void* context, void* data, size_t size), void* context, char* error,
                       size_t error_size) {
  return made_or_null(error, error_size, [&] {
    if (get == nullptr) {
      throw std::invalid_argument("get is null");
    }
    auto made = std::make_unique<exch_engine>(config_of(config));
    made->engine.load([&](std::span<std::uint8_t> piece) { return get(context, piece.data(), piece.size()); });
    return made;
  });
}

}  // extern "C"
