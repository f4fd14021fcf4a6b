#include "core_link.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

namespace exchange {

namespace {

using std::chrono::seconds;

// Stands for "all partitions were asked"; no link ever has it.
constexpr LinkId kSpreadLink = std::numeric_limits<LinkId>::max();
constexpr seconds kRefusing{2};  // how long a core whose log failed goes on refusing
constexpr seconds kDraining{10};
constexpr int kDrainWaitMs = 50;

// Takes the same time wherever the two differ, so that the key cannot be found byte by byte. Its length is no secret.
bool same_key(std::string_view wanted, std::string_view given) noexcept {
  unsigned differing = wanted.size() == given.size() ? 0U : 1U;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const char other = given.empty() ? '\0' : given[i % given.size()];
    differing |= static_cast<unsigned>(static_cast<unsigned char>(wanted[i]) ^ static_cast<unsigned char>(other));
  }
  return differing == 0U;
}

// What one partition answered is added to what others did. Every partition knows every instrument's state, so a session
// counts the same instruments in each; everything else is counted where it lies.
void add(Reply& merged, const Reply& part, CommandKind kind) {
  merged.seq_num = std::max(merged.seq_num, part.seq_num);
  if (merged.status == OrdStatus::rejected) {
    return;
  }
  if (part.status == OrdStatus::rejected) {
    const SeqNum seq_num = merged.seq_num;
    merged = part;
    merged.seq_num = seq_num;
    return;
  }
  merged.order_qty = kind == CommandKind::session ? std::max(merged.order_qty, part.order_qty) : merged.order_qty + part.order_qty;
  merged.value = merged.order_qty;
}

std::optional<Reply> reply_in(std::span<const std::uint8_t> frame) {
  FrameDecoder decoder;
  decoder.feed(frame);
  auto found = decoder.next();
  auto* reply = found ? std::get_if<ReplyFrame>(&*found) : nullptr;
  return reply != nullptr ? std::optional(std::move(reply->reply)) : std::nullopt;
}

}  // namespace

// Any exception here means that memory ran out: the only safe thing is to stop.
void CoreLink::run() noexcept {
  try {
    while (goes_on()) {
      round();
    }
    drain();
  } catch (...) {  // what was not sent stays unsaid: its link is closed below
  }
  for (const auto& partition : partitions_) {
    partition->give_up();
  }
  server_.close_all();
  links_ = 0;
  running_ = false;
}

void CoreLink::stop() noexcept {
  stopping_ = true;
  server_.bell().ring();
}

// A log that failed is given a moment in which members hear that they are refused.
bool CoreLink::goes_on() {
  bool failed = false;
  for (const auto& partition : partitions_) {
    if (partition->ended() || partition->log().lost() == Journal::Lost::unknown) {
      return false;
    }
    failed = failed || !partition->log().healthy();
  }
  if (failed && !failed_at_) {
    failed_at_ = Clock::now();
  }
  return !stopping_ && !(failed_at_ && Clock::now() - *failed_at_ >= kRefusing);
}

void CoreLink::round() {
  inbound_.clear();
  server_.bell().arm();
  const bool idle = !stopping_ && std::none_of(partitions_.begin(), partitions_.end(),
                                               [](const auto& one) { return one->has_releasable() || one->ended(); });
  server_.poll(inbound_, idle);
  server_.bell().disarm();
  for (const Inbound& one : inbound_) {
    if (server_.is_open(one.link)) {  // else closed for garbage or refused: nothing that came with it counts
      route(one);
    }
  }
  for (const auto& partition : partitions_) {
    partition->submit();
  }
  (void)release_all();
  server_.flush();
  links_ = server_.links();
}

// What was read is answered, as far as the logs come along in time.
void CoreLink::drain() {
  const auto until = Clock::now() + kDraining;
  for (const auto& partition : partitions_) {
    partition->close_inputs();
  }
  while (!all_ended() && Clock::now() < until) {
    server_.bell().arm();
    if (!release_all() && !all_ended()) {
      server_.bell().wait(kDrainWaitMs);
    }
    server_.bell().disarm();
    server_.flush();
  }
  for (const auto& partition : partitions_) {
    if (partition->ended()) {
      partition->log().close();
    }
  }
  (void)release_all();
  server_.flush();
}

bool CoreLink::all_ended() const noexcept {
  return std::all_of(partitions_.begin(), partitions_.end(), [](const auto& one) { return one->ended(); });
}

void CoreLink::route(const Inbound& inbound) {
  const auto sorted = sort_frame(inbound);
  if (const auto* said = std::get_if<HelloFrame>(&inbound.frame)) {
    hello(inbound.link, *said);
  } else if (!server_.is_greeted(inbound.link) || !sorted) {
    server_.close(inbound.link);
  } else if (!sorted->well_formed) {
    refuse(sorted->input, RejectReason::bad_command);
  } else {
    hand_over(sorted->input);
  }
}

