"""LOBSTER files: a real exchange's order flow, with its true book after every message, made into commands for an engine.

A message file names orders by the exchange's ids; the book file of the same length holds the best levels after each message. Two
things are missing from them, and both have to be found in the rows:

- Orders that rested before the first line have no "new" message. Their quantity is in the rows; those that a later message names
  (reduced, deleted, executed) become orders of their own, in the queue in the order of their executions, which is the order of
  their age; what nobody names comes last, as one order.
- Changes beyond the last level of the file are not in the messages. A level that was never in view is seeded from the row that
  first shows it. One that was in view, left, and comes back changed needs a command in between; those commands are marked `unseen`
  and act on levels that nobody can see at that moment.

The result is exact or refused: where rows and messages contradict each other, LobsterError names the line. Prices stay in the
file's unit (dollars x 10,000), one tick each. Executions become IOC orders of the other side; executions of hidden orders (kind 5) and
halts change no visible book and yield nothing.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from pathlib import Path

from engine.types import Side

NANOSECONDS = 10**9
NO_PRICE = 9_999_999_999
"""What the files write, with either sign, where a book has fewer levels."""
BEFORE_FIRST = -1
"""The line number of what rested before the first message."""

Levels = tuple[tuple[int, int], ...]
"""(price_ticks, qty), best first."""
Place = tuple[Side, int]
"""One price level: side and price_ticks."""


class LobsterError(ValueError):
    """Files that are malformed, or whose rows and messages contradict each other. Names the line, from 1."""


class Kind(IntEnum):
    NEW = 1
    REDUCE = 2
    DELETE = 3
    EXECUTE = 4
    EXECUTE_HIDDEN = 5
    CROSS = 6
    HALT = 7


@dataclass(frozen=True, slots=True)
class Message:
    """One line. `side` is the resting order's, also of an execution; time_ns counts from midnight."""

    time_ns: int
    kind: Kind
    order_id: int
    qty: int
    price_ticks: int
    side: Side


@dataclass(frozen=True, slots=True)
class BookRow:
    """The best levels after one message; `depth` is how many the file can show."""

    bids: Levels
    asks: Levels
    depth: int

    def levels(self, side: Side) -> Levels:
        return self.bids if side is Side.BUY else self.asks

    def shows(self, side: Side, price_ticks: int) -> bool:
        """True when the row tells this price's quantity; a price inside the view without a level has none."""
        levels = self.levels(side)
        if len(levels) < self.depth:
            return True
        worst = levels[-1][0]
        return price_ticks >= worst if side is Side.BUY else price_ticks <= worst


@dataclass(frozen=True, slots=True)
class SeedOrder:
    """An order that rested already. `order_id` is the file's, or negative when no message names it."""

    order_id: int
    side: Side
    price_ticks: int
    qty: int


@dataclass(frozen=True, slots=True)
class Enter:
    """A limit order that rests. `line` is the message's index from 0; `unseen`: the message's row made it known, not the message."""

    line: int
    time_ns: int
    order_id: int
    side: Side
    price_ticks: int
    qty: int
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Reduce:
    line: int
    time_ns: int
    order_id: int
    new_leaves_qty: int
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    line: int
    time_ns: int
    order_id: int
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Execute:
    """An incoming IOC limit order of `side` that must trade its whole quantity with `maker_order_id`."""

    line: int
    time_ns: int
    maker_order_id: int
    side: Side
    price_ticks: int
    qty: int


Command = Enter | Reduce | Cancel | Execute


