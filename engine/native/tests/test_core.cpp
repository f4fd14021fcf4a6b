#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "check.hpp"
#include "exchange/codec.hpp"
#include "exchange/core.hpp"
#include "exchange/posix.hpp"
#include "support.hpp"

namespace {

using namespace exchange;

CoreConfig config_for(const support::TempDir& dir) {
  CoreConfig config;
  config.log_dir = dir.path();
  config.instrument_max_qty = {1'000'000};
  config.segment_records = 1000;
  config.ack_policy = AckPolicy::memory;
  return config;
}

// A gateway's end of the link.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    send(HelloFrame{"test", 1, ""});
    CHECK(std::holds_alternative<WelcomeFrame>(receive()));
  }

  void send(const Frame& frame) {
    std::vector<std::uint8_t> out;
    CHECK(encode(frame, out));
    CHECK(::send(fd_.get(), out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size()));
  }

  Frame receive() {
    for (;;) {
      if (auto frame = decoder_.next()) {
        return *frame;
      }
      std::vector<std::uint8_t> in(65536);
      const ssize_t got = ::recv(fd_.get(), in.data(), in.size(), 0);
      CHECK(got > 0);
      decoder_.feed(std::span(in).first(static_cast<std::size_t>(got)));
    }
  }

 private:
  UniqueFd fd_;
  FrameDecoder decoder_;
};

NewOrderFrame order(std::uint64_t request_id, Side side, FirmId firm) {
  NewOrderFrame frame;
  frame.request_id = request_id;
  frame.firm = firm;
  frame.side = static_cast<std::uint8_t>(side);
  frame.ord_type = static_cast<std::uint8_t>(OrdType::limit);
  frame.price_ticks = 100;
  frame.qty = 1;
  return frame;
}

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

TEST("a core serves two links at once while its statistics are read, and replays to the same state") {
  const support::TempDir dir;
  CoreStats live;
  {
    Core core(config_for(dir));
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
  CHECK(live.seq_num == 6000 && live.trades == 3000 && live.live_orders == 0);
  Core again(config_for(dir));
  CHECK(again.recover().records == 6000);
  CHECK(again.stats().state_hash == live.state_hash);
}

TEST("a core can be stopped before it was started") {
  const support::TempDir dir;
  Core core(config_for(dir));
  core.stop();
  core.stop();
}

}  // namespace
