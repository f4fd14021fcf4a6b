"""The answer to the sender of a command, made from the reports that it caused."""

from __future__ import annotations

from collections.abc import Sequence

from engine.types import MAX_FILLS_PER_COMMAND, Command, CommandKind, ExecType, Fill, OrdStatus, RejectReason, Reply, Report

ORDER_COMMANDS = (CommandKind.NEW_ORDER, CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.AMEND)


def make_reply(command: Command, reports: Sequence[Report]) -> Reply:
    """Where the command's own order stands after it, and its fills. What timers did before the command is no part of it, even when
    they met the same order; what the command's order did as a resting one afterwards (a stop that it set off met it) is."""
    last = reports[-1]
    if last.reason == RejectReason.BAD_COMMAND or command.kind not in ORDER_COMMANDS:
        counted = last.value if last.exec_type == ExecType.CONTROL else 0
        return Reply(0, last.seq_num, 0, *_state(last), counted, 0, 0, (), last.value, last.limit)
    start = _start(command, reports)
    order_id = reports[start].order_id
    own = [report for report in reports[start:] if report.order_id == order_id]
    last = own[-1]
    fills = tuple(
        Fill(report.trade_id, report.last_px_ticks, report.last_qty, report.contra_order_id)
        for report in own
        if report.exec_type == ExecType.TRADE
    )[:MAX_FILLS_PER_COMMAND]
    return Reply(0, last.seq_num, order_id, *_state(last), last.order_qty, last.cum_qty, last.leaves_qty, fills, last.value, last.limit)


def _state(report: Report) -> tuple[OrdStatus, RejectReason]:
    return OrdStatus(report.ord_status), RejectReason(report.reason)


def _start(command: Command, reports: Sequence[Report]) -> int:
    """The index of the first report that answers the command itself: no timer makes a NEW or a REPLACED; a refusal and the CANCELLED of
    a cancel come last."""
    answers = (ExecType.NEW, ExecType.REPLACED)
    found = (index for index, report in enumerate(reports) if report.exec_type in answers)
    return len(reports) - 1 if command.kind == CommandKind.CANCEL else next(found, len(reports) - 1)
