"""`exchange control status`: what state each instrument is in, asked over the core's link. Reads only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table

from engine.control.link import ControlLink
from engine.control.run import ControlOptions, venue_of
from engine.tools.text import number_text, price_text
from engine.types import Depth, Instrument

COLUMNS = ("instrument", "state", "bid", "ask", "last trade", "uncross now")


def run_status(options: ControlOptions, symbols: Sequence[str]) -> None:
    """Print the state of these instruments, or of all, in the order of the list. Raises VenueError."""
    known, target = venue_of(options)
    wanted = [known[symbol] for symbol in symbols] or list(known.all)
    with ControlLink(target) as link:
        found = [(instrument, link.depth(instrument.instrument_id, 1)) for instrument in wanted]
    if options.output == "json":
        print(json.dumps([_json(instrument, depth) for instrument, depth in found]))
        return
    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name)
    for instrument, depth in found:
        table.add_row(*_row(instrument, depth))
    Console().print(table)


def _row(instrument: Instrument, depth: Depth) -> tuple[str, ...]:
    """`100 @ 150.10` is a quantity at a price; `-` where there is none."""
    tick = instrument.tick_size
    state = depth.state.name.lower() + (", limit state" if depth.limit_state else "")
    at = depth.indicative
    best = [_at(level, tick) for level in (_best(depth.bids), _best(depth.asks), depth.last_trade)]
    return (instrument.symbol, state, *best, _at((at.price_ticks, at.qty) if at.qty else None, tick))


def _best(levels: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    return levels[0] if levels else None


def _at(level: tuple[int, int] | None, tick: Decimal) -> str:
    return f"{number_text(level[1])} @ {price_text(level[0], tick)}" if level is not None else "-"


def _json(instrument: Instrument, depth: Depth) -> dict[str, object]:
    """Prices as decimal strings, as everywhere in `exchange`'s JSON."""
    tick = instrument.tick_size

    def level(of: tuple[int, int] | None) -> dict[str, object] | None:
        return {"price": price_text(of[0], tick), "quantity": of[1]} if of is not None else None

    at = depth.indicative
    return {
        "instrument": instrument.symbol,
        "state": depth.state.name.lower(),
        "limit_state": depth.limit_state,
        "bid": level(_best(depth.bids)),
        "ask": level(_best(depth.asks)),
        "last_trade": level(depth.last_trade),
        "indicative": {"price": price_text(at.price_ticks, tick), "quantity": at.qty, "imbalance": at.imbalance} if at.qty else None,
        "seq_num": depth.seq_num,
    }