// A gateway that has met a newer epoch proves that this core was replaced.
void CoreLink::hello(LinkId link, const HelloFrame& frame) {
  if (!rules_.link_key.empty() && !same_key(rules_.link_key, frame.key)) {
    server_.close(link);
    return;
  }
  SeqNum last_seq_num = 0;
  for (const auto& partition : partitions_) {
    last_seq_num += partition->log().confirmed_seq_num();
  }
  std::vector<std::uint8_t>* out = server_.output(link);
  const bool welcome = out != nullptr && frame.epoch <= rules_.epoch && !server_.is_greeted(link);
  if (!welcome || !encode(WelcomeFrame{rules_.epoch, last_seq_num, rules_.instruments_digest}, *out)) {
    server_.close(link);
    return;
  }
  server_.greeted(link);
}

void CoreLink::hand_over(const Input& input) {
  const auto place = partition_of(input.command, static_cast<std::uint32_t>(partitions_.size()));
  if (!place) {
    spread(input);
    return;
  }
  Partition& partition = *partitions_[*place];
  if (partition.input_room() == 0) {
    refuse(input, RejectReason::log_unavailable, Partition::kInputSlots, Partition::kInputSlots);
    return;
  }
  partition.stage_input() = input;
}

// To all or to none: a firm must not be stopped in one half of the market.
void CoreLink::spread(const Input& input) {
  if (std::any_of(partitions_.begin(), partitions_.end(), [](const auto& one) { return one->input_room() == 0; })) {
    refuse(input, RejectReason::log_unavailable, Partition::kInputSlots, Partition::kInputSlots);
    return;
  }
  const std::uint64_t token = next_token_++;
  spreads_[token] = {input.link, input.request_id, input.command.kind, partitions_.size(), false, std::nullopt};
  for (const auto& partition : partitions_) {
    partition->stage_input() = Input{kSpreadLink, token, false, input.command};
  }
}

void CoreLink::refuse(const Input& input, RejectReason reason, std::int64_t value, std::int64_t limit) {
  Reply reply;
  reply.reason = reason;
  reply.order_id = input.command.kind == CommandKind::limits ? 0 : input.command.order_id;  // there it is no order's id
  reply.value = value;
  reply.limit = limit;
  rejects_.fetch_add(1, std::memory_order_relaxed);
  std::vector<std::uint8_t>* out = server_.output(input.link);
  if (out != nullptr && !encode_reply(input.request_id, reply, *out)) {
    server_.close(input.link);
  }
}

bool CoreLink::release_all() {
  bool any = false;
  for (const auto& partition : partitions_) {
    if (partition->has_releasable()) {
      partition->release(*this);
      any = true;
    }
  }
  return any;
}

void CoreLink::piece(const To& to, std::span<const std::uint8_t> bytes, bool last) {
  if (to.link != kSpreadLink) {
    if (std::vector<std::uint8_t>* out = server_.output(to.link)) {
      out->insert(out->end(), bytes.begin(), bytes.end());
    }
    return;
  }
  spread_bytes_.insert(spread_bytes_.end(), bytes.begin(), bytes.end());
  if (last) {
    merge(to.request_id, reply_in(spread_bytes_));
    spread_bytes_.clear();
  }
}

// Nothing is said of what may or may not be in the log; a depth that tells of lost orders is not told either. Both
// links are closed soon, because the core comes to its end.
void CoreLink::lost(const To& to, bool refused) {
  Reply reply;
  reply.reason = RejectReason::log_unavailable;
  if (to.link == kSpreadLink) {
    merge(to.request_id, refused ? std::optional(reply) : std::nullopt);
  } else if (refused && !to.tells_depth) {
    rejects_.fetch_add(1, std::memory_order_relaxed);
    std::vector<std::uint8_t>* out = server_.output(to.link);
    if (out != nullptr && !encode_reply(to.request_id, reply, *out)) {
      server_.close(to.link);
    }
  }
}

void CoreLink::merge(std::uint64_t token, std::optional<Reply> part) {
  const auto found = spreads_.find(token);
  if (found == spreads_.end()) {
    return;
  }
  Spread& spread = found->second;
  if (!part) {
    spread.untold = true;
  } else if (spread.merged) {
    add(*spread.merged, *part, spread.kind);
  } else {
    spread.merged = std::move(part);
  }
  if (--spread.missing > 0) {
    return;
  }
  std::vector<std::uint8_t>* out = spread.untold ? nullptr : server_.output(spread.link);
  if (out != nullptr && !encode_reply(spread.request_id, *spread.merged, *out)) {
    server_.close(spread.link);
  }
  spreads_.erase(found);
}

}  // namespace exchange
