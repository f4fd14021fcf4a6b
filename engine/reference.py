"""The matching engine in plain Python: the specification of the native one, and the oracle of its tests.

It is written to be obviously right, not fast: an order is one object in one list per price, found through dictionaries, and
every rule stands in one place. `engine._core.Engine` has the same methods, returns the same tuples and computes the same
`state_hash`; tests/engine/test_lockstep.py holds the two together after every command.

The rules:

- Price-time priority: the best price first, inside a price the oldest order first, at the price of the resting order.
- LIMIT with DAY rests what does not trade at once. MARKET, IOC and FOK never rest: what is left is CANCELLED.
- FOK trades whole or not at all, and this is known before its first trade.
- One command trades with at most MAX_FILLS_PER_COMMAND resting orders; what is left then is CANCELLED, even of a DAY order.
- A duplicate (firm, cl_ord_id) of an accepted order is refused with that order's id, before any other check.
- A cancel or reduce is checked for existence, then for its owner, then for being live. A reduce keeps the order's priority.
- Every command takes the next seq_num, refused or not; only BAD_COMMAND (it cannot be logged) takes none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.types import OrdStatus, OrdType, RejectReason, Side, TimeInForce

MAX_PRICE_TICKS = 10**12
MAX_ORDER_QTY = 10**11
MAX_LIVE_ORDERS = 1 << 24
MAX_FILLS_PER_COMMAND = 32_000
MAX_CL_ORD_ID_LENGTH = 40

FillTuple = tuple[int, int, int, int]
ReplyTuple = tuple[int, int, int, int, int, int, int, list[FillTuple]]
"""(seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, [(trade_id, price_ticks, qty, maker_order_id), ...])"""

_MASK = (1 << 64) - 1


class Digest:
    """FNV-1a over 64-bit words with one xor-shift per word (engine/native/include/exchange/digest.hpp)."""

    def __init__(self) -> None:
        self.value = 0xCBF29CE484222325

    def word(self, *words: int) -> None:
        for word in words:
            mixed = ((self.value ^ (word & _MASK)) * 0x100000001B3) & _MASK
            self.value = mixed ^ (mixed >> 29)

    def text(self, value: str) -> None:
        data = value.encode("ascii")
        padded = data.ljust(-(-len(data) // 8) * 8, b"\0")
        self.word(len(data), *struct.unpack(f"<{len(padded) // 8}Q", padded))


@dataclass(slots=True)
class _Order:
    order_id: int
    firm: int
    instrument: int
    side: int
    price_ticks: int
    leaves_qty: int
    cum_qty: int


class _Book:
    """One instrument: per side, price -> orders, oldest first."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[int, list[_Order]]] = {Side.BUY: {}, Side.SELL: {}}
        self.last_trade: tuple[int, int] | None = None

    def prices(self, side: int) -> list[int]:
        return sorted(self.sides[side], reverse=side == Side.BUY)

    def makers(self, taker: int, limit: int | None) -> Iterator[_Order]:
        """The orders that an incoming order may trade with, in priority order."""
        side = Side.SELL if taker == Side.BUY else Side.BUY
        for price in self.prices(side):
            if limit is not None and (price > limit if taker == Side.BUY else price < limit):
                return
            yield from self.sides[side][price]

    def rest(self, order: _Order) -> None:
        self.sides[order.side].setdefault(order.price_ticks, []).append(order)

    def remove(self, order: _Order) -> None:
        level = self.sides[order.side][order.price_ticks]
        level.remove(order)
        if not level:
            del self.sides[order.side][order.price_ticks]

    def levels(self, side: int, limit: int) -> list[tuple[int, int]]:
        return [(price, sum(order.leaves_qty for order in self.sides[side][price])) for price in self.prices(side)[:limit]]


