"""`exchange eod`: finds a trading day in the log, applies it again and gathers what it settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from engine import _core
from engine.config import PLAIN_DECIMAL, VenueError, read_text
from engine.tools.edge import EXIT_DIFFERENT, Kept, Partition, VenueLog, Wanted, log_errors, run_to, warn
from engine.tools.settle import (
    MAX_SETTLEMENT_DAYS,
    CorporateAction,
    Day,
    Expired,
    FeeRates,
    Settlement,
    fees_of,
    settlement_date,
    settlement_of,
)
from engine.tools.text import lower, price_of
from engine.tools.when import as_yyyymmdd, from_yyyymmdd, parse_date
from engine.types import Command, CommandKind, ExecType, Instrument, SessionState

MAX_RATE = Decimal(1000)
_WANTED = Wanted(
    exec_types=frozenset({ExecType.SETTLEMENT, ExecType.EXPIRED}),
    command_kinds=frozenset({CommandKind.END_OF_DAY, CommandKind.CORPORATE_ACTION}),
)


@dataclass(frozen=True, slots=True)
class DaySettings:
    """What the log does not know: fee rates, and how many business days later shares and money change hands (T+1)."""

    rates: FeeRates = field(default_factory=FeeRates)
    settlement_days: int = 1
    holidays: frozenset[date] = frozenset()


@dataclass(slots=True)
class _Gathered:
    """Of one partition, from the day's begin to its end."""

    settlements: list[Settlement] = field(default_factory=list)
    expired: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    corporate_actions: list[CorporateAction] = field(default_factory=list)
    ended_by: list[int] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    day_before: bool = False


def settled_day(log: VenueLog, trade_date: date, settings: DaySettings) -> Day:
    """Raises VenueError when the log has no end_of_day of that date, or only refused ones."""
    parts = [_of_partition(log, partition, trade_date) for partition in log.partitions]
    settlements = sorted((one for part in parts for one in part.settlements), key=lambda one: (one.firm, one.instrument.instrument_id))
    expired = sorted((key, sums) for part in parts for key, sums in part.expired.items())
    return Day(
        trade_date=trade_date,
        settlement_date=settlement_date(trade_date, settings.settlement_days, settings.holidays),
        settlements=settlements,
        fees=fees_of(settlements, settings.rates),
        expired=[Expired(firm, log.instruments[instrument], *sums) for (firm, instrument), sums in expired],
        corporate_actions=sorted((one for part in parts for one in part.corporate_actions), key=lambda one: one.instrument.instrument_id),
        seq_nums=tuple(seq_num for part in parts for seq_num in part.ended_by),
    )


def require_sums(day: Day) -> None:
    """Raises VenueError with what does not add up: the engine would have to be wrong."""
    broken = day.broken_sums()
    if broken:
        raise VenueError(f"the day does not add up: {'; '.join(broken)}", hint="compare two builds with `exchange verify-release`",
                         exit_code=EXIT_DIFFERENT)  # fmt: skip


def _of_partition(log: VenueLog, partition: Partition, trade_date: date) -> _Gathered:
    wanted = as_yyyymmdd(trade_date)
    with log_errors(partition.folder):
        kinds = 1 << CommandKind.END_OF_DAY
        ends = [
            (seq_num, Command(*command).qty) for seq_num, command in _core.find_commands(str(partition.folder), partition.digest, kinds)
        ]
        mine = [seq_num for seq_num, day in ends if day == wanted]
        if not mine:
            known = ", ".join(dict.fromkeys(from_yyyymmdd(day) for _, day in ends[-5:])) or "none"
            raise VenueError(f"--date: {partition.folder} has no end of day {trade_date.isoformat()}", hint=f"the last ones in it: {known}")
        for start in _starts(ends, mine[0]):
            gathered = _replayed(log, partition, start, mine[-1], wanted)
            if gathered.day_before or start == 0:
                break
    if not gathered.ended_by:
        raise VenueError(f"--date: the end of day {trade_date.isoformat()} was refused: {gathered.refusals[-1]}",
                         hint="it can be sequenced again once every instrument is closed")  # fmt: skip
    return gathered


