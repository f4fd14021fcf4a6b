"""A made-up sample in LOBSTER's file format, for trying `exchange flow --lobster` without anybody's data.

It has the traits of the real files that make a replay hard: orders that rested before the first line and appear by id
only, odd lots, partial cancels, executions in queue order, and levels past the tenth that come into view later.
Real samples: lobsterdata.com, "Data samples".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random  # noqa: TID251 - the type of an argument; nothing is seeded here

from engine.config import VenueError

LEVELS = 10
START_LEVELS = 40
PRICE_UNIT = 100
"""Files count ten-thousandths of a dollar; one cent is 100 of them."""
MID_CENTS = 20_000
BUY, SELL = 1, -1
EMPTY_ASK, EMPTY_BID = 9_999_999_999, -9_999_999_999


@dataclass(slots=True)
class _Order:
    order_id: int
    qty: int
    cents: int
    side: int


class _Book:
    """Slow and obvious: a list of orders per price, oldest first."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._levels: dict[tuple[int, int], list[_Order]] = {}
        self.next_id = 1_000_001
        for side in (BUY, SELL):
            for step in range(1, START_LEVELS + 1):
                for _ in range(random.randint(1, 3)):
                    self.add(side, MID_CENTS - side * step, self._size())

    def _size(self) -> int:
        return self._random.choice((1, 18, 50, 100, 100, 100, 200, 300, 500))

    def best(self, side: int) -> int:
        return -side * min(-side * cents for (other, cents) in self._levels if other == side) if self.count(side) else 0

    def count(self, side: int) -> int:
        return sum(1 for other, _ in self._levels if other == side)

    def orders(self) -> list[_Order]:
        return [order for level in self._levels.values() for order in level]

    def add(self, side: int, cents: int, qty: int) -> _Order:
        order = _Order(self.next_id, qty, cents, side)
        self.next_id += self._random.randint(1, 9)
        self._levels.setdefault((side, cents), []).append(order)
        return order

    def take(self, order: _Order, qty: int) -> None:
        order.qty -= qty
        level = self._levels[order.side, order.cents]
        if order.qty == 0:
            level.remove(order)
        if not level:
            del self._levels[order.side, order.cents]

    def first(self, side: int) -> _Order:
        return self._levels[side, self.best(side)][0]

    def shows(self, order: _Order) -> bool:
        """Whether the order's level is among those of a row. An unseen partial cancel could not be told from the files."""
        better = sum(1 for side, cents in self._levels if side == order.side and side * cents > side * order.cents)
        return better < LEVELS

    def row(self) -> str:
        sides = [sorted((-side * cents, cents, sum(order.qty for order in level)) for (other, cents), level in self._levels.items()
                        if other == side)[:LEVELS] for side in (SELL, BUY)]  # fmt: skip
        cells: list[str] = []
        for place in range(LEVELS):
            for levels, empty in zip(sides, (EMPTY_ASK, EMPTY_BID), strict=True):
                cells += [str(levels[place][1] * PRICE_UNIT), str(levels[place][2])] if place < len(levels) else [str(empty), "0"]
        return ",".join(cells)

    def step(self) -> tuple[int, _Order, int]:
        """One event that keeps the book uncrossed and both sides deep: (message type, order, size)."""
        draw = self._random.random()
        side = self._random.choice((BUY, SELL))
        if draw < 0.46 or self.count(side) <= START_LEVELS // 2:
            cents = self.best(-side) - side * (1 + int(self._random.expovariate(0.25)))
            order = self.add(side, cents, self._size())
            return 1, order, order.qty
        if draw < 0.56:
            order = self.first(side)
            qty = self._random.randint(1, order.qty)
            self.take(order, qty)
            return 4, order, qty
        order = self._random.choice(self.orders())
        if draw < 0.62 and order.qty > 1 and self.shows(order):
            qty = self._random.randint(1, order.qty - 1)
            self.take(order, qty)
            return 2, order, qty
        qty = order.qty
        self.take(order, qty)
        return 3, order, qty


def write_sample(folder: Path, symbol: str, count: int, random: Random) -> tuple[Path, Path]:
    """Write message and order book files of `count` lines. Returns their paths. Raises VenueError when they cannot be written."""
    book = _Book(random)
    messages: list[str] = []
    rows: list[str] = []
    seconds = 34_200.0
    before = book.row()
    while len(messages) < count:
        seconds += random.expovariate(40)
        kind, order, qty = book.step()
        row = book.row()
        if row != before:  # like the real files: what happens past the last level shown has no message
            messages.append(f"{seconds:.9f},{kind},{order.order_id},{qty},{order.cents * PRICE_UNIT},{order.side}\n")
            rows.append(row + "\n")
        before = row
    paths = (folder / f"{symbol}_synthetic_message_{LEVELS}.csv", folder / f"{symbol}_synthetic_orderbook_{LEVELS}.csv")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, lines in zip(paths, (messages, rows), strict=True):
            path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise VenueError(f"the sample cannot be written to {folder}: {error.strerror}") from error
    return paths
