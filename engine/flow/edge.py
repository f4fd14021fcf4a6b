"""`exchange flow`: options to settings, the seeded random source, signals, and what is printed. The edge of the flow package."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random  # noqa: TID251 - the edge that seeds

from rich.console import Console

from engine.config import VenueError, load_instruments, parse_duration_s, read_text
from engine.flow.csvfile import load_csv
from engine.flow.generate import MIXES, generate
from engine.flow.model import FlowResult, FlowSettings, Intent
from engine.flow.replay import load_recording, orderbook_path, replay
from engine.flow.report import live_line, summary_table
from engine.flow.runner import run
from engine.gateway.model import Listing, listings

KEY_ENV = "EXCHANGE_API_KEY"
COMPARISON_FAILED = 3


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """The command line as given."""

    url: str
    rate: float
    seed: int
    duration: str | None
    count: int | None
    output: str
    key_file: Path | None
    instruments: Path
    symbols: tuple[str, ...]
    csv: Path | None
    lobster: Path | None
    orderbook: Path | None
    progress: bool
    mix: str = "plain"


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a reproducible flow, not a secret


def run_flow(options: FlowOptions) -> int:
    """Returns the exit code: 0 when it could run, 3 when a replayed book differed. Raises VenueError."""
    _check(options)
    market = _market(options)
    settings = FlowSettings(
        url=options.url,
        token=read_token(options.key_file),
        rate_per_s=options.rate,
        duration_s=parse_duration_s(options.duration, "--duration") if options.duration else None,
        count=options.count,
    )
    if options.lobster is not None:
        return _replay(settings, options, market)
    intents: Iterable[Intent] = generate(market, seeded(options.seed), options.mix)
    if options.csv is not None:
        intents = load_csv(options.csv, market)
        settings = FlowSettings(settings.url, settings.token, settings.rate_per_s, settings.duration_s, settings.count, max_in_flight=1)
    with stop_on_signals() as stop:
        result = run(settings, intents, progress=_live(options), stop=stop)
    _print(result, options.output)
    return 0


def _check(options: FlowOptions) -> None:
    if options.output not in ("table", "json"):
        raise VenueError(f"--output: expected table or json, not {options.output!r}")
    if options.mix not in MIXES:
        raise VenueError(f"--mix: expected one of {', '.join(MIXES)}, not {options.mix!r}")
    if options.mix != "plain" and (options.csv is not None or options.lobster is not None):
        raise VenueError("--mix is for the generated flow; it does not go together with --csv and --lobster")
    if options.csv is not None and options.lobster is not None:
        raise VenueError("--csv and --lobster do not go together")
    if options.orderbook is not None and options.lobster is None:
        raise VenueError("--orderbook needs --lobster")
    if not options.url.startswith(("http://", "https://")):
        raise VenueError(f"--url: expected http://HOST:PORT, not {options.url!r}")


def read_token(key_file: Path | None) -> str:
    """The API key: the file's, else the environment's. Never an argument, because process lists are public."""
    token = read_text(key_file, "the key file").strip() if key_file is not None else os.environ.get(KEY_ENV, "").strip()
    if not token:
        raise VenueError("no API key", hint=f"set ${KEY_ENV} or give --key-file; make a key with: exchange keys new --file keys.yaml")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise VenueError("the API key is not one token", hint="the file holds the token and nothing else")
    return token


def _market(options: FlowOptions) -> dict[str, Listing]:
    known = listings(load_instruments(options.instruments))
    for symbol in options.symbols:
        if symbol not in known:
            raise VenueError(f"--instrument: {symbol} is not in {options.instruments}", hint=f"known: {', '.join(sorted(known)[:20])}")
    return {symbol: known[symbol] for symbol in options.symbols} if options.symbols else known


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM end the flow, not the process: the summary is still wanted."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _live(options: FlowOptions) -> Callable[[FlowResult], None] | None:
    if not (options.progress or sys.stderr.isatty()):
        return None
    end = "\r" if sys.stderr.isatty() else "\n"
    return lambda result: print(live_line(result), end=end, file=sys.stderr, flush=True)


def _print(result: FlowResult, output: str) -> None:
    if output == "json":
        print(json.dumps(result.as_dict()))
        return
    if sys.stderr.isatty():
        print(file=sys.stderr)
    Console().print(summary_table(result))


def _replay(settings: FlowSettings, options: FlowOptions, market: dict[str, Listing]) -> int:
    assert options.lobster is not None
    recording = load_recording(options.lobster, options.orderbook or orderbook_path(options.lobster))
    symbol = options.symbols[0] if options.symbols else options.lobster.name.partition("_")[0]
    if symbol not in market:
        raise VenueError(f"{symbol} is not in {options.instruments}", hint="say which instrument to replay on: --instrument AAPL")
    with stop_on_signals() as stop:
        result = replay(settings, symbol, recording, progress=_replay_live(options), stop=stop)
    if options.output == "json":
        print(json.dumps(asdict(result)))
    else:
        print(result.summary)
        if result.difference is not None:
            print(result.difference)
    return 0 if result.difference is None else COMPARISON_FAILED


def _replay_live(options: FlowOptions) -> Callable[[int, int], None] | None:
    if not (options.progress or sys.stderr.isatty()):
        return None
    end = "\r" if sys.stderr.isatty() else "\n"
    return lambda done, total: print(f"{done} of {total} books compared", end=end, file=sys.stderr, flush=True)
