// A gateway's end of the link, for tests of the core.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "check.hpp"
#include "exchange/codec.hpp"
#include "exchange/config.hpp"
#include "exchange/posix.hpp"

namespace support {

inline exchange::EngineConfig engine_config(std::uint32_t instruments = 1, std::uint32_t partitions = 1) {
  exchange::EngineConfig config;
  config.instruments.resize(instruments);
  config.max_live_orders = 1U << 18U;
  config.partitions = partitions;
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
    send(exchange::HelloFrame{"test", 1, ""});
    CHECK(std::holds_alternative<exchange::WelcomeFrame>(receive()));
  }

  void send(const exchange::Frame& frame) {
    std::vector<std::uint8_t> out;
    CHECK(exchange::encode(frame, out));
    CHECK(::send(fd_.get(), out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size()));
  }

  // Nothing once the core closed the link.
  std::optional<exchange::Frame> next() {
    for (;;) {
      if (auto frame = decoder_.next()) {
        return frame;
      }
      std::vector<std::uint8_t> in(65536);
      const ssize_t got = ::recv(fd_.get(), in.data(), in.size(), 0);
      if (got <= 0) {
        return std::nullopt;
      }
      decoder_.feed(std::span(in).first(static_cast<std::size_t>(got)));
    }
  }
  exchange::Frame receive() {
    auto frame = next();
    CHECK(frame.has_value());
    return std::move(*frame);
  }
  exchange::Reply ask(const exchange::Frame& frame) {
    send(frame);
    const exchange::Frame answer = receive();
    CHECK(std::holds_alternative<exchange::ReplyFrame>(answer));
    return std::get<exchange::ReplyFrame>(answer).reply;
  }

 private:
  exchange::UniqueFd fd_;
  exchange::FrameDecoder decoder_;
};

inline exchange::NewOrderFrame order(std::uint64_t request_id, exchange::Side side, exchange::FirmId firm, exchange::InstrumentId instrument = 0,
                                     exchange::Price price = 100) {
  exchange::NewOrderFrame frame;
  frame.request_id = request_id;
  frame.firm = firm;
  frame.instrument = instrument;
  frame.side = static_cast<std::uint8_t>(side);
  frame.ord_type = static_cast<std::uint8_t>(exchange::OrdType::limit);
  frame.price_ticks = price;
  frame.qty = 1;
  return frame;
}

}  // namespace support
