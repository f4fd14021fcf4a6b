// Sample flows and logs for the tests of snapshots and replay: every kind of command, a few firms, close prices.
#pragma once

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "check.hpp"
#include "exchange/engine.hpp"
#include "exchange/log.hpp"
#include "support.hpp"

namespace support {

inline constexpr std::uint64_t kConfigDigest = 77;  // of the log; any number will do

inline exchange::EngineConfig flow_config() {
  exchange::EngineConfig config;
  exchange::InstrumentConfig guarded;
  guarded.max_qty = 1000;
  guarded.reference_ticks = 100;
  guarded.luld_bps = 1000;
  guarded.collar_bps = 500;
  guarded.fat_finger_pct = 300;
  config.instruments = {exchange::InstrumentConfig{}, guarded};
  config.default_limits.stp = exchange::StpMode::decrement;
  config.max_live_orders = 500;
  config.limit_state_ns = 50;
  config.halt_ns = 100;
  return config;
}

inline exchange::Command order_of(Random& random) {
  exchange::Command command;
  command.side = random.below(2) == 0 ? exchange::Side::buy : exchange::Side::sell;
  command.ord_type = static_cast<exchange::OrdType>(random.below(8) == 0 ? 1 : random.below(6) == 0 ? 3 + random.below(2) : 2);
  constexpr exchange::TimeInForce kTifs[] = {exchange::TimeInForce::day, exchange::TimeInForce::gtc, exchange::TimeInForce::ioc,
                                             exchange::TimeInForce::fok};
  command.tif = kTifs[random.below(3) == 0 ? random.below(4) : random.below(2)];
  command.price_ticks = static_cast<exchange::Price>(90 + random.below(20));
  command.stop_price_ticks = static_cast<exchange::Price>(90 + random.below(20));
  command.qty = static_cast<exchange::Qty>(1 + random.below(50));
  if (random.below(4) == 0) {
    command.cl_ord_id = *exchange::ClOrdId::parse("id-" + std::to_string(random.below(200)));
  }
  return command;
}

inline exchange::Command rare_of(Random& random) {
  using exchange::CommandKind;
  exchange::Command command;
  constexpr CommandKind kKinds[] = {CommandKind::session, CommandKind::session, CommandKind::timer,      CommandKind::kill,
                                    CommandKind::limits,  CommandKind::mass_cancel, CommandKind::corporate_action, CommandKind::end_of_day,
                                    CommandKind::reference};
  command.kind = kKinds[random.below(9)];
  command.state = static_cast<exchange::SessionState>(random.below(6));
  command.qty = static_cast<exchange::Qty>(random.below(2));
  command.price_ticks = 100;
  if (command.kind == CommandKind::limits) {
    command.stp = static_cast<exchange::StpMode>(random.below(4));
    command.price_ticks = 100'000;
  } else if (command.kind == CommandKind::corporate_action) {
    command.qty = static_cast<exchange::Qty>(1 + random.below(3));
    command.price_ticks = static_cast<exchange::Price>(1 + random.below(3));
  } else if (command.kind == CommandKind::end_of_day) {
    command.qty = 20'261'120;
  } else if (command.kind == CommandKind::session && random.below(2) == 0) {
    command.instrument = exchange::kAllInstruments;
    command.state = exchange::SessionState::continuous;
  }
  return command;
}

// Time moves on by up to 9 ns a command, so that limit states and halts come and go.
inline std::vector<exchange::Command> flow(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<exchange::Command> commands;
  exchange::TimeNs now = 1000;
  while (commands.size() < count) {
    exchange::Command command;
    const std::uint64_t what = random.below(20);
    if (what < 13) {
      command = order_of(random);
    } else if (what < 19) {
      constexpr exchange::CommandKind kKinds[] = {exchange::CommandKind::cancel, exchange::CommandKind::reduce, exchange::CommandKind::amend};
      command.kind = kKinds[random.below(3)];
      command.order_id = 1 + random.below(1 + commands.size() / 2);
      command.qty = static_cast<exchange::Qty>(random.below(40));
      command.price_ticks = static_cast<exchange::Price>(random.below(3) == 0 ? 0 : 90 + random.below(20));
    } else {
      command = rare_of(random);
    }
    if (command.instrument == 0) {
      command.instrument = static_cast<exchange::InstrumentId>(random.below(2));
    }
    if (command.kind == exchange::CommandKind::amend && command.qty % 8 != 0) {  // the others name an instrument, right or wrong
      command.instrument = exchange::kAllInstruments;
    }
    command.firm = static_cast<exchange::FirmId>(1 + random.below(4));
    now += static_cast<exchange::TimeNs>(random.below(10));
    command.ts_ns = now;
    commands.push_back(command);
  }
  return commands;
}

// Orders that mostly rest, some of them far from the others.
inline exchange::Command resting_order(Random& random, std::uint64_t instruments) {
  exchange::Command command;
  command.firm = static_cast<exchange::FirmId>(random.below(5));
  command.instrument = static_cast<exchange::InstrumentId>(random.below(instruments));
  command.side = random.below(2) == 0 ? exchange::Side::buy : exchange::Side::sell;
  command.tif = random.below(3) == 0 ? exchange::TimeInForce::day : exchange::TimeInForce::gtc;
  command.price_ticks = static_cast<exchange::Price>((command.side == exchange::Side::buy ? 1 : 480) + random.below(500));
  command.price_ticks += random.below(50) == 0 && command.side == exchange::Side::sell ? 1'000'000 : 0;
  command.qty = 5;
  return command;
}

// A trading command with any field out of any bounds now and then; order ids up to `ids` and a little above.
inline exchange::Command hostile_command(Random& random, std::uint64_t instruments, std::uint64_t ids) {
  exchange::Command command = resting_order(random, instruments);
  const std::uint64_t what = random.below(10);
  constexpr exchange::CommandKind kKinds[] = {exchange::CommandKind::cancel, exchange::CommandKind::reduce, exchange::CommandKind::amend};
  if (what < 5) {
    command.kind = kKinds[what < 3 ? 0 : what - 2];
    command.order_id = random.below(ids + 20);
    command.qty = static_cast<exchange::Qty>(random.below(7));
    command.price_ticks = random.below(2) == 0 ? 0 : command.price_ticks;
    command.instrument = random.below(2) == 0 ? exchange::kAllInstruments : command.instrument;
  } else if (what < 8) {
    command.ord_type = static_cast<exchange::OrdType>(1 + random.below(4));
    command.tif = random.below(2) == 0 ? exchange::TimeInForce::ioc : exchange::TimeInForce::gtc;
    command.stop_price_ticks = static_cast<exchange::Price>(1 + random.below(900));
    command.price_ticks = static_cast<exchange::Price>(1 + random.below(900));
    command.qty = static_cast<exchange::Qty>(1 + random.below(40));
    command.cl_ord_id = *exchange::ClOrdId::parse("id-" + std::to_string(random.below(3'000)));
  }
  switch (random.below(60)) {
    case 0:
      command.instrument = random.below(2) == 0 ? 50 : 0x7FFF'FFFF;
      break;
    case 1:
      command.firm = random.below(2) == 0 ? exchange::kMaxFirmId : 0xFFFF'FFFF;
      break;
    case 2:
      command.side = static_cast<exchange::Side>(random.below(256));
      break;
    case 3:
      command.price_ticks = random.below(2) == 0 ? std::numeric_limits<exchange::Price>::min() : std::numeric_limits<exchange::Price>::max();
      break;
    case 4:
      command.order_id = random.below(2) == 0 ? 0 : std::numeric_limits<exchange::OrderId>::max();
      break;
    case 5:
      command.kind = static_cast<exchange::CommandKind>(random.below(256));
      command.state = exchange::SessionState::continuous;
      command.qty = 1;
      break;
    default:
      break;
  }
  return command;
}

// A whole market closed, split, settled, forgotten and opened again, between commands of the same batch.
inline void push_day_change(std::vector<exchange::Command>& commands) {
  exchange::Command command;
  command.instrument = exchange::kAllInstruments;
  command.kind = exchange::CommandKind::session;
  command.state = exchange::SessionState::closed;
  const auto middle = static_cast<std::ptrdiff_t>(commands.size() / 2);
  std::vector<exchange::Command> change{command};
  command.kind = exchange::CommandKind::corporate_action;
  command.instrument = 3;
  command.qty = 2;
  command.price_ticks = 1;
  change.push_back(command);
  command.kind = exchange::CommandKind::end_of_day;
  command.qty = 20'261'121;
  change.push_back(command);
  command.kind = exchange::CommandKind::session;
  command.instrument = exchange::kAllInstruments;
  command.state = exchange::SessionState::continuous;
  change.push_back(command);
  commands.insert(commands.begin() + middle, change.begin(), change.end());
}

inline exchange::LogConfig flow_log(const std::string& dir, std::uint64_t segment_records = 64) {
  exchange::LogConfig config;
  config.dir = dir;
  config.ack_policy = exchange::AckPolicy::memory;
  config.config_digest = kConfigDigest;
  config.segment_records = segment_records;
  return config;
}

inline void write_flow_log(const std::string& dir, const std::vector<exchange::Command>& commands, std::uint64_t segment_records = 64) {
  exchange::Log log(flow_log(dir, segment_records));
  (void)log.recover({}, [](const exchange::LogRecord&) {});
  for (const exchange::Command& command : commands) {
    CHECK(log.append({&command, 1}) == exchange::AppendResult::written);
  }
}

inline bool same_report(const exchange::Report& a, const exchange::Report& b) {
  const bool same_ids = std::memcmp(&a, &b, sizeof(exchange::ExecId) * 5) == 0;
  return same_ids && a.leaves_qty == b.leaves_qty && a.value == b.value && a.exec_type == b.exec_type;
}

}  // namespace support
