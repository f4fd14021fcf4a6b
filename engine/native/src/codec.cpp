#include "exchange/codec.hpp"

#include <algorithm>

#include "exchange/bytes.hpp"
#include "exchange/crc32c.hpp"

namespace exchange {

namespace {

enum class FrameKind : std::uint8_t {
  hello = 1,
  welcome = 2,
  new_order = 3,
  cancel = 4,
  reduce = 5,
  depth_request = 6,
  reply = 7,
  depth = 8,
  logon = 9,
  amend = 10,
  control = 11,
};

constexpr std::size_t kCrcSize = 4;
constexpr std::size_t kFillSize = 32;
constexpr std::size_t kPriceQtySize = 16;
static_assert(kCrcSize + 128 + kMaxFillsPerCommand * kFillSize <= kFrameMax, "a reply must fit one frame with all of its fills");
static_assert(kCrcSize + 128 + 2 * kMaxDepthLevels * kPriceQtySize <= kFrameMax, "a depth answer must fit one frame");

void put_text(ByteWriter& to, std::string_view text) {
  to.put(static_cast<std::uint8_t>(text.size()));
  to.put_bytes(text);
}

std::string get_text(ByteReader& from) {
  const auto size = from.get<std::uint8_t>();
  return std::string(from.get_bytes(size));
}

void put_levels(ByteWriter& to, const std::vector<PriceQty>& levels) {
  to.put(static_cast<std::uint32_t>(levels.size()));
  for (const PriceQty& level : levels) {
    to.put(level.price_ticks);
    to.put(level.qty);
  }
}

PriceQty get_price_qty(ByteReader& from) {
  PriceQty found;
  found.price_ticks = from.get<Price>();
  found.qty = from.get<Qty>();
  return found;
}

// A count that the rest of the payload cannot hold is refused before anything is reserved for it.
template <typename T>
std::size_t get_count(ByteReader& from, std::size_t item_size) {
  const std::size_t count = from.get<T>();
  return count * item_size <= from.remaining() ? count : from.remaining() + 1;
}

std::vector<PriceQty> get_levels(ByteReader& from) {
  std::vector<PriceQty> levels;
  const std::size_t count = get_count<std::uint32_t>(from, kPriceQtySize);
  for (std::size_t i = 0; i < count && from.ok(); ++i) {
    levels.push_back(get_price_qty(from));
  }
  return levels;
}

// Writes fields into room that is there already: replies are most of what leaves, and their size is known beforehand.
class Cursor {
 public:
  explicit Cursor(std::uint8_t* at) noexcept : at_(at) {}

  template <std::integral T>
  void put(T value) noexcept {
    store_le(at_, value);
    at_ += sizeof(T);
  }