def read_messages(path: Path) -> list[Message]:
    messages = []
    with path.open(newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            try:
                time_s, kind, order_id, qty, price, direction = row
                side = {1: Side.BUY, -1: Side.SELL}[int(direction)]
                time_ns = int(Decimal(time_s) * NANOSECONDS)
                messages.append(Message(time_ns, Kind(int(kind)), int(order_id), int(qty), int(price), side))
            except (ValueError, ArithmeticError, KeyError) as error:
                raise LobsterError(f"{path}: line {number}: not a message of six fields: {row}") from error
    return messages


def read_book(path: Path) -> list[BookRow]:
    rows = []
    with path.open(newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            try:
                values = [int(value) for value in row]
                if not values or len(values) % 4:
                    raise ValueError("fields come in fours")
                asks, bids = zip(values[0::4], values[1::4], strict=True), zip(values[2::4], values[3::4], strict=True)
                rows.append(BookRow(_present(bids), _present(asks), len(values) // 4))
            except ValueError as error:
                raise LobsterError(f"{path}: line {number}: not a row of levels of four numbers each") from error
    return rows


def _present(levels: Iterable[tuple[int, int]]) -> Levels:
    return tuple((price, qty) for price, qty in levels if abs(price) != NO_PRICE and qty > 0)


def seed_orders(messages: Sequence[Message], books: Sequence[BookRow]) -> list[SeedOrder]:
    """What to enter first, oldest first within a price."""
    return _Plan(messages, books).arrivals(BEFORE_FIRST)


def to_commands(messages: Sequence[Message], books: Sequence[BookRow]) -> Iterator[Command]:
    """The messages as commands, after the seed orders were entered, with unseen changes right before the line that shows them."""
    plan = _Plan(messages, books)
    resting = _Resting(plan.named_until)
    for seed in plan.arrivals(BEFORE_FIRST):
        resting.add(seed)
    for line, message in enumerate(messages):
        for seed in plan.arrivals(line):
            resting.add(seed)
            yield Enter(line, message.time_ns, seed.order_id, seed.side, seed.price_ticks, seed.qty, unseen=True)
        for place, qty in plan.departures[line]:
            yield from resting.take_unseen(line, message.time_ns, place, qty)
        yield from resting.follow(line, message)


def _change(message: Message) -> int:
    """What a message does to the quantity of its level."""
    if message.kind is Kind.NEW:
        return message.qty
    return -message.qty if message.kind in (Kind.REDUCE, Kind.DELETE, Kind.EXECUTE) else 0


@dataclass(slots=True)
class _Named:
    """An order without a "new" message, as the messages that name it show it."""

    order_id: int
    place: Place
    first_line: int
    first_execution: int
    qty: int = 0


@dataclass(slots=True)
class _Chunk:
    """Quantity that came to a place unseen, before `line`; the row of `shown_at` told. `orders` are those of it that have names."""

    line: int
    shown_at: int
    qty: int
    orders: list[_Named] = field(default_factory=list)

    def unnamed_qty(self) -> int:
        return self.qty - sum(order.qty for order in self.orders)


class _Plan:
    """Finds, from rows and messages together, what arrived and left unseen."""

    def __init__(self, messages: Sequence[Message], books: Sequence[BookRow]) -> None:
        if len(messages) != len(books):
            raise LobsterError(f"{len(messages)} messages but {len(books)} rows of the book")
        self.departures: dict[int, list[tuple[Place, int]]] = defaultdict(list)
        self.named_until: dict[int, int] = {message.order_id: line for line, message in enumerate(messages)}
        self._chunks: dict[Place, list[_Chunk]] = defaultdict(list)
        self._qty: dict[Side, dict[int, int]] = {side: {} for side in Side}
        """What rests now: price_ticks -> qty, per side, no zeros."""
        self._widest: dict[Side, BookRow] = {}
        """Per side the row so far that showed most of it."""
        if messages:
            self._read_rows(messages, books)
            self._assign(_named_without_new(messages))
        self._by_line = self._orders_by_line()

    def arrivals(self, line: int) -> list[SeedOrder]:
        return self._by_line.get(line, [])

    def _read_rows(self, messages: Sequence[Message], books: Sequence[BookRow]) -> None:
        before: BookRow | None = None
        for line, (message, row) in enumerate(zip(messages, books, strict=True)):
            if change := _change(message):
                self._apply(line, (message.side, message.price_ticks), change, before)
            for side in Side:
                self._compare(line, side, row, before)
                self._remember(side, row)
            before = row

    def _apply(self, line: int, place: Place, change: int, before: BookRow | None) -> None:
        missing = -change - self._resting(place)
        if missing > 0:
            if before is not None and before.shows(*place):
                raise LobsterError(f"line {line + 1}: the message takes more than the row before it shows at {place[0].name} {place[1]}")
            self._arrive(line, place, missing)
        self._add(place, change)

    def _compare(self, line: int, side: Side, row: BookRow, before: BookRow | None) -> None:
        shown = dict(row.levels(side))
        in_view = [price for price in self._qty[side] if row.shows(side, price)]
        for price in sorted(shown.keys() | in_view):
            difference = shown.get(price, 0) - self._resting((side, price))
            if difference and before is not None and before.shows(side, price):
                raise LobsterError(f"line {line + 1}: the row shows {difference:+d} at {side.name} {price}, which no message explains")
            if difference > 0:
                self._arrive(line, (side, price), difference)
            elif difference < 0:
                self.departures[line].append(((side, price), -difference))
                self._add((side, price), difference)

    def _remember(self, side: Side, row: BookRow) -> None:
        levels = row.levels(side)
        if side not in self._widest or len(levels) < row.depth or not self._widest[side].shows(side, levels[-1][0]):
            self._widest[side] = row

    def _arrive(self, line: int, place: Place, qty: int) -> None:
        """A level that no row before this one could show may as well have rested from the start."""
        side, price = place
        chunks = self._chunks[place]
        shown_before = side in self._widest and self._widest[side].shows(side, price)
        if chunks and chunks[-1].shown_at == line:
            chunks[-1].qty += qty
        else:
            chunks.append(_Chunk(line if shown_before or chunks else BEFORE_FIRST, line, qty))
        self._add(place, qty)

    def _resting(self, place: Place) -> int:
        return self._qty[place[0]].get(place[1], 0)

    def _add(self, place: Place, change: int) -> None:
        side, price = place
        left = self._resting(place) + change
        if left:
            self._qty[side][price] = left
        else:
            self._qty[side].pop(price, None)

    def _assign(self, named: Iterable[_Named]) -> None:
        for order in sorted(named, key=lambda one: (one.first_execution, one.first_line)):
            fitting = [c for c in self._chunks[order.place] if c.line <= order.first_line and c.unnamed_qty() >= order.qty]
            if not fitting:
                raise LobsterError(f"line {order.first_line + 1}: no room in the rows before it for order {order.order_id}")
            fitting[0].orders.append(order)

    def _orders_by_line(self) -> dict[int, list[SeedOrder]]:
        made: dict[int, list[SeedOrder]] = defaultdict(list)
        unnamed_id = 0
        for (side, price), chunks in sorted(self._chunks.items()):
            for chunk in chunks:
                made[chunk.line] += [SeedOrder(order.order_id, side, price, order.qty) for order in chunk.orders]
                if rest := chunk.unnamed_qty():
                    unnamed_id -= 1
                    made[chunk.line].append(SeedOrder(unnamed_id, side, price, rest))
        return made


def _named_without_new(messages: Sequence[Message]) -> Iterable[_Named]:
    seen: set[int] = set()
    named: dict[int, _Named] = {}
    for line, message in enumerate(messages):
        change = _change(message)
        if change > 0:
            seen.add(message.order_id)
        elif change < 0 and message.order_id not in seen:
            place = (message.side, message.price_ticks)
            order = named.setdefault(message.order_id, _Named(message.order_id, place, line, len(messages)))
            order.qty += message.qty
            if message.kind is Kind.EXECUTE:
                order.first_execution = min(order.first_execution, line)
    return named.values()


class _Resting:
    """What rests while the commands are made: leaves by order, orders by place."""

    def __init__(self, named_until: dict[int, int]) -> None:
        self._named_until = named_until
        self._leaves: dict[int, int] = {}
        self._at: dict[Place, list[int]] = defaultdict(list)

    def add(self, order: SeedOrder) -> None:
        self._leaves[order.order_id] = order.qty
        self._at[(order.side, order.price_ticks)].append(order.order_id)

    def follow(self, line: int, message: Message) -> Iterator[Command]:
        order_id, side, price = message.order_id, message.side, message.price_ticks
        if message.kind is Kind.NEW:
            self.add(SeedOrder(order_id, side, price, message.qty))
            yield Enter(line, message.time_ns, order_id, side, price, message.qty)
        elif message.kind in (Kind.REDUCE, Kind.DELETE):
            yield self._lower(line, message.time_ns, (side, price), order_id, message.qty)
        elif message.kind is Kind.EXECUTE:
            self._lower(line, message.time_ns, (side, price), order_id, message.qty)
            taker = Side.SELL if side is Side.BUY else Side.BUY
            yield Execute(line, message.time_ns, order_id, taker, price, message.qty)

    def take_unseen(self, line: int, time_ns: int, place: Place, qty: int) -> Iterator[Command]:
        """Takes quantity off a place nobody can see, from orders that no later message names, the youngest first."""
        left = qty
        free = [one for one in reversed(self._at[place]) if self._named_until.get(one, BEFORE_FIRST) < line]
        for order_id in free:
            if not left:
                return
            taken = min(left, self._leaves[order_id])
            left -= taken
            yield self._lower(line, time_ns, place, order_id, taken, unseen=True)
        if left:
            raise LobsterError(f"line {line + 1}: {left} left {place[0].name} {place[1]} unseen, but only named orders rest there")

    def _lower(self, line: int, time_ns: int, place: Place, order_id: int, qty: int, *, unseen: bool = False) -> Reduce | Cancel:
        leaves = self._leaves.get(order_id, 0) - qty
        if leaves < 0:
            raise LobsterError(f"line {line + 1}: order {order_id} has not the {qty} that the message takes")
        self._leaves[order_id] = leaves
        if leaves:
            return Reduce(line, time_ns, order_id, leaves, unseen)
        del self._leaves[order_id]
        self._at[place].remove(order_id)
        return Cancel(line, time_ns, order_id, unseen)
