"""The money of a trading day, from its settlement reports: who owes what to whom, and what the venue charges (row E22). Pure.

Everything is exact: quantities are integers, prices ticks, money a Decimal that is never rounded. What one firm gets another one
gives, so the sums over all firms are zero; `Day.broken_sums` says which are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from engine.config import VenueError
from engine.tools.text import EXACT, price_of
from engine.types import Instrument, Report

MAX_SETTLEMENT_DAYS = 30
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Settlement:
    """One firm in one instrument. `net`: shares it gets (negative: gives) on the settlement date; `cash`: money, likewise. `position` is
    what it holds over all days; maker and taker quantities are the day's, auction fills in neither."""

    firm: int
    instrument: Instrument
    bought: int
    sold: int
    position: int
    cash: Decimal
    maker_qty: int
    taker_qty: int

    @property
    def net(self) -> int:
        """Shares."""
        return self.bought - self.sold


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Money a share: what resting orders earn, what incoming ones pay."""

    maker_rebate: Decimal = Decimal("0.002")
    taker_fee: Decimal = Decimal("0.003")


@dataclass(frozen=True, slots=True)
class Fees:
    """One firm's. `net` above zero: the firm pays."""

    firm: int
    maker_qty: int
    taker_qty: int
    rebate: Decimal
    fee: Decimal

    @property
    def net(self) -> Decimal:
        """Money from the firm to the venue."""
        return EXACT.subtract(self.fee, self.rebate)


@dataclass(frozen=True, slots=True)
class Expired:
    """DAY orders of a firm in an instrument that the close ended, and the shares that were left of them."""

    firm: int
    instrument: Instrument
    orders: int
    qty: int


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """New shares per old ones and money off; `orders` were changed or cancelled by it."""

    seq_num: int
    instrument: Instrument
    new_shares: int
    old_shares: int
    dividend: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class Day:
    """A trading day, settled."""

    trade_date: date
    settlement_date: date
    settlements: Sequence[Settlement]
    fees: Sequence[Fees]
    expired: Sequence[Expired] = ()
    corporate_actions: Sequence[CorporateAction] = ()
    seq_nums: Sequence[int] = field(default_factory=tuple)
    """Of the end_of_day commands, one a partition."""

    def broken_sums(self) -> list[str]:
        """What does not add up, instrument by instrument; empty when all of it does."""
        sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
        for one in self.settlements:
            parts = (Decimal(one.net), one.cash, Decimal(one.maker_qty - one.taker_qty))
            sums[one.instrument.symbol] = [EXACT.add(old, new) for old, new in zip(sums[one.instrument.symbol], parts, strict=True)]
        names = ("shares bought less sold", "cash", "maker less taker quantity")
        return [
            f"{symbol}: {name} {total:f}" for symbol, totals in sums.items() for name, total in zip(names, totals, strict=True) if total
        ]


def settlement_of(report: Report, instruments: Sequence[Instrument]) -> Settlement:
    """From a SETTLEMENT report (the fields it uses for what: docs/engine.md, end of day)."""
    instrument = instruments[report.instrument]
    return Settlement(
        firm=report.firm,
        instrument=instrument,
        bought=report.order_qty,
        sold=report.cum_qty,
        position=report.leaves_qty,
        cash=price_of(report.cum_notional, instrument.tick_size),
        maker_qty=report.value,
        taker_qty=report.limit,
    )


def fees_of(settlements: Sequence[Settlement], rates: FeeRates) -> list[Fees]:
    """Per firm, ascending."""
    quantities: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in settlements:
        quantities[one.firm][0] += one.maker_qty
        quantities[one.firm][1] += one.taker_qty
    return [
        Fees(firm, maker, taker, EXACT.multiply(Decimal(maker), rates.maker_rebate), EXACT.multiply(Decimal(taker), rates.taker_fee))
        for firm, (maker, taker) in sorted(quantities.items())
    ]


def settlement_date(trade_date: date, days: int, holidays: frozenset[date]) -> date:
    """`days` business days later: no Saturday, no Sunday, none of `holidays`. 0: the trade date itself.

    Raises VenueError when the calendar ends before that.
    """
    settled = trade_date
    try:
        for _ in range(days):
            settled += timedelta(days=1)
            while settled.weekday() >= SATURDAY or settled in holidays:
                settled += timedelta(days=1)
    except OverflowError:
        raise VenueError(f"--date: {trade_date} has no settlement date: the calendar ends before it") from None
    return settled