class ReferenceEngine:
    """Same methods and answers as `engine._core.Engine`; see the module's docstring for the rules."""

    def __init__(self, instrument_max_qty: Sequence[int], max_live_orders: int = MAX_LIVE_ORDERS) -> None:
        if any(not 1 <= max_qty <= MAX_ORDER_QTY for max_qty in instrument_max_qty):
            raise ValueError(f"an instrument's max_qty must lie in 1..{MAX_ORDER_QTY}")
        if not 1 <= max_live_orders <= MAX_LIVE_ORDERS:
            raise ValueError(f"max_live_orders must lie in 1..{MAX_LIVE_ORDERS}")
        self._max_qty = tuple(instrument_max_qty)
        self._max_live_orders = max_live_orders
        self._books = [_Book() for _ in self._max_qty]
        self._live: dict[int, _Order] = {}
        self._owners: list[int] = []
        self._order_ids: dict[tuple[int, str], int] = {}
        self._accepted = Digest()
        self._seq_num = 0
        self._trade_id = 0

    def new_order(
        self, firm: int, instrument: int, side: int, ord_type: int, tif: int, price_ticks: int, qty: int, cl_ord_id: str, ts_ns: int
    ) -> ReplyTuple:
        del ts_ns  # logged, and no rule depends on it yet
        if not _well_formed(side, ord_type, tif, cl_ord_id):
            return (0, 0, OrdStatus.REJECTED, RejectReason.BAD_COMMAND, 0, 0, 0, [])
        self._seq_num += 1
        original = self._order_ids.get((firm, cl_ord_id), 0) if cl_ord_id else 0
        if original:
            return self._rejected(original, RejectReason.DUPLICATE_CL_ORD_ID, qty)
        may_rest = ord_type == OrdType.LIMIT and tif == TimeInForce.DAY
        limit = price_ticks if ord_type == OrdType.LIMIT else None
        reason = self._check_new(instrument, limit, qty, may_rest)
        if reason is not RejectReason.NONE:
            return self._rejected(0, reason, qty)
        order_id = self._accept(firm, cl_ord_id)
        book = self._books[instrument]
        killed = tif == TimeInForce.FOK and not _can_fill(book, side, limit, qty)
        fills = [] if killed else self._match(book, side, limit, qty)
        cum = sum(fill[2] for fill in fills)
        left = qty - cum
        if left and may_rest and len(fills) < MAX_FILLS_PER_COMMAND:
            order = _Order(order_id, firm, instrument, side, price_ticks, left, cum)
            book.rest(order)
            self._live[order_id] = order
            return (self._seq_num, order_id, _live_status(cum), RejectReason.NONE, qty, cum, left, fills)
        return (self._seq_num, order_id, OrdStatus.CANCELLED if left else OrdStatus.FILLED, RejectReason.NONE, qty, cum, 0, fills)

    def cancel(self, firm: int, order_id: int, ts_ns: int) -> ReplyTuple:
        del ts_ns
        self._seq_num += 1
        order = self._find_live(firm, order_id)
        if isinstance(order, RejectReason):
            return self._rejected(order_id, order)
        self._books[order.instrument].remove(order)
        del self._live[order_id]
        order_qty = order.cum_qty + order.leaves_qty
        return (self._seq_num, order_id, OrdStatus.CANCELLED, RejectReason.NONE, order_qty, order.cum_qty, 0, [])

    def reduce(self, firm: int, order_id: int, new_leaves_qty: int, ts_ns: int) -> ReplyTuple:
        del ts_ns
        self._seq_num += 1
        order = self._find_live(firm, order_id)
        if isinstance(order, RejectReason):
            return self._rejected(order_id, order)
        if not 0 < new_leaves_qty < order.leaves_qty:
            return self._rejected(order_id, RejectReason.BAD_QUANTITY)
        order.leaves_qty = new_leaves_qty
        order_qty = order.cum_qty + new_leaves_qty
        status = _live_status(order.cum_qty)
        return (self._seq_num, order_id, status, RejectReason.NONE, order_qty, order.cum_qty, new_leaves_qty, [])

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]], tuple[int, int] | None]:
        if instrument >= len(self._books):
            return ([], [], None)
        book = self._books[instrument]
        return (book.levels(Side.BUY, levels), book.levels(Side.SELL, levels), book.last_trade)

    def state_hash(self) -> int:
        """Over the configuration, the counters, every accepted (order id, firm, cl_ord_id), and per book its last trade, levels and
        resting orders in priority order. Two engines with the same hash answer every further command alike."""
        digest = Digest()
        digest.word(self._config_digest(), self._seq_num, len(self._owners), self._trade_id, self._accepted.value)
        for book in self._books:
            digest.word(*(book.last_trade or (0, 0)))
            for side, orders_at in book.sides.items():
                for price, level_qty in book.levels(side, len(orders_at)):
                    digest.word(price, level_qty)
                    for order in orders_at[price]:
                        digest.word(order.order_id, order.firm, order.instrument, order.side)
                        digest.word(order.price_ticks, order.leaves_qty, order.cum_qty)
        return digest.value

    def last_seq_num(self) -> int:
        return self._seq_num

    def live_orders(self) -> int:
        return len(self._live)

    def _config_digest(self) -> int:
        digest = Digest()
        digest.word(self._max_live_orders, len(self._max_qty), *self._max_qty)
        return digest.value

    def _check_new(self, instrument: int, limit: int | None, qty: int, may_rest: bool) -> RejectReason:
        if instrument >= len(self._books):
            return RejectReason.UNKNOWN_INSTRUMENT
        if limit is not None and not 0 < limit <= MAX_PRICE_TICKS:
            return RejectReason.BAD_PRICE
        if not 0 < qty <= self._max_qty[instrument]:
            return RejectReason.BAD_QUANTITY
        if may_rest and len(self._live) >= self._max_live_orders:
            return RejectReason.BOOK_FULL
        return RejectReason.NONE

    def _accept(self, firm: int, cl_ord_id: str) -> int:
        self._owners.append(firm)
        order_id = len(self._owners)
        self._accepted.word(order_id, firm)
        self._accepted.text(cl_ord_id)
        if cl_ord_id:
            self._order_ids[(firm, cl_ord_id)] = order_id
        return order_id

    def _match(self, book: _Book, side: int, limit: int | None, qty: int) -> list[FillTuple]:
        fills: list[FillTuple] = []
        left = qty
        for maker in list(book.makers(side, limit)):
            if not left or len(fills) >= MAX_FILLS_PER_COMMAND:
                break
            traded = min(left, maker.leaves_qty)
            left -= traded
            maker.leaves_qty -= traded
            maker.cum_qty += traded
            self._trade_id += 1
            book.last_trade = (maker.price_ticks, traded)
            fills.append((self._trade_id, maker.price_ticks, traded, maker.order_id))
            if not maker.leaves_qty:
                book.remove(maker)
                del self._live[maker.order_id]
        return fills

    def _find_live(self, firm: int, order_id: int) -> _Order | RejectReason:
        if not 0 < order_id <= len(self._owners):
            return RejectReason.UNKNOWN_ORDER
        if self._owners[order_id - 1] != firm:
            return RejectReason.NOT_OWNER
        return self._live.get(order_id, RejectReason.TOO_LATE)

    def _rejected(self, order_id: int, reason: RejectReason, qty: int = 0) -> ReplyTuple:
        return (self._seq_num, order_id, OrdStatus.REJECTED, reason, qty, 0, 0, [])


def _well_formed(side: int, ord_type: int, tif: int, cl_ord_id: str) -> bool:
    known = side in set(Side) and ord_type in set(OrdType) and tif in set(TimeInForce)
    return known and len(cl_ord_id) <= MAX_CL_ORD_ID_LENGTH and all(" " <= char <= "~" for char in cl_ord_id)


def _can_fill(book: _Book, side: int, limit: int | None, qty: int) -> bool:
    makers = list(book.makers(side, limit))[:MAX_FILLS_PER_COMMAND]
    return sum(maker.leaves_qty for maker in makers) >= qty


def _live_status(cum_qty: int) -> OrdStatus:
    return OrdStatus.PARTIALLY_FILLED if cum_qty else OrdStatus.NEW