def _starts(ends: Sequence[tuple[int, int]], mine: int) -> list[int]:
    """Places from which to replay, nearest first: before the first try of each earlier day (it may have been refused), then 0."""
    first_tries = {day: seq_num for seq_num, day in reversed(ends) if seq_num < mine}
    return [*sorted((seq_num - 1 for seq_num in first_tries.values() if seq_num > 1), reverse=True), 0]


def _replayed(log: VenueLog, partition: Partition, start: int, end: int, wanted: int) -> _Gathered:
    replayer = partition.replayer()
    warn(replayer.seek(seq_num=start))
    gathered = _Gathered()
    for kept in run_to(replayer, seq_num=end, wanted=_WANTED):
        if kept[1].kind == CommandKind.END_OF_DAY and kept[0].exec_type in (ExecType.CONTROL, ExecType.REJECTED):
            gathered = _at_end_of_day(gathered, kept, log.instruments, wanted)
        else:
            _gather(gathered, kept, log.instruments, wanted)
    return gathered


def _at_end_of_day(gathered: _Gathered, kept: Kept, instruments: Sequence[Instrument], wanted: int) -> _Gathered:
    """The end of another day is where this one begins."""
    report, command = kept
    if report.exec_type == ExecType.REJECTED:
        if command.qty == wanted:
            symbol = instruments[report.limit].symbol if 0 <= report.limit < len(instruments) else str(report.limit)
            gathered.refusals.append(f"at seq_num {report.seq_num} {symbol} was {lower(SessionState, report.value)}")
        return gathered
    if command.qty == wanted:
        gathered.ended_by.append(report.seq_num)
        return gathered
    return gathered if gathered.ended_by else _Gathered(day_before=True)


def _gather(gathered: _Gathered, kept: Kept, instruments: Sequence[Instrument], wanted: int) -> None:
    report, command = kept
    if report.exec_type == ExecType.SETTLEMENT and report.trade_id == wanted:
        gathered.settlements.append(settlement_of(report, instruments))
    elif report.exec_type == ExecType.EXPIRED:
        sums = gathered.expired[(report.firm, report.instrument)]
        sums[0] += 1
        sums[1] += report.order_qty - report.cum_qty
    elif report.exec_type == ExecType.CONTROL and command.kind == CommandKind.CORPORATE_ACTION:
        instrument = instruments[command.instrument]
        dividend = price_of(command.stop_price_ticks, instrument.tick_size)
        gathered.corporate_actions.append(
            CorporateAction(report.seq_num, instrument, command.qty, command.price_ticks, dividend, report.value)
        )


def parse_rate(text: str, option: str) -> Decimal:
    """Money a share. Raises VenueError naming the option."""
    rate = Decimal(text) if PLAIN_DECIMAL.fullmatch(text) else None  # with few decimals, so that products stay exact
    if rate is None or rate > MAX_RATE:
        wanted = f"an amount of money a share from 0 to {MAX_RATE} with at most 12 decimals"
        raise VenueError(f"{option}: expected {wanted}, not {text!r}", hint="for example 0.002")
    return rate


def load_holidays(path: Path | None) -> frozenset[date]:
    """One date a line; what follows a # is a remark. Raises VenueError naming file and line."""
    if path is None:
        return frozenset()
    days = set()
    for number, line in enumerate(read_text(path, "the holidays file").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            days.add(parse_date(text, f"{path}:{number}"))
    return frozenset(days)


def check_settlement_days(days: int) -> int:
    """Raises VenueError naming the option."""
    if not 0 <= days <= MAX_SETTLEMENT_DAYS:
        raise VenueError(f"--settlement-days: expected 0 to {MAX_SETTLEMENT_DAYS}, not {days}")
    return days
