"""A realistic flow from a seed: per instrument a mean-reverting mid, adds crowded around the touch, many cancels.

The intents depend on the random source only, never on the venue's answers, so two runs of one seed send the same flow
to whatever version serves them. The mix follows what a full-depth feed of a liquid share shows: nearly every second
message takes an order away again, and few trade.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random  # noqa: TID251 - the type of an argument; nothing is seeded here

from engine.flow.model import Add, AmendOf, CancelOf, Intent, Look
from engine.gateway.model import Listing

CANCEL_SHARE, CROSS_SHARE, LOOK_SHARE = 0.45, 0.09, 0.02
STOP_SHARE, AMEND_SHARE, GTC_SHARE = 0.03, 0.06, 0.05
"""Only in the full mix: shares of what is neither a cancel nor a look (amendments) and of resting adds (stops, good-till-cancelled)."""
MIXES = ("plain", "full")
MAX_LIVE = 500
"""Orders of one instrument that a cancel may still name; at this many the next message is a cancel."""
REVERSION, STEP_TICKS = 0.02, 2.0
TOUCH_FALLOFF = 0.25
"""Chance that an add stops at each further tick from the touch: geometric, on average 4 ticks away."""
SIZES = (100, 1, 10, 18, 50, 200, 300, 400, 500, 1000)
SIZE_WEIGHTS = (46, 6, 6, 5, 8, 12, 6, 3, 4, 4)
"""Round lots with a tail of odd ones, as in the public AAPL sample of 2012-06-21."""


class _Stream:
    """One instrument's state."""

    def __init__(self, listing: Listing, random: Random) -> None:
        self.listing = listing
        self.home_ticks = random.uniform(8_000, 60_000)
        self.mid_ticks = self.home_ticks
        self.live: list[tuple[int, str]] = []
        """Index and side of each order that a cancel may name; no side for a stop, whose price is not amended."""


def generate(market: Mapping[str, Listing] | Sequence[Listing], random: Random, mix: str = "plain") -> Iterator[Intent]:
    """Endless intents; the n-th one has index n, which is what CancelOf and AmendOf name.

    `mix` "plain": limit and market orders, cancels, looks. "full": stops, stop-limits, good-till-cancelled orders and amendments too.
    A seed's plain flow is the same as it always was.
    """
    assert mix in MIXES, mix
    chosen = list(market.values()) if isinstance(market, Mapping) else list(market)
    assert chosen, "a flow needs an instrument"
    streams = [_Stream(listing, random) for listing in chosen]
    index = 0
    while True:
        yield _intent(random.choice(streams), index, random, full=mix == "full")
        index += 1


def _intent(stream: _Stream, index: int, random: Random, *, full: bool) -> Intent:
    stream.mid_ticks += REVERSION * (stream.home_ticks - stream.mid_ticks) + random.gauss(0, STEP_TICKS)
    draw = random.random()
    if stream.live and (draw < CANCEL_SHARE or len(stream.live) >= MAX_LIVE):
        return _cancel(stream, random)
    symbol = stream.listing.instrument.symbol
    if draw > 1 - LOOK_SHARE:
        return Look(symbol)
    if full and stream.live and random.random() < AMEND_SHARE:
        return _amend(stream, random)
    side = random.choice(("buy", "sell"))
    qty = min(random.choices(SIZES, SIZE_WEIGHTS)[0], stream.listing.instrument.max_qty)
    if draw > 1 - LOOK_SHARE - CROSS_SHARE:
        return _cross(stream, side, qty, random)
    if full and random.random() < STOP_SHARE:
        stream.live.append((index, ""))
        return _stop(stream, side, qty, random)
    stream.live.append((index, side))
    tif = "gtc" if full and random.random() < GTC_SHARE else None
    return Add(symbol, side, "limit", stream.listing.price_text(_away(stream, side, random)), qty, tif)


def _cancel(stream: _Stream, random: Random) -> CancelOf:
    """Swap with the last and pop: any order may go, in constant time."""
    place = random.randrange(len(stream.live))
    stream.live[place], stream.live[-1] = stream.live[-1], stream.live[place]
    return CancelOf(stream.live.pop()[0], stream.listing.instrument.symbol)


def _amend(stream: _Stream, random: Random) -> AmendOf:
    """Another price near the touch of now, another quantity, or both. Whether it fits what the order has become, the venue judges."""
    (index, side), symbol = stream.live[random.randrange(len(stream.live))], stream.listing.instrument.symbol
    draw = random.random()
    price = stream.listing.price_text(_away(stream, side, random)) if side and draw < 0.7 else None
    qty = min(random.choices(SIZES, SIZE_WEIGHTS)[0], stream.listing.instrument.max_qty) if price is None or draw > 0.5 else None
    return AmendOf(index, symbol, price, qty)


def _stop(stream: _Stream, side: str, qty: int, random: Random) -> Add:
    """Behind the market, as a stop is: a buy's above the mid, a sell's below. Half of them with a limit a little past the stop price."""
    away = 1 if side == "buy" else -1
    stop_ticks = max(1, round(stream.mid_ticks) + away * random.randint(2, 15))
    stop_price = stream.listing.price_text(stop_ticks)
    if random.random() < 0.5:
        return Add(stream.listing.instrument.symbol, side, "stop", None, qty, stop_price=stop_price)
    limit = stream.listing.price_text(max(1, stop_ticks + away * 5))
    return Add(stream.listing.instrument.symbol, side, "stop_limit", limit, qty, stop_price=stop_price)


def _cross(stream: _Stream, side: str, qty: int, random: Random) -> Add:
    symbol = stream.listing.instrument.symbol
    if random.random() < 0.3:
        return Add(symbol, side, "market", None, qty, rests=False)
    through = 5 if side == "buy" else -5
    return Add(symbol, side, "limit", stream.listing.price_text(max(1, round(stream.mid_ticks) + through)), qty, "ioc", rests=False)


def _away(stream: _Stream, side: str, random: Random) -> int:
    distance = 1
    while random.random() > TOUCH_FALLOFF and distance < 60:
        distance += 1
    return max(1, round(stream.mid_ticks) + (-distance if side == "buy" else distance))
