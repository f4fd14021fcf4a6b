// The framed link between gateway and core, and between member and gateway.
//
// Frame: u32 length of the rest, u32 CRC-32C of the payload, payload. Payload: u8 kind, then the kind's fields,
// little-endian, nothing left over; the layouts stand in codec.cpp. A reader never buffers more than one frame of kFrameMax bytes plus what it
// was just fed, and whatever the bytes are, the worst it does is to refuse them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "exchange/report.hpp"
#include "exchange/types.hpp"

namespace exchange {

// Largest frame, in bytes after the length field. A reply with kMaxFillsPerCommand fills fits.
inline constexpr std::size_t kFrameMax = std::size_t{1} << 20U;
inline constexpr std::size_t kFrameHeader = 8;
// Most levels of one side in a depth answer; a request for more gets these.
inline constexpr std::size_t kMaxDepthLevels = 1000;
inline constexpr std::size_t kMaxTextLength = 255;
inline constexpr std::size_t kMaxLinkKeyLength = 256;

struct HelloFrame {
  std::string name;
  std::uint64_t epoch = 0;
  std::string key;  // the link key; empty where none is used
};
// `instruments_digest` names the instrument list that indexes and ticks mean; both ends must have the same.
struct WelcomeFrame {
  std::uint64_t epoch = 0;
  SeqNum last_seq_num = 0;
  std::uint64_t instruments_digest = 0;
};
// The strings and codes are as they came; nothing below the link has judged them yet.
struct NewOrderFrame {
  std::uint64_t request_id = 0;
  FirmId firm = 0;
  InstrumentId instrument = 0;
  std::uint8_t side = 0;
  std::uint8_t ord_type = 0;
  std::uint8_t tif = 0;
  Price price_ticks = 0;
  Qty qty = 0;
  std::string cl_ord_id;
  Price stop_price_ticks = 0;
};
struct CancelFrame {
  std::uint64_t request_id = 0;
  FirmId firm = 0;
  OrderId order_id = 0;
};
struct ReduceFrame {
  std::uint64_t request_id = 0;
  FirmId firm = 0;
  OrderId order_id = 0;
  Qty new_leaves_qty = 0;
};
// 0 keeps what the order has. `instrument`: whose ticks the prices are; an order of another one is not amended.
// kAllInstruments: not said, not checked.
struct AmendFrame {
  std::uint64_t request_id = 0;
  FirmId firm = 0;
  OrderId order_id = 0;
  Price price_ticks = 0;
  Qty qty = 0;  // the new order_qty
  Price stop_price_ticks = 0;
  InstrumentId instrument = kAllInstruments;
};
// The venue's own commands: session, kill, limits, mass_cancel, corporate_action, end_of_day, reference. The fields
// are the command's; timers are the core's own business and are refused.
struct ControlFrame {
  std::uint64_t request_id = 0;
  std::uint8_t kind = 0;
  FirmId firm = 0;
  InstrumentId instrument = 0;
  Price price_ticks = 0;
  Qty qty = 0;
  Price stop_price_ticks = 0;
  OrderId order_id = 0;
  std::uint8_t stp = 0;
  std::uint8_t state = 0;
};
struct DepthRequestFrame {
  std::uint64_t request_id = 0;
  InstrumentId instrument = 0;
  std::uint32_t levels = 0;
};
struct ReplyFrame {
  std::uint64_t request_id = 0;
  Reply reply;
};
struct DepthFrame {
  std::uint64_t request_id = 0;
  Depth depth;
};
// First frame of a member's session at a gateway; never sent to the core.
struct LogonFrame {
  std::uint64_t request_id = 0;
  std::string token;
};

using Frame = std::variant<HelloFrame, WelcomeFrame, NewOrderFrame, CancelFrame, ReduceFrame, DepthRequestFrame, ReplyFrame, DepthFrame,
                           LogonFrame, AmendFrame, ControlFrame>;

// Appends one whole frame to `out`. False, with `out` as it was, when a text is longer than kMaxTextLength, the link
// key longer than kMaxLinkKeyLength, or the frame would exceed kFrameMax.
[[nodiscard]] bool encode(const Frame& frame, std::vector<std::uint8_t>& out);
// The same for a reply or a depth without copying it into a Frame first.
[[nodiscard]] bool encode_reply(std::uint64_t request_id, const Reply& reply, std::vector<std::uint8_t>& out);
[[nodiscard]] bool encode_depth(std::uint64_t request_id, const Depth& depth, std::vector<std::uint8_t>& out);

// Bytes in, frames out. After the first bad frame it stays failed: the link must be closed.
class FrameDecoder {
 public:
  void feed(std::span<const std::uint8_t> data);
  // The next whole frame; nothing when more bytes are needed or the link is bad().
  [[nodiscard]] std::optional<Frame> next();
  [[nodiscard]] bool bad() const noexcept { return !error_.empty(); }
  // What was wrong; empty while all is well.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }
  // Bytes held back for a frame that is not whole yet.
  [[nodiscard]] std::size_t buffered() const noexcept { return buffer_.size() - at_; }

 private:
  std::optional<Frame> fail(std::string_view why);

  std::vector<std::uint8_t> buffer_;
  std::size_t at_ = 0;
  std::string error_;
};

}  // namespace exchange
