// What happens to an order between its bytes and its report's bytes, on one thread: decode, make a command, give it its
// place in the log, apply (risk, match), make the reply, encode it. The link server's thread does the same work, and
// sockets; those are not here, because on one machine they cost more than all the rest and say nothing about it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "exchange/codec.hpp"
#include "exchange/engine.hpp"
#include "exchange/journal.hpp"
#include "exchange/memory_ahead.hpp"
#include "exchange/report.hpp"
#include "flow.hpp"
#include "program.hpp"

namespace bench {

// A flow as the frames that a gateway would send, one after the other.
class Frames {
 public:
  explicit Frames(const std::vector<exchange::Command>& commands) {
    begins_.reserve(commands.size() + 1);
    for (const exchange::Command& command : commands) {
      begins_.push_back(bytes_.size());
      need(exchange::encode(frame(command, begins_.size()), bytes_), "a frame of the flow cannot be encoded");
    }
    begins_.push_back(bytes_.size());
  }
  [[nodiscard]] std::size_t size() const noexcept { return begins_.size() - 1; }
  [[nodiscard]] std::span<const std::uint8_t> operator[](std::size_t i) const noexcept {
    return {bytes_.data() + begins_[i], begins_[i + 1] - begins_[i]};
  }

 private:
  static exchange::Frame frame(const exchange::Command& command, std::uint64_t request_id) {
    if (command.kind == exchange::CommandKind::cancel) {
      exchange::CancelFrame cancel;
      cancel.request_id = request_id;
      cancel.firm = command.firm;
      cancel.order_id = command.order_id;
      return cancel;
    }
    exchange::NewOrderFrame order;
    order.request_id = request_id;
    order.firm = command.firm;
    order.instrument = command.instrument;
    order.side = static_cast<std::uint8_t>(command.side);
    order.ord_type = static_cast<std::uint8_t>(command.ord_type);
    order.tif = static_cast<std::uint8_t>(command.tif);
    order.price_ticks = command.price_ticks;
    order.qty = command.qty;
    order.cl_ord_id = command.cl_ord_id.view();
    return order;
  }

  std::vector<std::uint8_t> bytes_;
  std::vector<std::size_t> begins_;
};

class OrderPath {
 public:
  OrderPath(const exchange::EngineConfig& config, const std::string& log_dir, exchange::AckPolicy policy)
      : engine_(config), journal_(log_config(config, log_dir, policy)) {
    out_.reserve(2 * kOutKept);
    journal_.recover({}, [](const exchange::LogRecord&) {});
    memory_ahead_.look();
    need(memory_ahead_.start(), "no thread for the memory ahead");
  }

  // False: the journal had no room; nothing happened, and the same bytes may be given again.
  bool handle(std::span<const std::uint8_t> bytes, exchange::TimeNs ts_ns) {
    if (!held_) {
      decoder_.feed(bytes);
      frame_ = decoder_.next();
      make_command();
    }
    command_.ts_ns = ts_ns;
    held_ = !journal_.append(command_);
    if (held_) {
      return false;
    }
    const std::span<const exchange::Report> reports = engine_.apply(command_);
    exchange::make_reply(command_, engine_.last_seq_num(), reports, reply_);
    if (out_.size() > kOutKept) {
      out_.clear();
    }
    static_cast<void>(exchange::encode_reply(request_id_, reply_, out_));
    return true;
  }

  [[nodiscard]] exchange::Engine& engine() noexcept { return engine_; }
  [[nodiscard]] exchange::Journal& journal() noexcept { return journal_; }
  [[nodiscard]] static exchange::LogConfig log_config(const exchange::EngineConfig& config, const std::string& dir,
                                                      exchange::AckPolicy policy) {
    exchange::LogConfig log;
    log.dir = dir;
    log.ack_policy = policy;
    log.config_digest = exchange::config_digest(config);
    return log;
  }

 private:
  static constexpr std::size_t kOutKept = 65'536;  // bytes of answers, as a link would send them at once

  void make_command() {
    if (const auto* order = std::get_if<exchange::NewOrderFrame>(&*frame_)) {
      command_ = {};
      command_.kind = exchange::CommandKind::new_order;
      command_.firm = order->firm;
      command_.instrument = order->instrument;
      command_.side = static_cast<exchange::Side>(order->side);
      command_.ord_type = static_cast<exchange::OrdType>(order->ord_type);
      command_.tif = static_cast<exchange::TimeInForce>(order->tif);
      command_.price_ticks = order->price_ticks;
      command_.qty = order->qty;
      command_.cl_ord_id = exchange::ClOrdId::parse(order->cl_ord_id).value_or(exchange::ClOrdId{});
      request_id_ = order->request_id;
    } else if (const auto* cancel = std::get_if<exchange::CancelFrame>(&*frame_)) {
      command_ = {};
      command_.kind = exchange::CommandKind::cancel;
      command_.firm = cancel->firm;
      command_.order_id = cancel->order_id;
      request_id_ = cancel->request_id;
    }
  }

  exchange::Engine engine_;
  exchange::MemoryAhead memory_ahead_{engine_};
  exchange::Journal journal_;
  exchange::FrameDecoder decoder_;
  std::optional<exchange::Frame> frame_;
  exchange::Command command_;
  std::uint64_t request_id_ = 0;
  bool held_ = false;
  exchange::Reply reply_;
  std::vector<std::uint8_t> out_;
};

}  // namespace bench
