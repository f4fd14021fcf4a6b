"""`exchange control`: options to requests, the link, and what is printed. The edge of the control package."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.config import VenueError, load_instruments, parse_address, parse_duration_s
from engine.control import requests
from engine.control.link import ControlLink, Outcome, Target
from engine.control.requests import Request
from engine.firms import limits_of, load_firms
from engine.instruments import instruments_digest
from engine.linkkey import load_link_key
from engine.types import FirmLimits, Instrument


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """What every command takes, as given."""

    core: str
    link_key: Path | None
    instruments: Path
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
    if options.output not in ("table", "json"):
        raise VenueError(f"--output: expected table or json, not {options.output!r}")
    known = Known(options.instruments)
    wanted = build(known)
    target = _target(options, known.all)
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


def _target(options: ControlOptions, instruments: tuple[Instrument, ...]) -> Target:
    host, port = parse_address(options.core, "--core")
    timeout_s = parse_duration_s(options.timeout, "--timeout")
    return Target(host, port, instruments_digest(instruments), load_link_key(options.link_key), timeout_s)


def limit_requests(firm: int | None, file: Path | None, values: dict[str, object]) -> list[Request]:
    """One firm's limits from the options, or every firm's from a file. Raises VenueError."""
    given = {name: value for name, value in values.items() if value is not None}
    if (firm is None) == (file is None):
        raise VenueError("give either --firm with its limits, or --file firms.yaml")
    if file is not None:
        if given:
            raise VenueError(f"--{min(given).replace('_', '-')} and --file do not go together")
        listed = load_firms(file).firms
        if not listed:
            raise VenueError(f"{file}: firms: none is listed", hint="the default limits belong to the core: exchange core --limits")
        return [requests.limits(number, limits) for number, limits in listed.items()]
    assert firm is not None
    return [requests.limits(firm, limits_of(given, FirmLimits(), f"firm {firm}"))]


def _row(request: Request, outcome: Outcome | None) -> dict[str, object]:
    if outcome is None:
        return {"command": request.words, "result": "would be sent"}
    result = f"{outcome.count} {request.counted}" if request.counted else "done"
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
