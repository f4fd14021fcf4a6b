"""The venue's own nouns, shared by the reference book, the native core's binding and the gateways.

Units: prices are integer ticks, quantities whole shares, times nanoseconds since the Unix epoch. The integer
values are part of the log and link formats (engine/native/include/exchange/types.hpp holds the same numbers):
never renumber, only append.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum


class Side(IntEnum):
    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    MARKET = 1
    LIMIT = 2


class TimeInForce(IntEnum):
    """DAY rests until the close; IOC fills what it can and cancels the rest; FOK fills whole or not at all (E2)."""

    DAY = 0
    IOC = 3
    FOK = 4


class OrdStatus(IntEnum):
    """Where an order stands (E3)."""

    NEW = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELLED = 4
    REJECTED = 8
    EXPIRED = 12


class RejectReason(IntEnum):
    """Every refusal of the core: a value, never an exception (design: refusals are values)."""

    NONE = 0
    UNKNOWN_INSTRUMENT = 1
    BAD_PRICE = 2
    BAD_QUANTITY = 3
    DUPLICATE_CL_ORD_ID = 4
    UNKNOWN_ORDER = 5
    NOT_OWNER = 6
    TOO_LATE = 7
    BAD_COMMAND = 8
    BOOK_FULL = 9
    LOG_UNAVAILABLE = 10


@dataclass(frozen=True, slots=True)
class Instrument:
    """One traded instrument. `instrument_id` is its dense index in the core, from 0."""

    instrument_id: int
    symbol: str
    tick_size: Decimal
    max_qty: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution as the taker sees it. `maker_order_id` stays inside the venue; members never see it."""

    trade_id: int
    price_ticks: int
    qty: int
    maker_order_id: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The core's answer to one command.

    Live orders: order_qty == cum_qty + leaves_qty; done orders: leaves_qty == 0 (style.md, Names).
    `seq_num` is the command's place in the log; 0 when the refusal was never logged (LOG_UNAVAILABLE, BAD_COMMAND).
    """

    request_id: int
    seq_num: int
    order_id: int
    status: OrdStatus
    reason: RejectReason
    order_qty: int
    cum_qty: int
    leaves_qty: int
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True, slots=True)
class Depth:
    """Aggregated price levels, best first: (price_ticks, qty). `last_trade` is (price_ticks, qty) or None."""

    seq_num: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    last_trade: tuple[int, int] | None
