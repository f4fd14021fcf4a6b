"""What the probe trades, what it needs of the venue, and how a round ends. Frozen values and a protocol; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.conventions import TEST_SYMBOL
from engine.flow.client import Answer
from engine.flow.model import Add
from engine.types import Instrument


class Desk(Protocol):
    """The member's side of the venue; engine.flow.client.VenueClient is one. Every call is bounded and returns, whatever happens."""

    async def add(self, order: Add) -> Answer: ...
    async def cancel(self, order_id: int) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Target:
    """The instrument, the price of one tick as text, and whether an order may rest in its book."""

    symbol: str
    price: str
    rests: bool

    def order(self, client_order_id: str | None, *, may_rest: bool) -> Add:
        """To buy one share for one tick: nobody's best price, and nothing anybody sells for."""
        tif = "day" if may_rest and self.rests else "ioc"
        return Add(self.symbol, "buy", "limit", self.price, 1, tif, client_order_id)


def target(instruments: Sequence[Instrument]) -> Target:
    """The test instrument; without one the last of the list, in whose book nothing of the probe's ever rests."""
    found = next((one for one in instruments if one.symbol == TEST_SYMBOL), None)
    chosen = found or instruments[-1]
    return Target(chosen.symbol, f"{chosen.tick_size:f}", rests=found is not None)


@dataclass(frozen=True, slots=True)
class Round:
    """`failed` is one of conventions.PROBE_STEPS, or "" when desks can flatten and pause. `reason` is for the log."""

    failed: str
    reason: str
    seconds: float
