"""Settings that come from a person: the instruments file, addresses, durations. Parsed once, here, with the field named in every error."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from engine.types import MAX_ORDER_QTY, MAX_PRICE_TICKS, Instrument, SessionState

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,15}")
MAX_INSTRUMENTS = 10_000
"""Row E1."""
TICK_MAX_DECIMALS = 8
MAX_FAT_FINGER_PCT = 10_000
MAX_NOTIONAL = MAX_PRICE_TICKS * MAX_ORDER_QTY
"""Ticks times shares: no order can be worth more."""
PERCENT = re.compile(r"(\d{1,5})(?:\.(\d{1,2}))?\s?%")
PLAIN_DECIMAL = re.compile(r"\d{1,20}(\.\d{1,12})?")
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
DURATION_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class VenueError(Exception):
    """A mistake of the user or an outage that the user must hear of: what is wrong, what to do next, and the exit code.

    Exit codes: 1 the log cannot be trusted, 2 usage, 3 a comparison failed, 6 something needed does not answer.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def default_instruments_path() -> Path:
    """The packaged instruments: five shares with a tick of 0.01."""
    return Path(__file__).with_name("instruments.yaml")


def read_text(path: Path, what: str) -> str:
    """The file's text. Raises VenueError naming the file when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise VenueError(f"{what} {path} cannot be read: {error.strerror}", hint="check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise VenueError(f"{what} {path} is not UTF-8 text", hint="save it as UTF-8") from error


def read_yaml(text: str, source: str) -> Any:
    """Plain YAML data. Raises VenueError with the line of the mistake."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark is not None else source
        raise VenueError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # The YAML library's own ways of meeting "!!bool x", "!!int ''" and the like.
        raise VenueError(f"{source}: not valid YAML: a value does not fit its tag") from error


_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring = 2, 60


def brief(value: object) -> str:
    """A value as an error text shows it: cut short, since a few lines of YAML can stand for gigabytes."""
    try:
        return _REPR.repr(value)
    except ValueError:  # an integer past the interpreter's limit of digits
        return f"a {type(value).__name__} too long to show"


def load_instruments(path: Path) -> tuple[Instrument, ...]:
    return parse_instruments(read_text(path, "the instruments file"), str(path))


def parse_instruments(text: str, source: str) -> tuple[Instrument, ...]:
    """Instruments in file order; the place in the file is the core's dense index.

    The list is fixed for the life of a log: another list, a longer one or one with other guards, needs a new log folder.

    Raises VenueError naming `source`, the index and the field.
    """
    rows = read_yaml(text, source)
    if not isinstance(rows, list) or not rows:
        raise VenueError(f"{source}: expected a list of instruments with at least one entry", hint=_EXAMPLE)
    if len(rows) > MAX_INSTRUMENTS:
        raise VenueError(f"{source}: {len(rows)} instruments, at most {MAX_INSTRUMENTS} are supported")
    instruments = tuple(_instrument(index, row, source) for index, row in enumerate(rows))
    _refuse_doubles([instrument.symbol for instrument in instruments], source)
    return instruments


_EXAMPLE = 'an entry looks like {symbol: AAPL, tick_size: "0.01", max_quantity: 1000000}'
_REQUIRED = frozenset({"symbol", "tick_size", "max_quantity"})
_GUARDS = frozenset({"reference_price", "price_band", "market_collar", "market_notional_cap", "fat_finger", "initial_state"})


def _instrument(index: int, row: object, source: str) -> Instrument:
    where = f"{source}: instrument {index}"
    if not isinstance(row, dict):
        raise VenueError(f"{where}: expected a mapping", hint=_EXAMPLE)
    unknown = sorted(name if isinstance(name, str) else brief(name) for name in row.keys() - _REQUIRED - _GUARDS)
    missing = sorted(_REQUIRED - row.keys())
    if unknown or missing:
        problem = f"unknown field {unknown[0]}" if unknown else f"{missing[0]}: missing"
        raise VenueError(f"{where}: {problem}", hint=_EXAMPLE)
    symbol, max_qty = row["symbol"], row["max_quantity"]
    if not isinstance(symbol, str) or not SYMBOL.fullmatch(symbol):
        raise VenueError(f"{where}: symbol: expected 1 to 16 of A-Z 0-9 . -, not {brief(symbol)}")
    if isinstance(max_qty, bool) or not isinstance(max_qty, int) or not 1 <= max_qty <= MAX_ORDER_QTY:
        raise VenueError(f"{where}: max_quantity: expected a whole number from 1 to {MAX_ORDER_QTY}, not {brief(max_qty)}")
    return _guarded(Instrument(index, symbol, _tick_size(row["tick_size"], where), max_qty), row, where)


