#include "core_inputs.hpp"

#include <algorithm>

#include "exchange/codec.hpp"

namespace exchange {

namespace {

Sorted of_order(LinkId link, const NewOrderFrame& frame) noexcept {
  Sorted sorted{{link, frame.request_id, false, {}}, true};
  const auto cl_ord_id = ClOrdId::parse(frame.cl_ord_id);
  Command& command = sorted.input.command;
  command.kind = CommandKind::new_order;
  command.side = static_cast<Side>(frame.side);
  command.ord_type = static_cast<OrdType>(frame.ord_type);
  command.tif = static_cast<TimeInForce>(frame.tif);
  command.firm = frame.firm;
  command.instrument = frame.instrument;
  command.price_ticks = frame.price_ticks;
  command.qty = frame.qty;
  command.stop_price_ticks = frame.stop_price_ticks;
  command.cl_ord_id = cl_ord_id.value_or(ClOrdId{});
  sorted.well_formed = cl_ord_id && well_formed(command);
  return sorted;
}

Sorted of_change(LinkId link, std::uint64_t request_id, CommandKind kind, FirmId firm, OrderId order_id) noexcept {
  Sorted sorted{{link, request_id, false, {}}, true};
  sorted.input.command.kind = kind;
  sorted.input.command.firm = firm;
  sorted.input.command.order_id = order_id;
  sorted.well_formed = well_formed(sorted.input.command);
  return sorted;
}

Sorted of_amend(LinkId link, const AmendFrame& frame) noexcept {
  Sorted sorted = of_change(link, frame.request_id, CommandKind::amend, frame.firm, frame.order_id);
  sorted.input.command.price_ticks = frame.price_ticks;
  sorted.input.command.qty = frame.qty;
  sorted.input.command.stop_price_ticks = frame.stop_price_ticks;
  sorted.input.command.instrument = frame.instrument;
  return sorted;
}

bool is_control(CommandKind kind) noexcept {
  switch (kind) {
    case CommandKind::session:
    case CommandKind::kill:
    case CommandKind::limits:
    case CommandKind::mass_cancel:
    case CommandKind::corporate_action:
    case CommandKind::end_of_day:
    case CommandKind::reference:
      return true;
    default:
      return false;
  }
}

Sorted of_control(LinkId link, const ControlFrame& frame) noexcept {
  Sorted sorted{{link, frame.request_id, false, {}}, true};
  Command& command = sorted.input.command;
  command.kind = static_cast<CommandKind>(frame.kind);
  command.stp = static_cast<StpMode>(frame.stp);
  command.state = static_cast<SessionState>(frame.state);
  command.firm = frame.firm;
  command.instrument = frame.instrument;
  command.price_ticks = frame.price_ticks;
  command.qty = frame.qty;
  command.stop_price_ticks = frame.stop_price_ticks;
  command.order_id = frame.order_id;
  sorted.well_formed = is_control(command.kind) && well_formed(command);
  return sorted;
}

Sorted of_depth(LinkId link, const DepthRequestFrame& frame) noexcept {
  Sorted sorted{{link, frame.request_id, true, {}}, true};
  sorted.input.command.instrument = frame.instrument;
  sorted.input.command.qty = static_cast<Qty>(std::min<std::size_t>(frame.levels, kMaxDepthLevels));
  return sorted;
}

}  // namespace

std::optional<Sorted> sort_frame(const Inbound& inbound) noexcept {
  if (const auto* order = std::get_if<NewOrderFrame>(&inbound.frame)) {
    return of_order(inbound.link, *order);
  }
  if (const auto* cancel = std::get_if<CancelFrame>(&inbound.frame)) {
    return of_change(inbound.link, cancel->request_id, CommandKind::cancel, cancel->firm, cancel->order_id);
  }
  if (const auto* reduce = std::get_if<ReduceFrame>(&inbound.frame)) {
    Sorted sorted = of_change(inbound.link, reduce->request_id, CommandKind::reduce, reduce->firm, reduce->order_id);
    sorted.input.command.qty = reduce->new_leaves_qty;
    return sorted;
  }
  if (const auto* amend = std::get_if<AmendFrame>(&inbound.frame)) {
    return of_amend(inbound.link, *amend);
  }
  if (const auto* control = std::get_if<ControlFrame>(&inbound.frame)) {
    return of_control(inbound.link, *control);
  }
  if (const auto* request = std::get_if<DepthRequestFrame>(&inbound.frame)) {
    return of_depth(inbound.link, *request);
  }
  return std::nullopt;
}

std::optional<std::uint32_t> partition_of(const Command& command, std::uint32_t partitions) noexcept {
  const auto of_instrument = [&] { return command.instrument % partitions; };
  switch (command.kind) {
    case CommandKind::cancel:
    case CommandKind::reduce:
    case CommandKind::amend:
      return static_cast<std::uint32_t>((command.order_id - 1) % partitions);
    case CommandKind::mass_cancel:
      return partitions > 1 && command.instrument == kAllInstruments ? std::nullopt : std::optional(of_instrument());
    case CommandKind::session:
    case CommandKind::kill:
    case CommandKind::limits:
    case CommandKind::end_of_day:
      return partitions == 1 ? std::optional(0U) : std::nullopt;
    default:
      return of_instrument();
  }
}

}  // namespace exchange
