"""`firms.yaml`: what each firm may do, read once and checked with the field named in every error.

    default: {max_order_quantity: 100000, order_rate: 500, burst: 1000, self_trade_prevention: cancel_newest}
    firms:
      7: {max_order_quantity: 5000, position_limit: 1000000}

A firm that the file does not list has the default. A listed firm takes over what it does not name itself from the default.
What neither names is not limited. The default is part of the engine's configuration, so it is fixed for the life of a log;
a firm's own limits reach the core as commands (`exchange control limits --file`) and may change at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.config import VenueError, brief, read_text, read_yaml
from engine.types import MAX_FIRM_ID, MAX_ORDER_QTY, FirmLimits, StpMode

MAX_POSITION_LIMIT = 10**15
MAX_ORDER_RATE = 10**7
MAX_FIRMS = MAX_FIRM_ID + 1
STP_MODES = {mode.name.lower(): mode for mode in StpMode}
_BOUNDS = {
    "max_order_quantity": MAX_ORDER_QTY,
    "position_limit": MAX_POSITION_LIMIT,
    "order_rate": MAX_ORDER_RATE,
    "burst": MAX_ORDER_RATE,
}
FIELDS = (*_BOUNDS, "self_trade_prevention")
_HINT = "a firm's line looks like 7: {max_order_quantity: 5000, order_rate: 100, burst: 200, self_trade_prevention: cancel_newest}"


@dataclass(frozen=True, slots=True)
class FirmsFile:
    """`firms` holds each listed firm's limits whole, the default's values included, ascending."""

    default: FirmLimits = field(default_factory=FirmLimits)
    firms: Mapping[int, FirmLimits] = field(default_factory=dict)


def load_firms(path: Path) -> FirmsFile:
    """Raises VenueError naming the file and the field."""
    return parse_firms(read_text(path, "the limits file"), str(path))


def parse_firms(text: str, source: str) -> FirmsFile:
    """Raises VenueError naming `source`, the firm and the field."""
    value = read_yaml(text, source)
    if not isinstance(value, dict):
        raise VenueError(f"{source}: expected a mapping with default and firms", hint=_HINT)
    for name in value:
        if name not in ("default", "firms"):
            raise VenueError(f"{source}: unknown field {brief(name)}", hint="known fields: default, firms")
    default = _limits(value.get("default", {}), FirmLimits(), f"{source}: default")
    rows = value.get("firms", {})
    if not isinstance(rows, dict) or len(rows) > MAX_FIRMS:
        raise VenueError(f"{source}: firms: expected a mapping of firm numbers, at most {MAX_FIRMS}", hint=_HINT)
    for firm in rows:
        if isinstance(firm, bool) or not isinstance(firm, int) or not 0 <= firm <= MAX_FIRM_ID:
            raise VenueError(f"{source}: firms: expected firm numbers from 0 to {MAX_FIRM_ID}, not {brief(firm)}", hint=_HINT)
    return FirmsFile(default, {firm: _limits(rows[firm], default, f"{source}: firm {firm}") for firm in sorted(rows)})


def limits_of(values: Mapping[str, object], default: FirmLimits, where: str) -> FirmLimits:
    """One firm's limits by their names in the file. Raises VenueError naming `where` and the field."""
    return _limits(dict(values), default, where)


def _limits(row: object, default: FirmLimits, where: str) -> FirmLimits:
    if not isinstance(row, dict):
        raise VenueError(f"{where}: expected a mapping", hint=_HINT)
    for name in row:
        if name not in _BOUNDS and name != "self_trade_prevention":
            raise VenueError(
                f"{where}: unknown field {brief(name)}", hint=f"known fields: {', '.join((*_BOUNDS, 'self_trade_prevention'))}"
            )
    inherited = {
        "max_order_quantity": default.max_order_qty,
        "position_limit": default.position_limit,
        "order_rate": default.rate_per_s,
        "burst": default.burst,
    }
    if "order_rate" in row and "burst" not in row:
        inherited["burst"] = min(2 * _number(row, "order_rate", where), MAX_ORDER_RATE)
    numbers = [_number(row, name, where) if name in row else inherited[name] for name in _BOUNDS]
    limits = FirmLimits(numbers[0], numbers[1], numbers[2], numbers[3], _stp(row, default, where))
    if (limits.rate_per_s > 0) != (limits.burst > 0):
        raise VenueError(f"{where}: burst: order_rate and burst go together, both above 0 or both 0", hint=_HINT)
    return limits


def _number(row: dict[str, object], name: str, where: str) -> int:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _BOUNDS[name]:
        raise VenueError(f"{where}: {name}: expected a whole number from 0 (no limit) to {_BOUNDS[name]}, not {brief(value)}")
    return value


def _stp(row: dict[str, object], default: FirmLimits, where: str) -> StpMode:
    value = row.get("self_trade_prevention", StpMode(default.stp).name.lower())
    if not isinstance(value, str) or value not in STP_MODES:
        raise VenueError(f"{where}: self_trade_prevention: expected one of {', '.join(STP_MODES)}, not {brief(value)}")
    return STP_MODES[value]
