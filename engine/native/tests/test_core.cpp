// The core over real sockets.
#include "exchange/core.hpp"

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "exchange/codec.hpp"
#include "link_client.hpp"
#include "support.hpp"

namespace {

using namespace exchange;
using support::Client;
using support::engine_config;
using support::order;

CoreConfig config_for(const support::TempDir& dir, std::uint32_t instruments = 1, std::uint32_t partitions = 1) {
  CoreConfig config;
  config.log_dir = dir.path();
  config.engine = engine_config(instruments, partitions);
  config.segment_records = 1000;
  config.ack_policy = AckPolicy::memory;
  return config;
}

ControlFrame control(CommandKind kind, FirmId firm = 0, InstrumentId instrument = 0, Qty qty = 0, SessionState state = {}) {
  ControlFrame frame;
  frame.request_id = 77;
  frame.kind = static_cast<std::uint8_t>(kind);
  frame.firm = firm;
  frame.instrument = instrument;
  frame.qty = qty;
  frame.state = static_cast<std::uint8_t>(state);
  return frame;
}

// ---- the whole core ----

// Sends orders and checks that each is answered, in order.
void trade(std::uint16_t port, Side side, FirmId firm, std::uint64_t count) {
  Client client(port);
  for (std::uint64_t id = 1; id <= count; ++id) {
    client.send(order(id, side, firm));
  }
  for (std::uint64_t id = 1; id <= count; ++id) {
    const Frame frame = client.receive();
    const auto* reply = std::get_if<ReplyFrame>(&frame);
    CHECK(reply != nullptr && reply->request_id == id && reply->reply.status != OrdStatus::rejected);
  }
}

void serve_two_links(AckPolicy policy) {
  const support::TempDir dir;
  CoreConfig config = config_for(dir);
  config.ack_policy = policy;
  CoreStats live;
  {
    Core core(config);
    (void)core.recover();
    const std::uint16_t port = core.listen("127.0.0.1", 0);
    core.start();
    std::thread buyer(trade, port, Side::buy, FirmId{1}, 3000);
    std::thread seller(trade, port, Side::sell, FirmId{2}, 3000);
    for (int i = 0; i < 100; ++i) {
      (void)core.stats();
    }
    buyer.join();
    seller.join();
    live = core.stats();
    core.stop();
  }
  CHECK(live.seq_num == 6000 && live.commands == 6000 && live.trades == 3000 && live.live_orders == 0 && live.rejects == 0);
  Core again(config);
  CHECK(again.recover().log.records == 6000);
  CHECK(again.stats().state_hash == live.state_hash);
}

TEST("a core serves two links at once while its statistics are read, and replays to the same state") {
  serve_two_links(AckPolicy::memory);
}

TEST("a core that waits for the device before it answers does the same") { serve_two_links(AckPolicy::device); }

TEST("a core can be stopped before it was started") {
  const support::TempDir dir;
  Core core(config_for(dir));
  core.stop();
  core.stop();
}

TEST("instruments and order ids are spread over the partitions, and an order is found again by its id alone") {
  const support::TempDir dir;
  Core core(config_for(dir, 6, 3));
  (void)core.recover();
  const std::uint16_t port = core.listen("127.0.0.1", 0);
  core.start();
  Client client(port);
  for (InstrumentId instrument = 0; instrument < 6; ++instrument) {
    const Reply reply = client.ask(order(1, Side::buy, 1, instrument));
    CHECK(reply.status == OrdStatus::fresh && (reply.order_id - 1) % 3 == instrument % 3);
    CHECK(client.ask(CancelFrame{2, 1, reply.order_id}).status == OrdStatus::cancelled);
  }
  CHECK(client.ask(CancelFrame{3, 1, 0}).reason == RejectReason::unknown_order);
  CHECK(client.ask(order(4, Side::buy, 1, 6)).reason == RejectReason::unknown_instrument);
  const CoreStats stats = core.stats();
  CHECK(stats.seq_num == 14 && stats.partitions.size() == 3);
  for (const PartitionStats& one : stats.partitions) {
    CHECK(one.seq_num >= 4);
  }
  core.stop();
}

TEST("a kill goes to every partition and comes back as one answer; it holds after a restart") {
  const support::TempDir dir;
  const CoreConfig config = config_for(dir, 4, 2);
  CoreStats live;
  {
    Core core(config);
    (void)core.recover();
    const std::uint16_t port = core.listen("127.0.0.1", 0);
    core.start();
    Client client(port);
    for (InstrumentId instrument = 0; instrument < 4; ++instrument) {
      CHECK(client.ask(order(1, Side::buy, 5, instrument)).status == OrdStatus::fresh);
      CHECK(client.ask(order(1, Side::buy, 6, instrument)).status == OrdStatus::fresh);
    }
    client.send(control(CommandKind::kill, 5, 0, 1));
    const auto killed = std::get<ReplyFrame>(client.receive());
    CHECK(killed.request_id == 77 && killed.reply.status == OrdStatus::fresh && killed.reply.order_qty == 4);
    CHECK(client.ask(order(2, Side::buy, 5, 0)).reason == RejectReason::firm_killed);
    CHECK(client.ask(order(2, Side::buy, 5, 1)).reason == RejectReason::firm_killed);
    CHECK(core.stats(false).live_orders == 4);
    live = core.stats();
    core.stop();
  }
  Core again(config);
  (void)again.recover();
  CHECK(again.stats().state_hash == live.state_hash && again.stats().partitions[1].state_hash == live.partitions[1].state_hash);
}

TEST("what one partition refuses is refused as a whole, and sessions count each instrument once") {
  const support::TempDir dir;
  Core core(config_for(dir, 4, 2));
  (void)core.recover();
  const std::uint16_t port = core.listen("127.0.0.1", 0);
  core.start();
  Client client(port);
  CHECK(client.ask(control(CommandKind::end_of_day, 0, 0, 20261120)).reason == RejectReason::wrong_state);
  for (InstrumentId instrument = 0; instrument < 4; ++instrument) {
    CHECK(client.ask(control(CommandKind::session, 0, instrument, 0, SessionState::closed)).order_qty == 1);
  }
  CHECK(client.ask(control(CommandKind::end_of_day, 0, 0, 20261120)).status == OrdStatus::fresh);
  CHECK(client.ask(control(CommandKind::session, 0, kAllInstruments, 0, SessionState::pre_open)).order_qty == 4);
  CHECK(client.ask(order(1, Side::buy, 1, 3)).status == OrdStatus::fresh);
  CHECK(client.ask(control(CommandKind::mass_cancel, 1, kAllInstruments)).order_qty == 1);
  CHECK(client.ask(control(CommandKind::reference, 0, 3)).reason == RejectReason::bad_price);
  core.stop();
}

TEST("a control that is a timer, an order, or no command at all is a bad command and leaves no trace") {
  const support::TempDir dir;
  Core core(config_for(dir));
  (void)core.recover();
  const std::uint16_t port = core.listen("127.0.0.1", 0);
  core.start();
  Client client(port);
  for (const CommandKind kind : {CommandKind::timer, CommandKind::new_order, CommandKind::amend, CommandKind{0}, CommandKind{99}}) {
    CHECK(client.ask(control(kind)).reason == RejectReason::bad_command);
  }
  CHECK(client.ask(control(CommandKind::kill, 1, 0, 2)).reason == RejectReason::bad_command);
  CHECK(core.stats().seq_num == 0 && core.stats().rejects == 6);
  core.stop();
}

TEST("a log of another number of partitions is refused before anything is touched") {
  const support::TempDir dir;
  const auto refused = [&dir](std::uint32_t partitions) {
    try {
      Core core(config_for(dir, 4, partitions));
      (void)core.recover();
      return false;
    } catch (const LogError&) {
      return true;
    }
  };
  CHECK(!refused(2));
  CHECK(refused(1) && refused(3) && refused(4));
  CHECK(!refused(2));
}

// What a start of three partitions is refused with; "" when it starts.
std::string refusal_of_three(const support::TempDir& dir) {
  try {
    Core core(config_for(dir, 3, 3));
    (void)core.recover();
    return "";
  } catch (const LogError& error) {
    return error.what();
  }
}

TEST("a partition whose segments are gone beside one with records is refused by its folder's name, at every start") {
  for (const std::string lost : {"partition-00", "partition-01", "partition-02"}) {
    const support::TempDir dir;
    {
      Core core(config_for(dir, 3, 3));
      (void)core.recover();
      const std::uint16_t port = core.listen("127.0.0.1", 0);
      core.start();
      Client client(port);
      for (InstrumentId instrument = 0; instrument < 3; ++instrument) {
        CHECK(client.ask(order(1, Side::buy, 1, instrument)).status == OrdStatus::fresh);
      }
      core.stop();
    }
    CHECK(refusal_of_three(dir).empty());
    std::filesystem::rename(dir.path() + "/" + lost, dir.path() + "/kept");
    CHECK(refusal_of_three(dir).find("restore") != std::string::npos);
    std::filesystem::create_directory(dir.path() + "/" + lost);
    for (int start = 0; start < 2; ++start) {
      CHECK(refusal_of_three(dir).find(lost + " holds no segment") != std::string::npos);
    }
    std::filesystem::remove_all(dir.path() + "/" + lost);
    std::filesystem::rename(dir.path() + "/kept", dir.path() + "/" + lost);
    CHECK(refusal_of_three(dir).empty());
  }
}

TEST("a first start that was cut short, before all partitions had their segments, is taken up") {
  const support::TempDir dir;
  CHECK(refusal_of_three(dir).empty());
  std::filesystem::remove_all(dir.path() + "/partition-01");
  std::filesystem::create_directory(dir.path() + "/partition-01");
  CHECK(refusal_of_three(dir).empty());
  CHECK(!std::filesystem::is_empty(dir.path() + "/partition-01"));
}

}  // namespace