 private:
  std::uint8_t* at_;
};

constexpr std::size_t kReplySize = 3 + 8 * 8 + 4;  // without fills: kind, status, reason, eight numbers, the count

void write_reply(std::vector<std::uint8_t>& out, std::uint64_t request_id, const Reply& reply) {
  const std::size_t start = out.size();
  out.resize(start + kReplySize + reply.fills.size() * kFillSize);
  Cursor to(out.data() + start);
  to.put(static_cast<std::uint8_t>(FrameKind::reply));
  to.put(request_id);
  to.put(reply.seq_num);
  to.put(reply.order_id);
  to.put(static_cast<std::uint8_t>(reply.status));
  to.put(static_cast<std::uint8_t>(reply.reason));
  to.put(reply.order_qty);
  to.put(reply.cum_qty);
  to.put(reply.leaves_qty);
  to.put(reply.value);
  to.put(reply.limit);
  to.put(static_cast<std::uint32_t>(reply.fills.size()));
  for (const Fill& fill : reply.fills) {
    to.put(fill.trade_id);
    to.put(fill.price_ticks);
    to.put(fill.qty);
    to.put(fill.maker_order_id);
  }
}

Frame read_reply(ByteReader& from) {
  ReplyFrame frame;
  frame.request_id = from.get<std::uint64_t>();
  Reply& reply = frame.reply;
  reply.seq_num = from.get<SeqNum>();
  reply.order_id = from.get<OrderId>();
  reply.status = static_cast<OrdStatus>(from.get<std::uint8_t>());
  reply.reason = static_cast<RejectReason>(from.get<std::uint8_t>());
  reply.order_qty = from.get<Qty>();
  reply.cum_qty = from.get<Qty>();
  reply.leaves_qty = from.get<Qty>();
  reply.value = from.get<std::int64_t>();
  reply.limit = from.get<std::int64_t>();
  const std::size_t count = get_count<std::uint32_t>(from, kFillSize);
  for (std::size_t i = 0; i < count && from.ok(); ++i) {
    Fill fill;
    fill.trade_id = from.get<TradeId>();
    fill.price_ticks = from.get<Price>();
    fill.qty = from.get<Qty>();
    fill.maker_order_id = from.get<OrderId>();
    reply.fills.push_back(fill);
  }
  return frame;
}

void write_depth(ByteWriter& to, std::uint64_t request_id, const Depth& depth) {
  to.put(FrameKind::depth);
  to.put(request_id);
  to.put(depth.seq_num);
  put_levels(to, depth.bids);
  put_levels(to, depth.asks);
  to.put(static_cast<std::uint8_t>(depth.last_trade ? 1 : 0));
  if (depth.last_trade) {
    to.put(depth.last_trade->price_ticks);
    to.put(depth.last_trade->qty);
  }
  to.put(depth.state);
  to.put(static_cast<std::uint8_t>(depth.limit_state ? 1 : 0));
  to.put(depth.indicative.price_ticks);
  to.put(depth.indicative.qty);
  to.put(depth.indicative.imbalance);
}

std::optional<Frame> read_depth(ByteReader& from) {
  DepthFrame frame;
  frame.request_id = from.get<std::uint64_t>();
  frame.depth.seq_num = from.get<SeqNum>();
  frame.depth.bids = get_levels(from);
  frame.depth.asks = get_levels(from);
  const auto traded = from.get<std::uint8_t>();
  if (traded > 1) {
    return std::nullopt;
  }
  if (traded == 1) {
    frame.depth.last_trade = get_price_qty(from);
  }
  frame.depth.state = static_cast<SessionState>(from.get<std::uint8_t>());
  const auto limit_state = from.get<std::uint8_t>();
  if (limit_state > 1) {
    return std::nullopt;
  }
  frame.depth.limit_state = limit_state == 1;
  frame.depth.indicative.price_ticks = from.get<Price>();
  frame.depth.indicative.qty = from.get<Qty>();
  frame.depth.indicative.imbalance = from.get<Qty>();
  return frame;
}

Frame read_new_order(ByteReader& from) {
  NewOrderFrame frame;
  frame.request_id = from.get<std::uint64_t>();
  frame.firm = from.get<FirmId>();
  frame.instrument = from.get<InstrumentId>();
  frame.side = from.get<std::uint8_t>();
  frame.ord_type = from.get<std::uint8_t>();
  frame.tif = from.get<std::uint8_t>();
  frame.price_ticks = from.get<Price>();
  frame.qty = from.get<Qty>();
  frame.stop_price_ticks = from.get<Price>();
  frame.cl_ord_id = get_text(from);
  return frame;
}

Frame read_amend(ByteReader& from) {
  AmendFrame frame;
  frame.request_id = from.get<std::uint64_t>();
  frame.firm = from.get<FirmId>();
  frame.order_id = from.get<OrderId>();
  frame.price_ticks = from.get<Price>();
  frame.qty = from.get<Qty>();
  frame.stop_price_ticks = from.get<Price>();
  frame.instrument = from.get<InstrumentId>();
  return frame;
}

Frame read_control(ByteReader& from) {
  ControlFrame frame;
  frame.request_id = from.get<std::uint64_t>();
  frame.kind = from.get<std::uint8_t>();
  frame.firm = from.get<FirmId>();
  frame.instrument = from.get<InstrumentId>();
  frame.price_ticks = from.get<Price>();
  frame.qty = from.get<Qty>();
  frame.stop_price_ticks = from.get<Price>();
  frame.order_id = from.get<OrderId>();
  frame.stp = from.get<std::uint8_t>();
  frame.state = from.get<std::uint8_t>();
  return frame;
}

// Writes one frame kind after another; false when a text does not fit its length byte.
struct Writer {
  ByteWriter& to;
  std::vector<std::uint8_t>& out;  // what `to` appends to

