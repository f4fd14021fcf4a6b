"""What a gateway understands: listings, commands for the core, and refusals. Frozen values; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.types import ALL_INSTRUMENTS, Instrument, OrdType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument with its tick as `tick_unscaled * 10**-decimals`, so that prices need integers only."""

    instrument: Instrument
    tick_unscaled: int
    decimals: int

    def price_text(self, ticks: int) -> str:
        """The price as a JSON number, exact, always with the tick's decimals."""
        unscaled = ticks * self.tick_unscaled
        if self.decimals == 0:
            return str(unscaled)
        whole, part = divmod(abs(unscaled), 10**self.decimals)
        return f"{'-' if unscaled < 0 else ''}{whole}.{part:0{self.decimals}d}"


Market = Mapping[str, Listing]
"""Listings by symbol."""


def common_tick(market: Market) -> Listing | None:
    """Any listing, when all have one tick: an order's id alone then says how its prices read. None when ticks differ."""
    ticks = {(listing.tick_unscaled, listing.decimals) for listing in market.values()}
    return next(iter(market.values())) if len(ticks) == 1 else None


def symbol_of(market: Market, instrument_id: int) -> str:
    """The instrument's symbol, or its number where the market does not list it."""
    symbols = (symbol for symbol, listing in market.items() if listing.instrument.instrument_id == instrument_id)
    return next(symbols, str(instrument_id))


def listings(instruments: Iterable[Instrument]) -> dict[str, Listing]:
    return {instrument.symbol: _listing(instrument) for instrument in instruments}


def _listing(instrument: Instrument) -> Listing:
    _, digits, exponent = instrument.tick_size.as_tuple()
    assert isinstance(exponent, int), "config.parse_instruments admits finite ticks only"
    unscaled = int("".join(map(str, digits)))
    return Listing(instrument, unscaled * 10 ** max(exponent, 0), max(-exponent, 0))


@dataclass(frozen=True, slots=True)
class NewOrder:
    """`price_ticks` is 0 for market and stop orders, `stop_price_ticks` for those without a stop; `cl_ord_id` may be empty."""

    listing: Listing
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    price_ticks: int
    qty: int
    cl_ord_id: str
    stop_price_ticks: int = 0


@dataclass(frozen=True, slots=True)
class Cancel:
    order_id: int


@dataclass(frozen=True, slots=True)
class Reduce:
    """Amend downwards: the order keeps its place in the queue."""

    order_id: int
    new_leaves_qty: int


@dataclass(frozen=True, slots=True)
class Amend:
    """0 keeps what the order has. `order_qty` is the new total, what is filled included. `listing`: how its prices read.
    `instrument_id`: that of the listing when the member named it, and then the core holds the order to it."""

    order_id: int
    price_ticks: int
    order_qty: int
    stop_price_ticks: int
    listing: Listing
    instrument_id: int = ALL_INSTRUMENTS


@dataclass(frozen=True, slots=True)
class DepthQuery:
    listing: Listing
    levels: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not a success. `code` is one of errors.ERROR_CODES, which also knows the HTTP status."""

    code: str
    message: str
    field: str | None = None
    order_id: int | None = None
    retry_after_s: int | None = None
    correlation_id: str | None = None
    allow: str | None = None
    """For the header Allow of a 405."""
