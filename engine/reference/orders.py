"""Commands about one order: new, cancel, reduce, amend (E2, E4)."""

from __future__ import annotations

from dataclasses import replace

from engine.reference.matching import act, wait_for_trigger
from engine.reference.model import MAX_INT64, Cell, Order, Refusal, State
from engine.reference.risk import (
    PRICED,
    STOPS,
    price_is_sane,
    refuse_fat_finger,
    refuse_new,
    refuse_notional,
    refuse_position,
    refuse_rate,
    refuse_size,
)
from engine.types import ALL_INSTRUMENTS, MAX_PRICE_TICKS, Command, ExecType, OrdStatus, OrdType, RejectReason, SessionState

INT32 = range(-(1 << 31), 1 << 31)


def new_order(state: State, command: Command) -> None:
    """Accepts or refuses. A price that the order's type does not have is taken as 0."""
    command = replace(
        command,
        price_ticks=command.price_ticks if command.ord_type in PRICED else 0,
        stop_price_ticks=command.stop_price_ticks if command.ord_type in STOPS else 0,
    )
    refusal = refuse_new(state, command)
    if refusal:
        _reject_new(state, command, refusal)
        return
    order = _accept(state, command)
    if order.ord_type in STOPS:
        wait_for_trigger(state, order)
    else:
        act(state, order)


def _reject_new(state: State, command: Command, refusal: Refusal) -> None:
    state.report(
        ExecType.REJECTED,
        order_id=refusal.order_id,
        firm=command.firm,
        instrument=command.instrument,
        ord_status=OrdStatus.REJECTED,
        reason=refusal.reason,
        side=command.side,
        ord_type=command.ord_type,
        tif=command.tif,
        price_ticks=_as_int32(command.price_ticks),
        stop_price_ticks=_as_int32(command.stop_price_ticks),
        order_qty=command.qty,
        value=refusal.value,
        limit=refusal.limit,
    )


def _as_int32(price: int) -> int:
    """A report's prices have 32 bits; a senseless one that does not fit shows as 0 (`value` has it)."""
    return price if price in INT32 else 0


def _accept(state: State, command: Command) -> Order:
    state.accepted_count += 1
    order = Order(
        state.next_id(state.accepted_count),
        command.firm,
        command.instrument,
        command.side,
        command.ord_type,
        command.tif,
        command.price_ticks,
        command.stop_price_ticks,
        command.qty,
        command.qty,
        command.cl_ord_id,
    )
    state.owners[order.order_id] = order.firm
    if order.cl_ord_id:
        state.order_ids[order.firm, order.cl_ord_id] = order.order_id
    digest_accepted(state, order)
    state.cells.setdefault((order.firm, order.instrument), Cell())
    state.order_report(order, ExecType.NEW)
    return order


def digest_accepted(state: State, order: Order) -> None:
    """What the engine must remember of an order to answer later commands about it."""
    state.accepted_digest.word(order.order_id, order.firm)
    if order.cl_ord_id:
        state.accepted_digest.text(order.cl_ord_id)


def cancel(state: State, command: Command) -> None:
    """In any state of the instrument."""
    found = _find(state, command)
    if isinstance(found, Refusal):
        _reject_change(state, command, found)
    else:
        state.end(found, ExecType.CANCELLED)


def reduce(state: State, command: Command) -> None:
    """Lowers the leaves to `qty`; the order keeps its priority."""
    found = _find(state, command)
    refusal = found if isinstance(found, Refusal) else _refuse_reduce(state, found, command.qty)
    if isinstance(found, Refusal) or refusal:
        _reject_change(state, command, refusal)
        return
    found.leaves_qty = command.qty
    found.order_qty = found.cum_qty + command.qty
    state.order_report(found, ExecType.REPLACED)


def amend(state: State, command: Command) -> None:
    """New price, order quantity or stop price under the old id. Only less quantity alone keeps the priority."""
    found = _find(state, command)
    refusal = found if isinstance(found, Refusal) else _refuse_amend(state, found, command)
    if isinstance(found, Refusal) or refusal:
        _reject_change(state, command, refusal)
        return
    price, stop, order_qty = _amended(found, command)
    keeps = _keeps_priority(found, command)
    if not keeps:
        state.remove(found)
    found.price_ticks, found.stop_price_ticks = price, stop
    found.order_qty, found.leaves_qty = order_qty, order_qty - found.cum_qty
    state.order_report(found, ExecType.REPLACED)
    if keeps:
        return
    if found.untriggered:
        wait_for_trigger(state, found)
    else:
        act(state, found)