def _guarded(plain: Instrument, row: dict[str, object], where: str) -> Instrument:
    """The instrument with the guards that its entry names; one that is not named is off."""
    tick = plain.tick_size
    fat_finger = _percent_bps(row, "fat_finger", 101 * 100, MAX_FAT_FINGER_PCT * 100, where)
    if fat_finger % 100:
        raise VenueError(f"{where}: fat_finger: expected whole percent, not {brief(row['fat_finger'])}", hint='for example "200%"')
    return replace(
        plain,
        reference_ticks=_multiple(row, "reference_price", tick, MAX_PRICE_TICKS, where),
        luld_bps=_percent_bps(row, "price_band", 1, 9999, where),
        collar_bps=_percent_bps(row, "market_collar", 1, 9999, where),
        market_notional_cap=_multiple(row, "market_notional_cap", tick, MAX_NOTIONAL, where),
        fat_finger_pct=fat_finger // 100,
        initial_state=_initial_state(row, where),
    )


def _percent_bps(row: dict[str, object], name: str, low: int, high: int, where: str) -> int:
    """`"5%"` -> 500, exactly; 0 when the field is not there."""
    if name not in row:
        return 0
    value = row[name]
    match = PERCENT.fullmatch(value) if isinstance(value, str) else None
    bps = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else 0
    if not low <= bps <= high:
        wanted = f"from {_percent_text(low)} to {_percent_text(high)}"
        raise VenueError(
            f"{where}: {name}: expected a quoted percentage {wanted}, not {brief(value)}", hint=f'for example {name}: "{_SAMPLES[name]}"'
        )
    return bps


_SAMPLES = {"price_band": "5%", "market_collar": "5%", "fat_finger": "200%"}


def _percent_text(bps: int) -> str:
    whole, part = divmod(bps, 100)
    return f"{whole}.{part:02d} %" if part else f"{whole} %"


def _multiple(row: dict[str, object], name: str, tick: Decimal, high: int, where: str) -> int:
    """A quoted amount of money as a whole number of ticks (for a cap: ticks times shares); 0 when the field is not there."""
    if name not in row:
        return 0
    value = row[name]
    if not isinstance(value, str) or not PLAIN_DECIMAL.fullmatch(value):
        raise VenueError(f"{where}: {name}: expected a quoted decimal, not {brief(value)}", hint=f'write {name}: "150.10", in quotes')
    count = in_ticks(Decimal(value), tick)
    if count is None:
        raise VenueError(f"{where}: {name}: {value} is not a multiple of the tick {tick}")
    if not 1 <= count <= high:
        raise VenueError(f"{where}: {name}: expected an amount from {tick:f} to {tick * high:f}, not {value}")
    return count


def in_ticks(amount: Decimal, tick: Decimal) -> int | None:
    """How many ticks an amount is; None when it is no whole number of them. Exact: nothing is rounded."""
    numerator, denominator = (amount.as_integer_ratio()[place] * tick.as_integer_ratio()[1 - place] for place in (0, 1))
    return numerator // denominator if numerator % denominator == 0 else None


def _initial_state(row: dict[str, object], where: str) -> SessionState:
    known = {state.name.lower(): state for state in SessionState}
    value = row.get("initial_state", "continuous")
    if not isinstance(value, str) or value not in known:
        raise VenueError(f"{where}: initial_state: expected one of {', '.join(known)}, not {brief(value)}")
    return known[value]


def _tick_size(value: object, where: str) -> Decimal:
    """A binary float has lost the exact tick already, hence the string."""
    if not isinstance(value, str):
        raise VenueError(f"{where}: tick_size: expected a quoted decimal, not {brief(value)}", hint='write "0.01", in quotes')
    try:
        tick = Decimal(value)
    except InvalidOperation:
        tick = Decimal(0)
    exponent = tick.as_tuple().exponent
    if not tick.is_finite() or tick <= 0 or tick > 1_000_000 or not isinstance(exponent, int) or exponent < -TICK_MAX_DECIMALS:
        raise VenueError(f"{where}: tick_size: expected a positive decimal with at most {TICK_MAX_DECIMALS} decimals, not {brief(value)}")
    return tick


def _refuse_doubles(symbols: Sequence[str], source: str) -> None:
    seen: set[str] = set()
    for index, symbol in enumerate(symbols):
        if symbol in seen:
            raise VenueError(f"{source}: instrument {index}: symbol: {symbol} appears twice")
        seen.add(symbol)


def parse_address(text: str, option: str) -> tuple[str, int]:
    """`HOST:PORT` -> (host, port). Raises VenueError naming the option."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or len(port) > 5 or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise VenueError(f"{option}: expected HOST:PORT, not {text!r}", hint="for example 127.0.0.1:9001")
    return host.strip("[]"), int(port)


def parse_duration_s(text: str, option: str) -> float:
    """`60s`, `2m`, `1.5h`, `500ms` or plain seconds -> seconds, above 0. Raises VenueError naming the option."""
    match = DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * DURATION_UNIT_S[match[2] or "s"] if match else 0.0
    if not 0 < seconds <= 366 * 86_400:
        raise VenueError(f"{option}: expected a duration such as 60s, 5m or 500ms, not {text!r}")
    return seconds
