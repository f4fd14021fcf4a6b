"""The venue's own nouns, shared by the reference engine, the native core's binding and the gateways.

Units: prices are integer ticks, quantities whole shares, times nanoseconds since the Unix epoch. The integer
values are part of the log and link formats (engine/native/include/exchange/types.hpp holds the same numbers):
never renumber, only append.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

MAX_PRICE_TICKS = 10**9
MAX_ORDER_QTY = 10**9
"""With price and quantity at their bounds their product fits 63 bits."""
MAX_LIVE_ORDERS = 1 << 24
MAX_FILLS_PER_COMMAND = 32_000
"""Resting orders that one incoming order may meet: it bounds the time of a command and the size of its answer."""
MAX_FIRM_ID = 65_535
MAX_TS_NS = 1 << 62
MAX_INSTRUMENTS = 100_000
MAX_PARTITIONS = 64
MAX_CL_ORD_ID_LENGTH = 40
ALL_INSTRUMENTS = 0xFFFF_FFFF


class Side(IntEnum):
    """Which way an order trades."""

    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    """Stops wait until the last trade reaches their stop price; then a STOP is a MARKET order, a STOP_LIMIT a LIMIT (E2)."""

    MARKET = 1
    LIMIT = 2
    STOP = 3
    STOP_LIMIT = 4


class TimeInForce(IntEnum):
    """DAY rests until the close, GTC until it is cancelled; IOC fills what it can and cancels the rest; FOK fills whole or not
    at all (E2)."""

    DAY = 0
    GTC = 1
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


class ExecType(IntEnum):
    """What a report says happened: FIX's values, then (from 32 on) the venue's own."""

    NEW = 0
    CANCELLED = 4
    REPLACED = 5
    REJECTED = 8
    EXPIRED = 12
    RESTATED = 13
    TRADE = 15
    TRIGGERED = 21
    CANCEL_REJECTED = 32
    SESSION = 33
    LIMIT_STATE = 34
    SETTLEMENT = 35
    CONTROL = 36


class Liquidity(IntEnum):
    """An order's part in a trade: it rested, it came, or both met in an auction. Fees depend on it (E22)."""

    NONE = 0
    MAKER = 1
    TAKER = 2
    AUCTION = 3


class SessionState(IntEnum):
    """What an instrument allows. Orders match at once in CONTINUOUS only; CLOSED takes none (E5)."""

    PRE_OPEN = 0
    OPENING_AUCTION = 1
    CONTINUOUS = 2
    HALTED = 3
    CLOSING_AUCTION = 4
    CLOSED = 5


class StpMode(IntEnum):
    """What happens instead of a trade when an incoming order meets one of its own firm (E6)."""

    NONE = 0
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    DECREMENT = 3


class CommandKind(IntEnum):
    """What a command asks for; `Command` says which fields each kind uses."""

    NEW_ORDER = 1
    CANCEL = 2
    REDUCE = 3
    AMEND = 4
    SESSION = 5
    TIMER = 6
    KILL = 7
    LIMITS = 8
    MASS_CANCEL = 9
    CORPORATE_ACTION = 10
    END_OF_DAY = 11
    REFERENCE = 12


class RejectReason(IntEnum):
    """Every refusal of the core: a value, never an exception (design: refusals are values). From 21 on: why an order was cancelled
    that nobody asked to cancel."""

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
    BAD_STOP_PRICE = 11
    BAD_TIME_IN_FORCE = 12
    WRONG_STATE = 13
    FIRM_KILLED = 14
    ORDER_RATE = 15
    ORDER_SIZE = 16
    FAT_FINGER = 17
    NOTIONAL_CAP = 18
    POSITION_LIMIT = 19
    BAD_LIMITS = 20
    SELF_TRADE = 21
    PRICE_BAND = 22
    FILL_LIMIT = 23
    CORPORATE_ACTION = 24
    STOP_OVER_CAP = 25
    COLLAR = 26


@dataclass(frozen=True, slots=True)
class Instrument:
    """One traded instrument. `instrument_id` is its dense index in the core, from 0. The guards: InstrumentRules."""

    instrument_id: int
    symbol: str
    tick_size: Decimal
    max_qty: int
    reference_ticks: int = 0
    luld_bps: int = 0
    collar_bps: int = 0
    market_notional_cap: int = 0
    fat_finger_pct: int = 0
    initial_state: SessionState = SessionState.CONTINUOUS

    def rules(self) -> InstrumentRules:
        """What the core is told of it."""
        return InstrumentRules(
            self.max_qty,
            self.reference_ticks,
            self.luld_bps,
            self.collar_bps,
            self.market_notional_cap,
            self.fat_finger_pct,
            int(self.initial_state),
        )


@dataclass(frozen=True, slots=True)
class InstrumentRules:
    """What the core knows of one instrument. 0: no such rule. Fields as in InstrumentConfig (config.hpp).

    max_qty: largest order, shares. reference_ticks: the close before the first day. luld_bps: half width of the price band around the
    reference, 1/100 of a percent. collar_bps: how far a market order may go from the midpoint. market_notional_cap: ticks times
    shares. fat_finger_pct: 200 refuses an order priced above twice the last trade.
    """

    max_qty: int = MAX_ORDER_QTY
    reference_ticks: int = 0
    luld_bps: int = 0
    collar_bps: int = 0
    market_notional_cap: int = 0
    fat_finger_pct: int = 0
    initial_state: int = SessionState.CONTINUOUS

    def as_tuple(self) -> tuple[int, ...]:
        """In the order of the fields, as the native engine takes them."""
        return (
            self.max_qty,
            self.reference_ticks,
            self.luld_bps,
            self.collar_bps,
            self.market_notional_cap,
            self.fat_finger_pct,
            int(self.initial_state),
        )