def _amended(order: Order, command: Command) -> tuple[int, int, int]:
    """(price, stop price, order quantity) as they shall be."""
    return (
        command.price_ticks or order.price_ticks,
        command.stop_price_ticks or order.stop_price_ticks,
        command.qty or order.order_qty,
    )


def _keeps_priority(order: Order, command: Command) -> bool:
    price, stop, order_qty = _amended(order, command)
    return (price, stop) == (order.price_ticks, order.stop_price_ticks) and order_qty <= order.order_qty


def _find(state: State, command: Command) -> Order | Refusal:
    order_id, config = command.order_id, state.config
    position, partition = divmod(order_id - 1, config.partitions)
    if order_id < 1 or partition != config.partition or position >= state.accepted_count:
        return Refusal(RejectReason.UNKNOWN_ORDER, min(order_id, MAX_INT64))
    if order_id not in state.owners:
        return Refusal(RejectReason.TOO_LATE)
    if state.owners[order_id] != command.firm:
        return Refusal(RejectReason.NOT_OWNER)
    return state.live.get(order_id) or Refusal(RejectReason.TOO_LATE)


def _refuse_reduce(state: State, order: Order, new_leaves: int) -> Refusal | None:
    if state.books[order.instrument].state == SessionState.CLOSED:
        return Refusal(RejectReason.WRONG_STATE, SessionState.CLOSED)
    if not 0 < new_leaves < order.leaves_qty:
        return Refusal(RejectReason.BAD_QUANTITY, new_leaves, order.leaves_qty)
    return None


def _refuse_amend(state: State, order: Order, command: Command) -> Refusal | None:
    if command.instrument not in (ALL_INSTRUMENTS, order.instrument):  # ticks mean money by the instrument alone
        return Refusal(RejectReason.UNKNOWN_INSTRUMENT, command.instrument, order.instrument)
    book, firm = state.books[order.instrument], state.firm(order.firm)
    if book.state == SessionState.CLOSED:
        return Refusal(RejectReason.WRONG_STATE, book.state)
    if firm.killed:
        return Refusal(RejectReason.FIRM_KILLED, order.firm)
    refusal = _refuse_new_values(order, command, book.rules.max_qty)
    if refusal or _keeps_priority(order, command):
        return refusal
    price, stop, order_qty = _amended(order, command)
    dearer = order.ord_type == OrdType.STOP and stop * order_qty > order.stop_price_ticks * order.order_qty
    return (
        refuse_rate(state, firm)
        or refuse_size(firm, order_qty)
        or (refuse_fat_finger(book, order.side, price) if order.ord_type in PRICED else None)
        or (refuse_notional(book, 2 * stop, order_qty) if dearer else None)
        or refuse_position(state, firm, order.firm, order.instrument, order.side, order_qty - order.order_qty)
    )


def _refuse_new_values(order: Order, command: Command, max_qty: int) -> Refusal | None:
    price, stop, qty = command.price_ticks, command.stop_price_ticks, command.qty
    if price and order.ord_type == OrdType.STOP:
        return Refusal(RejectReason.BAD_PRICE, price)
    if price and not price_is_sane(price):
        return Refusal(RejectReason.BAD_PRICE, price, MAX_PRICE_TICKS)
    if stop and not order.untriggered:
        return Refusal(RejectReason.BAD_STOP_PRICE, stop)
    if stop and not price_is_sane(stop):
        return Refusal(RejectReason.BAD_STOP_PRICE, stop, MAX_PRICE_TICKS)
    if qty and not order.cum_qty < qty <= max_qty:
        return Refusal(RejectReason.BAD_QUANTITY, qty, max_qty)
    return None


def _reject_change(state: State, command: Command, refusal: Refusal | None) -> None:
    assert refusal is not None
    state.report(
        ExecType.CANCEL_REJECTED,
        order_id=command.order_id,
        firm=command.firm,
        ord_status=OrdStatus.REJECTED,
        reason=refusal.reason,
        value=refusal.value,
        limit=refusal.limit,
    )
