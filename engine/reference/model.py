"""What the reference engine remembers, and how it reports: orders, books, firms, positions, counters."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.types import (
    MAX_INSTRUMENTS,
    MAX_LIVE_ORDERS,
    MAX_ORDER_QTY,
    MAX_PARTITIONS,
    MAX_PRICE_TICKS,
    EngineConfig,
    ExecType,
    FirmLimits,
    InstrumentRules,
    Liquidity,
    OrdStatus,
    OrdType,
    RejectReason,
    Report,
    SessionState,
    Side,
    StpMode,
)

TOKEN = 10**9
"""One order's share of a token bucket: tokens are counted in order-nanoseconds per second, so that no division is needed."""
MAX_POSITION_LIMIT = 10**15
MAX_RATE = 10**7
DAY_NS = 86_400 * 10**9
MAX_INT64 = 2**63 - 1
"""The largest number of a refusal; what is larger is told as this."""

_MASK = (1 << 64) - 1


class Digest:
    """FNV-1a over 64-bit words with one xor-shift per word (engine/native/include/exchange/digest.hpp)."""

    def __init__(self) -> None:
        self.value = 0xCBF29CE484222325

    def word(self, *words: int) -> None:
        """Negative numbers count as their 64-bit two's complement."""
        value = self.value
        for word in words:
            mixed = ((value ^ (word & _MASK)) * 0x100000001B3) & _MASK
            value = mixed ^ (mixed >> 29)
        self.value = value

    def text(self, value: str) -> None:
        """The length, then the bytes in little-endian words, the last one padded with zeros."""
        data = value.encode("ascii")
        padded = data.ljust(-(-len(data) // 8) * 8, b"\0")
        self.word(len(data), *struct.unpack(f"<{len(padded) // 8}Q", padded))


class Refusal(NamedTuple):
    """Why a command was refused, or an order changed or ended that nobody asked to, and the two numbers that decided it. `order_id`: the
    original of a duplicate."""

    reason: RejectReason
    value: int = 0
    limit: int = 0
    order_id: int = 0


NO_REASON = Refusal(RejectReason.NONE)


@dataclass(slots=True, eq=False)
class Order:
    """An accepted order. While it is live, order_qty == cum_qty + leaves_qty."""

    order_id: int
    firm: int
    instrument: int
    side: int
    ord_type: int
    tif: int
    price_ticks: int
    stop_price_ticks: int
    order_qty: int
    leaves_qty: int
    cl_ord_id: str
    cum_qty: int = 0
    cum_notional: int = 0
    untriggered: bool = False
    """A stop that waits for its trigger."""

    @property
    def acts_as_market(self) -> bool:
        """Whether it comes in without a price of its own (a STOP does so once it is triggered)."""
        return self.ord_type in (OrdType.MARKET, OrdType.STOP)

    def words(self) -> tuple[int, ...]:
        """What the state hash covers of a live order."""
        return (
            self.order_id,
            self.firm,
            self.side,
            self.ord_type,
            self.tif,
            self.price_ticks,
            self.stop_price_ticks,
            self.leaves_qty,
            self.cum_qty,
            self.cum_notional,
        )


Queues = dict[int, list[Order]]
"""Price -> orders, oldest first; no price without an order."""
Bands = tuple[int, int]
"""(lower, upper): the prices at which continuous trading may happen."""


def opposite(side: int) -> Side:
    """The other side."""
    return Side.SELL if side == Side.BUY else Side.BUY


@dataclass(slots=True, eq=False)
class Book:
    """One instrument: its rules, its orders and where it stands."""

    rules: InstrumentRules
    state: int
    reference_ticks: int
    sides: dict[int, Queues] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})
    stops: dict[int, Queues] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})
    last_trade: tuple[int, int] | None = None
    limit_state_until: int | None = None
    halted_until: int | None = None
    step_low: int | None = None
    """The lowest trade price of the present step; step_high likewise."""
    step_high: int | None = None

    def prices(self, side: int) -> list[int]:
        """Resting prices, best first."""
        return sorted(self.sides[side], reverse=side == Side.BUY)

    def stop_prices(self, side: int) -> list[int]:
        """Waiting stop prices, first to be reached first."""
        return sorted(self.stops[side], reverse=side == Side.SELL)

    def best_price(self, side: int) -> int | None:
        """The best resting price."""
        prices = self.sides[side]
        if not prices:
            return None
        return max(prices) if side == Side.BUY else min(prices)

    def resting(self, side: int) -> Iterator[Order]:
        """The resting orders of one side in priority order."""
        for price in self.prices(side):
            yield from self.sides[side][price]

    def orders(self) -> list[Order]:
        """Every live order in the order in which all rules go through them."""
        stops = [order for side in Side for price in self.stop_prices(side) for order in self.stops[side][price]]
        return [*self.resting(Side.BUY), *self.resting(Side.SELL), *stops]

    def queues(self, order: Order) -> tuple[Queues, int]:
        """Where a live order is kept, and under which price."""
        if order.untriggered:
            return self.stops[order.side], order.stop_price_ticks
        return self.sides[order.side], order.price_ticks

    def enter(self, order: Order) -> None:
        """At the tail of its price."""
        queues, price = self.queues(order)
        queues.setdefault(price, []).append(order)

    def remove(self, order: Order) -> None:
        """Out of its queue."""
        queues, price = self.queues(order)
        queues[price].remove(order)
        if not queues[price]:
            del queues[price]

    def levels(self, side: int, limit: int) -> list[tuple[int, int]]:
        """The best prices with the sums of their orders."""
        return [(price, sum(order.leaves_qty for order in self.sides[side][price])) for price in self.prices(side)[:limit]]

    def anchor(self) -> int | None:
        """What a price is compared with: the last trade price, else the reference."""
        if self.last_trade:
            return self.last_trade[0]
        return self.reference_ticks or None

    def bands(self) -> Bands | None:
        """The price band around the reference. None: no band."""
        bps, reference = self.rules.luld_bps, self.reference_ticks
        if not bps or not reference:
            return None
        return (-(-reference * (10_000 - bps) // 10_000), reference * (10_000 + bps) // 10_000)

    def clear_timers(self) -> None:
        """No limit state and no end of a halt."""
        self.limit_state_until = self.halted_until = None

    def timer(self) -> tuple[int, int]:
        """(0 none, 1 limit state, 2 halt; deadline or 0)."""
        if self.limit_state_until is not None:
            return (1, self.limit_state_until)
        if self.halted_until is not None:
            return (2, self.halted_until)
        return (0, 0)


@dataclass(slots=True, eq=False)
class Firm:
    """A firm's row: limits, kill switch, token bucket."""

    limits: FirmLimits
    tokens: int
    last_ns: int
    killed: bool = False


@dataclass(slots=True, eq=False)
class Cell:
    """What a firm holds in an instrument, and what it did there today."""

    net: int = 0
    bought: int = 0
    sold: int = 0
    cash: int = 0
    maker_qty: int = 0
    taker_qty: int = 0


class State:
    """Everything a partition remembers, and the reports of the present command."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.books = [Book(rules, rules.initial_state, rules.reference_ticks) for rules in config.instruments]
        self.live: dict[int, Order] = {}
        self.owners: dict[int, int] = {}
        self.order_ids: dict[tuple[int, str], int] = {}
        self.accepted_count = 0
        self.accepted_digest = Digest()
        self.trade_count = 0
        self.exec_id = 0
        self.seq_num = 0
        self.now_ns = 0
        self.step_ns = 0
        """What new deadlines count from: now, or the deadline of the timer that fires."""
        self.firms: dict[int, Firm] = {}
        self.cells: dict[tuple[int, int], Cell] = {}
        self.reports: list[Report] = []

    def report(self, exec_type: int, **fields: Any) -> None:
        """Adds the next report of the present command."""
        self.exec_id += 1
        self.reports.append(Report(exec_id=self.exec_id, seq_num=self.seq_num, exec_type=exec_type, **fields))

    def order_report(self, order: Order, exec_type: int, why: Refusal = NO_REASON, **fields: Any) -> None:
        """The order as it stands now; CANCELLED and EXPIRED leave nothing of it."""
        gone = {ExecType.CANCELLED: OrdStatus.CANCELLED, ExecType.EXPIRED: OrdStatus.EXPIRED}.get(ExecType(exec_type))
        done = OrdStatus.FILLED if exec_type == ExecType.TRADE and not order.leaves_qty else None
        live = OrdStatus.PARTIALLY_FILLED if order.cum_qty else OrdStatus.NEW
        self.report(
            exec_type,
            order_id=order.order_id,
            firm=order.firm,
            instrument=order.instrument,
            ord_status=gone or done or live,
            reason=why.reason,
            value=why.value,
            limit=why.limit,
            side=order.side,
            ord_type=order.ord_type,
            tif=order.tif,
            price_ticks=order.price_ticks,
            stop_price_ticks=order.stop_price_ticks,
            order_qty=order.order_qty,
            cum_qty=order.cum_qty,
            leaves_qty=0 if gone else order.leaves_qty,
            cum_notional=order.cum_notional,
            **fields,
        )

    def enter(self, order: Order) -> None:
        """Into the book (or the stops), live from now on."""
        self.books[order.instrument].enter(order)
        self.live[order.order_id] = order

    def remove(self, order: Order) -> None:
        """Out of the book; it may come back."""
        self.books[order.instrument].remove(order)
        del self.live[order.order_id]

    def end(self, order: Order, exec_type: int, why: Refusal = NO_REASON) -> None:
        """A live order is cancelled or expires."""
        self.remove(order)
        self.order_report(order, exec_type, why)

    def firm(self, firm_id: int) -> Firm:
        """The firm's row, made with the default limits and a full bucket when there is none."""
        if firm_id not in self.firms:
            limits = self.config.default_limits
            self.firms[firm_id] = Firm(limits, limits.burst * TOKEN, self.now_ns)
        return self.firms[firm_id]

    def open_qty(self, firm_id: int, instrument: int, side: int) -> int:
        """What the firm's live orders of one side, stops too, still ask for."""
        orders = self.books[instrument].orders()
        return sum(order.leaves_qty for order in orders if order.firm == firm_id and order.side == side)

    def positions(self) -> list[tuple[int, ...]]:
        """(firm, instrument, net, open_buy, open_sell, bought, sold, cash, maker_qty, taker_qty), ascending."""
        open_qty: dict[tuple[int, int, int], int] = {}
        for order in self.live.values():
            key = (order.firm, order.instrument, order.side)
            open_qty[key] = open_qty.get(key, 0) + order.leaves_qty
        rows = []
        for (firm, instrument), cell in sorted(self.cells.items()):
            opened = [open_qty.get((firm, instrument, side), 0) for side in Side]
            rows.append((firm, instrument, cell.net, *opened, cell.bought, cell.sold, cell.cash, cell.maker_qty, cell.taker_qty))
        return rows

    def next_id(self, count: int) -> int:
        """The id of the count-th order or trade (from 1) of this partition."""
        return (count - 1) * self.config.partitions + self.config.partition + 1

    def trade(self, book: Book, price: int, first: tuple[Order, Liquidity], second: tuple[Order, Liquidity]) -> None:
        """One execution between two orders of opposite sides; the first one is reported first."""
        qty = min(first[0].leaves_qty, second[0].leaves_qty)
        self.trade_count += 1
        book.last_trade = (price, qty)
        book.step_low = price if book.step_low is None else min(book.step_low, price)
        book.step_high = price if book.step_high is None else max(book.step_high, price)
        for order, liquidity in (first, second):
            self._fill(order, price, qty, liquidity)
        for (order, liquidity), contra in ((first, second[0]), (second, first[0])):
            self.order_report(
                order,
                ExecType.TRADE,
                trade_id=self.next_id(self.trade_count),
                contra_order_id=contra.order_id,
                liquidity=liquidity,
                last_px_ticks=price,
                last_qty=qty,
            )

    def _fill(self, order: Order, price: int, qty: int, liquidity: int) -> None:
        order.leaves_qty -= qty
        order.cum_qty += qty
        order.cum_notional += price * qty
        if not order.leaves_qty and order.order_id in self.live:
            self.remove(order)
        cell = self.cells[order.firm, order.instrument]
        if order.side == Side.BUY:
            cell.net, cell.bought, cell.cash = cell.net + qty, cell.bought + qty, wrapped(cell.cash - price * qty)
        else:
            cell.net, cell.sold, cell.cash = cell.net - qty, cell.sold + qty, wrapped(cell.cash + price * qty)
        cell.maker_qty += qty if liquidity == Liquidity.MAKER else 0
        cell.taker_qty += qty if liquidity == Liquidity.TAKER else 0


def wrapped(number: int) -> int:
    """As a signed 64-bit number, like the native engine's."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def limit_out_of_range(limits: FirmLimits) -> tuple[int, int] | None:
    """The first of a firm's limits that is out of range, and the bound it breaks. A rate without a burst would refuse everything."""
    return first_out_of_range(
        (limits.max_order_qty, 0, MAX_ORDER_QTY),
        (limits.position_limit, 0, MAX_POSITION_LIMIT),
        (limits.rate_per_s, 0, MAX_RATE),
        (limits.burst, 1 if limits.rate_per_s else 0, MAX_RATE),
    )


def first_out_of_range(*bounds: tuple[int, int, int]) -> tuple[int, int] | None:
    """Of (value, least, most) the first value that is not between its two, and the one it breaks."""
    for value, least, most in bounds:
        if not least <= value <= most:
            return value, least if value < least else most
    return None


def check_config(config: EngineConfig) -> None:
    """Raises ValueError naming the field."""
    for rules in config.instruments:
        _check_rules(rules)
    limits = config.default_limits
    ranges = (
        ("instruments", len(config.instruments), 1, MAX_INSTRUMENTS),
        ("max_live_orders", config.max_live_orders, 1, MAX_LIVE_ORDERS),
        ("limit_state_ns", config.limit_state_ns, 1, DAY_NS),
        ("halt_ns", config.halt_ns, 1, DAY_NS),
        ("partitions", config.partitions, 1, MAX_PARTITIONS),
        ("partition", config.partition, 0, config.partitions - 1),
    )
    for name, value, low, high in ranges:
        _check_range(name, value, low, high)
    if limit_out_of_range(limits) is not None or limits.stp not in set(StpMode):
        raise ValueError(f"default_limits make no sense: {limits}")


def _check_rules(rules: InstrumentRules) -> None:
    _check_range("max_qty", rules.max_qty, 1, MAX_ORDER_QTY)
    _check_range("reference_ticks", rules.reference_ticks, 0, MAX_PRICE_TICKS)
    _check_range("luld_bps", rules.luld_bps, 0, 9_999)
    _check_range("collar_bps", rules.collar_bps, 0, 9_999)
    _check_range("market_notional_cap", rules.market_notional_cap, 0, MAX_PRICE_TICKS * MAX_ORDER_QTY)
    if rules.fat_finger_pct:  # below 100 it would refuse an order at the last trade price
        _check_range("fat_finger_pct", rules.fat_finger_pct, 100, 100_000)
    _check_range("initial_state", rules.initial_state, min(SessionState), max(SessionState))


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in {low}..{high}, not {value}")


def config_digest(config: EngineConfig) -> int:
    """What a log is bound to: replaying it under other rules would diverge."""
    digest = Digest()
    digest.word(2, config.max_live_orders, config.partitions, config.partition, config.limit_state_ns, config.halt_ns)
    digest.word(*config.default_limits.as_tuple(), len(config.instruments))
    for rules in config.instruments:
        digest.word(*rules.as_tuple())
    return digest.value
