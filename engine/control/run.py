"""`exchange control`: options to requests, the link, and what is printed. The edge of the control package."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.config import VenueError, default_instruments_path, load_instruments, parse_address, parse_duration_s
from engine.control import requests
from engine.control.cli import CORE
from engine.control.link import ControlLink, Outcome, Target
from engine.control.requests import Request
from engine.firms import FIELDS, limits_of, load_firms
from engine.instruments import instruments_digest
from engine.linkkey import load_link_key
from engine.state import find_venue
from engine.types import FirmLimits, Instrument


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What every command takes, as given."""

    state: Path | None
    core: str | None
    link_key: Path | None
    instruments: Path | None
    output: str
    dry_run: bool
    timeout: str


class Known:
    """The instruments of the venue, by symbol."""

    def __init__(self, path: Path) -> None:
        self.all = load_instruments(path)
        self._path = path
        self._by_symbol = {one.symbol: one for one in self.all}

    def __getitem__(self, symbol: str) -> Instrument:
        return requests.instrument_named(symbol, self._by_symbol, str(self._path))

    def one_or_all(self, symbol: str | None, every: bool) -> Instrument | None:
        """None for all. Raises VenueError unless exactly one of the two was given."""
        if (symbol is None) != every:
            raise VenueError("give either --instrument SYMBOL or --all")
        return self[symbol] if symbol is not None else None


Build = Callable[[Known], Sequence[Request]]


def run_control(options: ControlOptions, build: Build) -> int:
    """Build the requests, send them one after the other, print what came of each. Raises VenueError.

    The first refusal ends it; what was done before is printed all the same.
    """
    known, target = venue_of(options)
    wanted = build(known)
    if options.dry_run:
        _print([_row(request, None) for request in wanted], options.output)
        return 0
    done: list[Outcome] = []
    try:
        with ControlLink(target) as link:
            for request in wanted:
                done.append(link.send(request))
    except VenueError as error:
        hint = error.hint
        if len(wanted) > 1:
            hint = f"{len(done)} of {len(wanted)} commands were done before; {hint}".rstrip("; ")
        if done:
            _print([_row(outcome.request, outcome) for outcome in done], options.output)
        raise VenueError(error.message, hint=hint, exit_code=error.exit_code) from error
    _print([_row(outcome.request, outcome) for outcome in done], options.output)
    return 0


def venue_of(options: ControlOptions) -> tuple[Known, Target]:
    """The instruments and the core that the options lead to. Raises VenueError."""
    if options.output not in ("table", "json"):
        raise VenueError(f"--output: expected table or json, not {options.output!r}")
    where = _located(options)
    known = Known(where.instruments)
    return known, _target(options, where, known.all)


@dataclass(frozen=True, slots=True)
class _Where:
    """A core and what it must agree on; `venue` is the state folder that led to it, if one did."""

    core: str
    link_key: Path | None
    instruments: Path
    venue: Path | None = None


def _located(options: ControlOptions) -> _Where:
    """What was given; what was not is the venue's, where --state names one or nothing was given and one stands in the default folder."""
    given = (options.core, options.link_key, options.instruments)
    venue = find_venue(options.state, look=not any(given))
    if venue is None:
        return _Where(options.core or CORE, options.link_key, options.instruments or default_instruments_path())
    core, link_key, instruments = options.core or venue.core, options.link_key or venue.link_key, options.instruments or venue.instruments
    return _Where(core, link_key, instruments, venue.folder)


def _target(options: ControlOptions, where: _Where, instruments: tuple[Instrument, ...]) -> Target:
    host, port = parse_address(where.core, "--core")
    timeout_s = parse_duration_s(options.timeout, "--timeout")
    link_key = load_link_key(where.link_key, of_running_core=True)
    return Target(host, port, instruments_digest(instruments), link_key, timeout_s, where.venue, tuple(one.symbol for one in instruments))


def limit_requests(firm: int | None, file: Path | None, values: dict[str, object]) -> list[Request]:
    """Every firm's limits from a file, or one firm's: from the options, what they leave away from the file. Raises VenueError.

    A command replaces all of a firm's limits and the core does not tell what they are, so nothing may be left away by oversight.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if firm is None:
        return _listed_limits(file, given)
    if file is not None:
        known = load_firms(file)
        return [requests.limits(firm, limits_of(given, known.firms.get(firm, known.default), f"firm {firm}"))]
    missing = [f"--{name.replace('_', '-')}" for name in FIELDS if name not in given and name != "burst"]
    if missing:
        raise VenueError(f"--firm {firm}: a firm's limits are replaced as a whole, and {', '.join(missing)} would be none from then on",
                         hint="give all of them (0 or none: no limit), or --file limits.yaml for what is not given")  # fmt: skip
    return [requests.limits(firm, limits_of(given, FirmLimits(), f"firm {firm}"))]


def _listed_limits(file: Path | None, given: dict[str, object]) -> list[Request]:
    if file is None:
        raise VenueError("expected --firm with its limits, --file firms.yaml, or both")
    if given:
        raise VenueError(f"--{min(given).replace('_', '-')} and --file: expected --firm too", hint="without it every listed firm is set")
    listed = load_firms(file).firms
    if not listed:
        raise VenueError(f"{file}: firms: none is listed", hint="the default limits belong to the core: exchange core --limits")
    return [requests.limits(number, limits) for number, limits in listed.items()]


def _row(request: Request, outcome: Outcome | None) -> dict[str, object]:
    if outcome is None:
        return {"command": request.words, "result": "would be sent"}
    noun, _, verb = request.counted.partition(" ")
    result = " ".join([str(outcome.count), noun.removesuffix("s") if outcome.count == 1 else noun, verb]).rstrip() if noun else "done"
    return {"command": request.words, "result": result, "count": outcome.count, "seq_num": outcome.seq_num}


def _print(rows: Sequence[dict[str, object]], output: str) -> None:
    if output == "json":
        print(json.dumps(list(rows)))
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        if name != "count":
            table.add_column(name)
    for row in rows:
        table.add_row(*(str(value) for name, value in row.items() if name != "count"))
    Console().print(table)