  bool operator()(const HelloFrame& frame) const {
    to.put(FrameKind::hello);
    to.put(frame.epoch);
    put_text(to, frame.name);
    to.put(static_cast<std::uint16_t>(frame.key.size()));
    to.put_bytes(frame.key);
    return frame.name.size() <= kMaxTextLength && frame.key.size() <= kMaxLinkKeyLength;
  }
  bool operator()(const WelcomeFrame& frame) const {
    to.put(FrameKind::welcome);
    to.put(frame.epoch);
    to.put(frame.last_seq_num);
    to.put(frame.instruments_digest);
    return true;
  }
  bool operator()(const NewOrderFrame& frame) const {
    to.put(FrameKind::new_order);
    to.put(frame.request_id);
    to.put(frame.firm);
    to.put(frame.instrument);
    to.put(frame.side);
    to.put(frame.ord_type);
    to.put(frame.tif);
    to.put(frame.price_ticks);
    to.put(frame.qty);
    to.put(frame.stop_price_ticks);
    put_text(to, frame.cl_ord_id);
    return frame.cl_ord_id.size() <= kMaxTextLength;
  }
  bool operator()(const CancelFrame& frame) const {
    to.put(FrameKind::cancel);
    to.put(frame.request_id);
    to.put(frame.firm);
    to.put(frame.order_id);
    return true;
  }
  bool operator()(const ReduceFrame& frame) const {
    to.put(FrameKind::reduce);
    to.put(frame.request_id);
    to.put(frame.firm);
    to.put(frame.order_id);
    to.put(frame.new_leaves_qty);
    return true;
  }
  bool operator()(const DepthRequestFrame& frame) const {
    to.put(FrameKind::depth_request);
    to.put(frame.request_id);
    to.put(frame.instrument);
    to.put(frame.levels);
    return true;
  }
  bool operator()(const ReplyFrame& frame) const {
    write_reply(out, frame.request_id, frame.reply);
    return true;
  }
  bool operator()(const DepthFrame& frame) const {
    write_depth(to, frame.request_id, frame.depth);
    return true;
  }
  bool operator()(const LogonFrame& frame) const {
    to.put(FrameKind::logon);
    to.put(frame.request_id);
    put_text(to, frame.token);
    return frame.token.size() <= kMaxTextLength;
  }
  bool operator()(const AmendFrame& frame) const {
    to.put(FrameKind::amend);
    to.put(frame.request_id);
    to.put(frame.firm);
    to.put(frame.order_id);
    to.put(frame.price_ticks);
    to.put(frame.qty);
    to.put(frame.stop_price_ticks);
    to.put(frame.instrument);
    return true;
  }
  bool operator()(const ControlFrame& frame) const {
    to.put(FrameKind::control);
    to.put(frame.request_id);
    to.put(frame.kind);
    to.put(frame.firm);
    to.put(frame.instrument);
    to.put(frame.price_ticks);
    to.put(frame.qty);
    to.put(frame.stop_price_ticks);
    to.put(frame.order_id);
    to.put(frame.stp);
    to.put(frame.state);
    return true;
  }
};

// Runs `write` between an empty header and its completion; takes everything back when the frame cannot be sent.
template <typename Write>
bool framed(std::vector<std::uint8_t>& out, Write&& write) {
  const std::size_t start = out.size();
  out.resize(start + kFrameHeader);
  ByteWriter to(out);
  const bool fits = write(to);
  const std::size_t length = out.size() - start - sizeof(std::uint32_t);
  if (!fits || length > kFrameMax) {
    out.resize(start);
    return false;
  }
  const std::span<const std::uint8_t> payload(out.data() + start + kFrameHeader, out.size() - start - kFrameHeader);
  store_le(out.data() + start, static_cast<std::uint32_t>(length));
  store_le(out.data() + start + sizeof(std::uint32_t), crc32c(payload));
  return true;
}

std::optional<Frame> read_payload(ByteReader& from) {
  switch (static_cast<FrameKind>(from.get<std::uint8_t>())) {
    case FrameKind::hello: {
      HelloFrame frame;
      frame.epoch = from.get<std::uint64_t>();
      frame.name = get_text(from);
      const std::size_t key_size = from.get<std::uint16_t>();
      if (key_size > kMaxLinkKeyLength) {
        return std::nullopt;
      }
      frame.key = from.get_bytes(key_size);
      return frame;
    }
    case FrameKind::welcome: {
      WelcomeFrame frame;
      frame.epoch = from.get<std::uint64_t>();
      frame.last_seq_num = from.get<SeqNum>();
      frame.instruments_digest = from.get<std::uint64_t>();
      return frame;
    }
    case FrameKind::new_order:
      return read_new_order(from);
    case FrameKind::cancel: {
      CancelFrame frame;
      frame.request_id = from.get<std::uint64_t>();
      frame.firm = from.get<FirmId>();
      frame.order_id = from.get<OrderId>();
      return frame;
    }
    case FrameKind::reduce: {
      ReduceFrame frame;
      frame.request_id = from.get<std::uint64_t>();
      frame.firm = from.get<FirmId>();
      frame.order_id = from.get<OrderId>();
      frame.new_leaves_qty = from.get<Qty>();
      return frame;
    }
    case FrameKind::depth_request: {
      DepthRequestFrame frame;
      frame.request_id = from.get<std::uint64_t>();
      frame.instrument = from.get<InstrumentId>();
      frame.levels = from.get<std::uint32_t>();
      return frame;
    }
    case FrameKind::reply:
      return read_reply(from);
    case FrameKind::depth:
      return read_depth(from);
    case FrameKind::logon: {
      LogonFrame frame;
      frame.request_id = from.get<std::uint64_t>();
      frame.token = get_text(from);
      return frame;
    }
    case FrameKind::amend:
      return read_amend(from);
    case FrameKind::control:
      return read_control(from);
  }
  return std::nullopt;
}

}  // namespace

bool encode(const Frame& frame, std::vector<std::uint8_t>& out) {
  return framed(out, [&](ByteWriter& to) { return std::visit(Writer{to, out}, frame); });
}

bool encode_reply(std::uint64_t request_id, const Reply& reply, std::vector<std::uint8_t>& out) {
  return framed(out, [&](ByteWriter&) {
    write_reply(out, request_id, reply);
    return true;
  });
}

bool encode_depth(std::uint64_t request_id, const Depth& depth, std::vector<std::uint8_t>& out) {
  return framed(out, [&](ByteWriter& to) {
    write_depth(to, request_id, depth);
    return true;
  });
}

void FrameDecoder::feed(std::span<const std::uint8_t> data) {
  if (bad()) {
    return;
  }
  if (at_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
  }
  buffer_.insert(buffer_.end(), data.begin(), data.end());
}

std::optional<Frame> FrameDecoder::next() {
  if (bad() || buffered() < sizeof(std::uint32_t)) {
    return std::nullopt;
  }
  const std::uint8_t* start = buffer_.data() + at_;
  const std::size_t length = load_le<std::uint32_t>(start);
  if (length > kFrameMax) {
    return fail("a frame longer than the limit");
  }
  if (length <= kCrcSize) {
    return fail("a frame without payload");
  }
  if (buffered() < sizeof(std::uint32_t) + length) {
    return std::nullopt;
  }
  const std::span<const std::uint8_t> payload(start + kFrameHeader, length - kCrcSize);
  if (crc32c(payload) != load_le<std::uint32_t>(start + sizeof(std::uint32_t))) {
    return fail("a frame with a wrong CRC");
  }
  ByteReader from(payload);
  std::optional<Frame> frame = read_payload(from);
  if (!frame || !from.finished()) {
    return fail("a frame of unknown kind, or with fields that do not fit its kind");
  }
  at_ += sizeof(std::uint32_t) + length;
  return frame;
}

std::optional<Frame> FrameDecoder::fail(std::string_view why) {
  error_ = why;
  buffer_ = {};
  at_ = 0;
  return std::nullopt;
}

}  // namespace exchange
