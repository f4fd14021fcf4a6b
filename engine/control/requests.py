"""Operators' words -> commands of the engine. Pure; every error names the option and says what was expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from engine.config import PLAIN_DECIMAL, VenueError, in_ticks
from engine.types import ALL_INSTRUMENTS, MAX_FIRM_ID, MAX_PRICE_TICKS, Command, CommandKind, FirmLimits, Instrument, SessionState, StpMode

STATES = {state.name.lower(): state for state in SessionState}
RATIO = re.compile(r"(\d{1,4}):(\d{1,4})")
MAX_RATIO = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """One command, what it says to a person, and what the core's count in the answer counts: many of them first, then a verb where there
    is one ("" for what has no count).

    `may_repeat`: sent twice it does no more than once, so that a lost answer is no reason to look first.
    """

    command: Command
    words: str
    counted: str
    may_repeat: bool = True


def session(state: str, instrument: Instrument | None) -> Request:
    """`instrument` None: every instrument. Raises VenueError for a state with no such name."""
    if state not in STATES:
        raise VenueError(f"STATE: expected one of {', '.join(STATES)}, not {state!r}")
    command = Command(CommandKind.SESSION, state=STATES[state], instrument=_index(instrument))
    return Request(command, f"session {state} {_symbol(instrument)}", "instruments changed")


def kill(firm: int, *, off: bool = False) -> Request:
    command = Command(CommandKind.KILL, firm=checked_firm(firm), qty=0 if off else 1)
    return Request(command, f"kill firm {firm}{' off' if off else ''}", "orders cancelled")


def cancel_all(firm: int, instrument: Instrument | None) -> Request:
    command = Command(CommandKind.MASS_CANCEL, firm=checked_firm(firm), instrument=_index(instrument))
    return Request(command, f"cancel-all firm {firm} {_symbol(instrument)}", "orders cancelled")


def limits(firm: int, wanted: FirmLimits) -> Request:
    command = Command(
        CommandKind.LIMITS, firm=checked_firm(firm), qty=wanted.max_order_qty, price_ticks=wanted.position_limit,
        stop_price_ticks=wanted.rate_per_s, order_id=wanted.burst, stp=wanted.stp,
    )  # fmt: skip
    numbers = {
        "max_order_quantity": wanted.max_order_qty, "position_limit": wanted.position_limit, "order_rate": wanted.rate_per_s,
        "burst": wanted.burst,
    }  # fmt: skip
    named = [f"{name} {number or 'none'}" for name, number in numbers.items()]
    words = ", ".join([*named, f"self_trade_prevention {StpMode(wanted.stp).name.lower()}"])
    return Request(command, f"limits firm {firm}: {words}", "")


def reference(instrument: Instrument, price: str) -> Request:
    ticks = _amount(price, instrument, "PRICE", 1)
    command = Command(CommandKind.REFERENCE, instrument=instrument.instrument_id, price_ticks=ticks)
    return Request(command, f"reference {instrument.symbol} {price}", "")


def split(instrument: Instrument, ratio: str, dividend: str | None) -> Request:
    """`ratio` NEW:OLD shares, `dividend` money a new share. Only while the instrument is closed."""
    match = RATIO.fullmatch(ratio)
    new, old = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= new <= MAX_RATIO and 1 <= old <= MAX_RATIO):
        raise VenueError(
            f"RATIO: expected NEW:OLD shares, each 1 to {MAX_RATIO}, not {ratio!r}", hint="for example 2:1, or 1:1 --dividend 0.24"
        )
    if new == old and dividend is None:
        raise VenueError(f"RATIO: {ratio} without a dividend changes nothing", hint="give --dividend, or another ratio")
    ticks = _amount(dividend, instrument, "--dividend", 0) if dividend is not None else 0
    command = Command(CommandKind.CORPORATE_ACTION, instrument=instrument.instrument_id, qty=new, price_ticks=old, stop_price_ticks=ticks)
    paid = f" dividend {dividend}" if dividend is not None else ""
    return Request(command, f"split {instrument.symbol} {ratio}{paid}", "orders changed", may_repeat=False)


def end_of_day(day: str) -> Request:
    """`day` is the trade date that the settlements carry. Only while every instrument is closed."""
    try:
        trade_date = date.fromisoformat(day)
    except ValueError as error:
        raise VenueError(f"--date: expected a date such as 2026-11-20, not {day!r}") from error
    number = trade_date.year * 10_000 + trade_date.month * 100 + trade_date.day
    return Request(Command(CommandKind.END_OF_DAY, qty=number), f"end-of-day {trade_date.isoformat()}", "settlements", may_repeat=False)


def checked_firm(firm: int) -> int:
    if not 0 <= firm <= MAX_FIRM_ID:
        raise VenueError(f"firm: expected a number from 0 to {MAX_FIRM_ID}, not {firm}")
    return firm


def instrument_named(symbol: str, known: Mapping[str, Instrument], source: str) -> Instrument:
    """Raises VenueError naming the symbol and the file."""
    found = known.get(symbol)
    if found is None:
        raise VenueError(f"{symbol} is not in {source}", hint=f"known: {', '.join(sorted(known)[:20])}")
    return found


def _index(instrument: Instrument | None) -> int:
    return ALL_INSTRUMENTS if instrument is None else instrument.instrument_id


def _symbol(instrument: Instrument | None) -> str:
    return "all instruments" if instrument is None else instrument.symbol


def _amount(text: str, instrument: Instrument, what: str, low: int) -> int:
    """Money as ticks of the instrument, exact."""
    ticks = in_ticks(Decimal(text), instrument.tick_size) if PLAIN_DECIMAL.fullmatch(text) else None
    if ticks is None or not low <= ticks <= MAX_PRICE_TICKS:
        wanted = (
            f"a multiple of the tick {instrument.tick_size:f}, {instrument.tick_size * low:f} to {instrument.tick_size * MAX_PRICE_TICKS:f}"
        )
        raise VenueError(f"{what}: expected {wanted}, not {text!r}")
    return ticks