@dataclass(frozen=True, slots=True)
class FirmLimits:
    """What a firm may do (E9). 0: no such limit. position_limit counts everything that rests as if it had traded. rate_per_s and
    burst: new orders and amends that lose priority, as a token bucket over sequenced time."""

    max_order_qty: int = 0
    position_limit: int = 0
    rate_per_s: int = 0
    burst: int = 0
    stp: int = StpMode.NONE

    def as_tuple(self) -> tuple[int, ...]:
        """In the order of the fields, as the native engine takes them."""
        return (self.max_order_qty, self.position_limit, self.rate_per_s, self.burst, int(self.stp))


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What a partition is told before its first command (EngineConfig in config.hpp). Replays under another one diverge."""

    instruments: tuple[InstrumentRules, ...]
    default_limits: FirmLimits = field(default_factory=FirmLimits)
    max_live_orders: int = MAX_LIVE_ORDERS
    limit_state_ns: int = 15_000_000_000
    halt_ns: int = 300_000_000_000
    partitions: int = 1
    partition: int = 0

    def as_tuple(self) -> tuple[list[tuple[int, ...]], tuple[int, ...], int, int, int, int, int]:
        """The plain form that `engine._core.Engine` takes."""
        return (
            [rules.as_tuple() for rules in self.instruments],
            self.default_limits.as_tuple(),
            self.max_live_orders,
            self.limit_state_ns,
            self.halt_ns,
            self.partitions,
            self.partition,
        )


@dataclass(frozen=True, slots=True)
class Command:
    """One input of the engine. What a kind does not name is ignored:

    NEW_ORDER: side ord_type tif firm instrument price_ticks qty stop_price_ticks cl_ord_id. CANCEL: firm order_id.
    REDUCE: firm order_id qty (the new leaves). AMEND: firm order_id price_ticks qty stop_price_ticks (0 keeps), instrument: the order's,
    or ALL_INSTRUMENTS, which is not checked.
    SESSION: instrument or ALL_INSTRUMENTS, state. TIMER: nothing. KILL: firm, qty 1 on, 0 off. MASS_CANCEL: firm, instrument or all.
    LIMITS: firm, qty max_order_qty, price_ticks position_limit, stop_price_ticks rate_per_s, order_id burst, stp.
    CORPORATE_ACTION: instrument, qty new shares per price_ticks old ones, stop_price_ticks dividend. END_OF_DAY: qty yyyymmdd.
    REFERENCE: instrument price_ticks.
    """

    kind: int
    side: int = Side.BUY
    ord_type: int = OrdType.LIMIT
    tif: int = TimeInForce.DAY
    stp: int = StpMode.NONE
    state: int = SessionState.PRE_OPEN
    firm: int = 0
    instrument: int = 0
    price_ticks: int = 0
    qty: int = 0
    stop_price_ticks: int = 0
    order_id: int = 0
    ts_ns: int = 0
    cl_ord_id: str = ""

    def as_tuple(self) -> tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, str]:
        """In the order of the fields: the arguments of `engine._core.Engine.apply`."""
        return (
            self.kind,
            self.side,
            self.ord_type,
            self.tif,
            self.stp,
            self.state,
            self.firm,
            self.instrument,
            self.price_ticks,
            self.qty,
            self.stop_price_ticks,
            self.order_id,
            self.ts_ns,
            self.cl_ord_id,
        )


class Report(NamedTuple):
    """What came of a step of a command, in the order of struct Report (report.hpp): equal to the native engine's plain tuple.

    An order's report tells the order as it stands after the step. `value` and `limit`: the two numbers that decided a refusal, or what
    the exec_type says. cum_notional: ticks times shares; avg_px is cum_notional / cum_qty. A report that tells no order has
    0 for side, type and tif.
    """

    exec_id: int = 0
    seq_num: int = 0
    order_id: int = 0
    trade_id: int = 0
    contra_order_id: int = 0
    firm: int = 0
    instrument: int = 0
    exec_type: int = ExecType.NEW
    ord_status: int = OrdStatus.NEW
    reason: int = RejectReason.NONE
    side: int = 0
    ord_type: int = 0
    tif: int = 0
    liquidity: int = Liquidity.NONE
    stop_price_ticks: int = 0
    price_ticks: int = 0
    last_px_ticks: int = 0
    last_qty: int = 0
    order_qty: int = 0
    cum_qty: int = 0
    leaves_qty: int = 0
    cum_notional: int = 0
    value: int = 0
    limit: int = 0

    def as_tuple(self) -> tuple[int, ...]:
        """Plain integers, as the native engine gives them."""
        return tuple(int(number) for number in self)


class Indicative(NamedTuple):
    """What an uncross would do now; all zero while the book is not crossed. `imbalance`: buys minus sells at that price."""

    price_ticks: int = 0
    qty: int = 0
    imbalance: int = 0


NOT_CROSSED = Indicative()


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

    Live orders: order_qty == cum_qty + leaves_qty; done orders: leaves_qty == 0.
    `seq_num` is the command's place in the log; 0 when the refusal was never logged (LOG_UNAVAILABLE, BAD_COMMAND).
    Of a refusal `value` is what was asked and `limit` what bounds it.
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
    value: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Depth:
    """Aggregated price levels, best first: (price_ticks, qty). `last_trade` is (price_ticks, qty) or None.

    `indicative` is zero in continuous trading."""

    seq_num: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    last_trade: tuple[int, int] | None
    state: SessionState = SessionState.CONTINUOUS
    limit_state: bool = False
    indicative: Indicative = NOT_CROSSED
