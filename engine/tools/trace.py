"""`exchange replay --trace`: the whole life of one order, a line for each report of it, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import Decimal

from engine.config import VenueError
from engine.refusals import NOTES, Call, explain, is_refusal, note
from engine.tools.edge import NO_LIMIT, VenueLog, Wanted, log_errors, run_to
from engine.tools.text import average_text, lower, number_text, price_text, table
from engine.tools.when import moment_text
from engine.types import Command, CommandKind, ExecType, Instrument, Liquidity, OrdStatus, OrdType, RejectReason, Report, Side, TimeInForce

CALLS = {
    CommandKind.NEW_ORDER: Call.ORDER,
    CommandKind.CANCEL: Call.CANCEL,
    CommandKind.REDUCE: Call.REDUCE,
    CommandKind.AMEND: Call.AMEND,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One report of the order, with the command under which it came."""

    report: Report
    command: Command


@dataclass(frozen=True, slots=True)
class Life:
    """Everything the log has to say about an order; `steps` begins with its acceptance. `listed`: all instruments of the log."""

    order_id: int
    instrument: Instrument
    steps: Sequence[Step]
    listed: Sequence[Instrument] = ()

    def symbol(self, index: int) -> str:
        """A number that the list does not have stays a number."""
        return self.listed[index].symbol if 0 <= index < len(self.listed) else str(index)


def trace(log: VenueLog, order_id: int) -> Life:
    """Applies the whole log of the order's partition. Raises VenueError when no such order was accepted."""
    if not 1 <= order_id <= NO_LIMIT:
        raise VenueError(f"--trace: order ids begin at 1 and end at {NO_LIMIT}, not {order_id}")
    partition = log.of_order(order_id)
    replayer = partition.replayer()
    with log_errors(partition.folder):
        steps = tuple(Step(*kept) for kept in run_to(replayer, wanted=Wanted(order_id=order_id)))
        seq_num = replayer.place()[0]
    start = next((number for number, step in enumerate(steps) if step.report.exec_type == ExecType.NEW), None)
    if start is None:
        asked = f", though {len(steps)} commands named it" if steps else ""
        raise VenueError(f"--trace: no order {order_id} was accepted up to seq_num {seq_num}, the end of the log{asked}",
                         hint="the order id is in the answer to the order; client order ids are not looked for")  # fmt: skip
    return Life(order_id, log.instruments[steps[start].report.instrument], steps, log.instruments)


def life_lines(life: Life, zone: tzinfo = UTC, internal: bool = False) -> list[str]:
    """A heading, then the table; `internal` adds trade ids and the other side's order, which members never see."""
    tick = life.instrument.tick_size
    first = next(step.report for step in life.steps if step.report.exec_type == ExecType.NEW)
    lines = [f"order {life.order_id}: {_described(first, tick)}, {life.instrument.symbol}, firm {first.firm}", ""]
    header = ["time", "seq_num", "what happened", "qty", "filled", "leaves", "avg price"] + (["trade", "other order"] if internal else [])
    rows = []
    for step in life.steps:
        report = step.report
        row = [moment_text(step.command.ts_ns, zone), str(report.seq_num), in_words(step, life)]
        row += [number_text(report.order_qty), number_text(report.cum_qty), number_text(report.leaves_qty),
                average_text(report.cum_notional, report.cum_qty, tick)] if tells_quantities(report) else ["-"] * 4  # fmt: skip
        if internal:
            row += [str(report.trade_id or "-"), str(report.contra_order_id or "-")]
        rows.append(row)
    lines += table(header, rows, left=(0, 2))
    last = next((step.report for step in reversed(life.steps) if tells_quantities(step.report)), first)
    lines += ["", f"now: {lower(OrdStatus, last.ord_status)}, {number_text(last.cum_qty)} filled, {number_text(last.leaves_qty)} left"]
    return lines


def tells_quantities(report: Report) -> bool:
    """A refused call leaves the order alone, and its report says nothing of it."""
    return report.exec_type not in (ExecType.REJECTED, ExecType.CANCEL_REJECTED)


def in_words(step: Step, life: Life) -> str:
    """What one report says happened."""
    report, command, tick = step.report, step.command, life.instrument.tick_size
    words: dict[int, Callable[[], str]] = {
        ExecType.NEW: lambda: f"accepted: {_described(report, tick)}",
        ExecType.TRADE: lambda: _traded(report, tick),
        ExecType.CANCELLED: lambda: _cancelled(report, command, tick),
        ExecType.REPLACED: lambda: _replaced(report, command, tick),
        ExecType.RESTATED: lambda: _restated(report, tick),
        ExecType.EXPIRED: lambda: "expired at the close",
        ExecType.TRIGGERED: lambda: f"triggered: the market reached its stop price {price_text(report.stop_price_ticks, tick)}",
        ExecType.REJECTED: lambda: _refused(report, command, life),
        ExecType.CANCEL_REJECTED: lambda: _refused(report, command, life),
    }
    said = words.get(report.exec_type)
    return said() if said else f"exec_type {report.exec_type}"


