#include <algorithm>
#include <utility>
#include <vector>

#include "exchange/report.hpp"

namespace exchange {

namespace {

bool is_order_command(CommandKind kind) noexcept { return static_cast<std::uint8_t>(kind) <= static_cast<std::uint8_t>(CommandKind::amend); }

bool is_refusal(const Report& report) noexcept {
  return report.exec_type == ExecType::rejected || report.exec_type == ExecType::cancel_rejected;
}

// The first report that is about the command itself. Before it stand those of timers that were due, which may be about
// the very same order: they cancel and trade, but never enter, replace or refuse.
bool begins(const Command& command, const Report& report) noexcept {
  if (is_refusal(report)) {
    return true;
  }
  switch (command.kind) {
    case CommandKind::new_order:
      return report.exec_type == ExecType::fresh;
    case CommandKind::cancel:
      return report.exec_type == ExecType::cancelled && report.order_id == command.order_id;
    case CommandKind::reduce:
    case CommandKind::amend:
      return report.exec_type == ExecType::replaced && report.order_id == command.order_id;
    default:
      return report.exec_type == ExecType::control;
  }
}

void take_order(const Report& report, Reply& reply) {
  reply.order_id = report.order_id;
  reply.status = is_refusal(report) ? OrdStatus::rejected : report.ord_status;
  reply.reason = report.reason;
  reply.order_qty = report.order_qty;
  reply.cum_qty = report.cum_qty;
  reply.leaves_qty = report.leaves_qty;
  reply.value = report.value;
  reply.limit = report.limit;
  if (report.exec_type == ExecType::trade && reply.fills.size() < kMaxFillsPerCommand) {
    reply.fills.push_back({report.trade_id, report.last_px_ticks, report.last_qty, report.contra_order_id});
  }
}

// No order's: `order_qty` says how many orders, instruments or positions it moved.
void take_control(const Report& report, Reply& reply) {
  reply.status = is_refusal(report) ? OrdStatus::rejected : OrdStatus::fresh;
  reply.reason = report.reason;
  reply.order_qty = is_refusal(report) ? 0 : report.value;
  reply.value = report.value;
  reply.limit = report.limit;
}

}  // namespace

void make_reply(const Command& command, SeqNum seq_num, std::span<const Report> reports, Reply& reply) {
  reply.fills.clear();
  std::vector<Fill> fills = std::move(reply.fills);  // keeps its room
  reply = Reply{};
  reply.fills = std::move(fills);
  reply.seq_num = seq_num;
  const auto first = std::find_if(reports.begin(), reports.end(), [&command](const Report& one) { return begins(command, one); });
  if (first == reports.end()) {
    reply.reason = RejectReason::bad_command;
    return;
  }
  reply.seq_num = std::min(seq_num, first->seq_num);  // what is not well formed has none
  if (!is_order_command(command.kind)) {
    // A kill's own reports come before its CONTROL.
    take_control(*first, reply);
    return;
  }
  if (is_refusal(*first)) {
    take_order(*first, reply);
    return;
  }
  for (auto at = first; at != reports.end(); ++at) {
    if (at->order_id == first->order_id) {
      take_order(*at, reply);
    }
  }
}

}  // namespace exchange