def _described(report: Report, tick: Decimal) -> str:
    stop = f" stop {price_text(report.stop_price_ticks, tick)}" if report.stop_price_ticks else ""
    limit = f" limit {price_text(report.price_ticks, tick)}" if report.price_ticks else ""
    market = " at the market" if report.ord_type in (OrdType.MARKET, OrdType.STOP) else ""
    return f"{lower(Side, report.side)} {number_text(report.order_qty)}{stop}{limit}{market} {lower(TimeInForce, report.tif)}"


def _traded(report: Report, tick: Decimal) -> str:
    verb = "bought" if report.side == Side.BUY else "sold"
    how = {Liquidity.MAKER: "it rested", Liquidity.TAKER: "it came in", Liquidity.AUCTION: "auction"}
    part = next((text for value, text in how.items() if value == report.liquidity), "")
    return f"{verb} {number_text(report.last_qty)} at {price_text(report.last_px_ticks, tick)}" + (f" ({part})" if part else "")


def _cancelled(report: Report, command: Command, tick: Decimal) -> str:
    if report.reason == RejectReason.FIRM_KILLED:
        return "cancelled: the kill switch blocked its firm"
    if report.reason != RejectReason.NONE:
        return f"cancelled: {_note(report, tick)}"
    if command.kind == CommandKind.CANCEL:
        return "cancelled by its firm"
    if command.kind == CommandKind.MASS_CANCEL:
        return "cancelled with all orders of its firm"
    if report.tif == TimeInForce.FOK:
        return "cancelled: it could not be filled whole"
    return "rest cancelled: nothing more to trade with" if report.cum_qty else "cancelled: nothing to trade with"


def _replaced(report: Report, command: Command, tick: Decimal) -> str:
    verb = "reduced" if command.kind == CommandKind.REDUCE else "amended"
    return f"{verb} by its firm: {_described(report, tick)}"


def _restated(report: Report, tick: Decimal) -> str:
    if report.reason == RejectReason.CORPORATE_ACTION:
        return f"changed by a corporate action: {_described(report, tick)}"
    return f"made smaller: {_note(report, tick)}"


def _refused(report: Report, command: Command, life: Life) -> str:
    if report.reason == RejectReason.DUPLICATE_CL_ORD_ID:
        return f"a second order of firm {command.firm} with the same client order id was refused"
    what = {Call.ORDER: "order", Call.CANCEL: "cancel", Call.REDUCE: "reduce", Call.AMEND: "amendment"}
    call = next((call for kind, call in CALLS.items() if kind == command.kind), Call.CONTROL)
    asked = f"{what.get(call, 'call')} of firm {command.firm} refused"
    if not is_refusal(RejectReason(report.reason)):
        return asked
    instrument = life.instrument
    why = explain(
        RejectReason(report.reason), report.value, report.limit, call, lambda ticks: price_text(ticks, instrument.tick_size),
        life.symbol, instrument.fat_finger_pct,
    )  # fmt: skip
    return f"{asked}: {why}"


def _note(report: Report, tick: Decimal) -> str:
    named = next((one for one in NOTES if one == report.reason), None)
    if named is None:
        return lower(RejectReason, report.reason)
    return note(named, report.value, report.limit, lambda ticks: price_text(ticks, tick))


def life_json(life: Life, internal: bool = False) -> dict[str, object]:
    """Every report with all it says; prices as decimal strings."""
    return {
        "order_id": life.order_id,
        "instrument": life.instrument.symbol,
        "reports": [_step_json(step, life, internal) for step in life.steps],
    }


def _step_json(step: Step, life: Life, internal: bool) -> dict[str, object]:
    report, tick = step.report, life.instrument.tick_size
    made: dict[str, object] = {
        "time": moment_text(step.command.ts_ns),
        "ts_ns": step.command.ts_ns,
        "seq_num": report.seq_num,
        "exec_id": report.exec_id,
        "exec_type": lower(ExecType, report.exec_type).replace(" ", "_"),
        "ord_status": lower(OrdStatus, report.ord_status).replace(" ", "_"),
        "reason": lower(RejectReason, report.reason).replace(" ", "_"),
        "text": in_words(step, life),
        "order_qty": report.order_qty,
        "cum_qty": report.cum_qty,
        "leaves_qty": report.leaves_qty,
        "price": price_text(report.price_ticks, tick) if report.price_ticks else None,
        "last_px": price_text(report.last_px_ticks, tick) if report.last_px_ticks else None,
        "last_qty": report.last_qty,
        "avg_px": average_text(report.cum_notional, report.cum_qty, tick) if report.cum_qty else None,
    }
    if internal:
        made |= {"trade_id": report.trade_id, "contra_order_id": report.contra_order_id}
    return made
