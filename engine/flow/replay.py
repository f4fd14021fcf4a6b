"""A LOBSTER file through the venue's front door: every message as REST calls in order, and after each the whole visible book compared.

What the files leave out is worked out by engine.flow.lobster; this module sends, waits for each answer, and compares. One
difference ends the replay: past it the books mean nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from engine.config import VenueError
from engine.flow.client import NOT_REACHABLE, Answer, VenueClient
from engine.flow.lobster import (
    BookRow,
    Cancel,
    Command,
    Enter,
    Execute,
    Levels,
    LobsterError,
    Reduce,
    read_book,
    read_messages,
    seed_orders,
    to_commands,
)
from engine.flow.model import Add, FlowSettings
from engine.types import Side

FILE_UNIT = Decimal(10_000)
"""Files count ten-thousandths of a dollar."""
RATE_LIMIT_TRIES = 30

Progress = Callable[[int, int], None]
"""Called with (books compared, books in all) every hundredth book."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """`difference` is None when every book was true, else what differed first."""

    books: int
    books_true: int
    seeded: int
    difference: str | None

    @property
    def summary(self) -> str:
        return f"{self.books_true} of {self.books} books true"


@dataclass(frozen=True, slots=True)
class Recording:
    """Both files, read and made into commands. `by_line` has an entry for each line, also where nothing is sent."""

    seeds: Sequence[Command]
    by_line: Sequence[Sequence[Command]]
    books: Sequence[BookRow]


def orderbook_path(message_path: Path) -> Path:
    """By the naming convention of the files. Raises VenueError when the name does not follow it."""
    name = message_path.name.replace("_message_", "_orderbook_")
    if name == message_path.name:
        raise VenueError(f"{message_path}: no order book file follows from this name", hint="give --orderbook FILE")
    return message_path.with_name(name)


def load_recording(message_path: Path, book_path: Path) -> Recording:
    """Raises VenueError naming file and line."""
    try:
        messages, books = read_messages(message_path), read_book(book_path)
        if not messages:
            raise VenueError(f"{message_path}: no messages")
        seeds = [Enter(-1, 0, seed.order_id, seed.side, seed.price_ticks, seed.qty) for seed in seed_orders(messages, books)]
        lines = {line: list(group) for line, group in groupby(to_commands(messages, books), key=lambda command: command.line)}
    except OSError as error:
        raise VenueError(f"{error.filename} cannot be read: {error.strerror}") from error
    except (LobsterError, UnicodeDecodeError) as error:
        raise VenueError(f"{message_path}: {error}") from error
    return Recording(seeds, [lines.get(line, []) for line in range(len(messages))], books)


def replay(
    settings: FlowSettings, symbol: str, recording: Recording, *, progress: Progress | None = None, stop: threading.Event | None = None
) -> ReplayResult:
    """Blocks. Raises VenueError when the venue is away, refuses an order, or the instrument is not empty."""
    return asyncio.run(_replay(settings, symbol, recording, progress, stop or threading.Event()))


async def _replay(
    settings: FlowSettings, symbol: str, recording: Recording, progress: Progress | None, stop: threading.Event
) -> ReplayResult:
    books_true = 0
    async with VenueClient(settings) as client:
        sender = _Sender(client, symbol)
        await sender.require_empty()
        await sender.send(recording.seeds)
        for commands, book in zip(recording.by_line, recording.books, strict=True):
            if stop.is_set():
                break
            await sender.send(commands)
            difference = next(_differences(book, await sender.levels(book.depth)), None)
            if difference is not None:
                where = f"first difference after message {books_true + 1}: {difference}"
                return ReplayResult(len(recording.books), books_true, len(recording.seeds), where)
            books_true += 1
            if progress is not None and books_true % 100 == 0:
                progress(books_true, len(recording.books))
    stopped = None if books_true == len(recording.books) else f"stopped after message {books_true}"
    return ReplayResult(len(recording.books), books_true, len(recording.seeds), stopped)


class _Sender:
    """One call at a time, each answered before the next."""

    def __init__(self, client: VenueClient, symbol: str) -> None:
        self._client, self._symbol = client, symbol
        self._venue_ids: dict[int, int] = {}

    async def require_empty(self) -> None:
        await self._client.probe(self._symbol)
        bids, asks = await self.levels(1)
        if bids or asks:
            raise VenueError(
                f"{self._symbol} is not empty: a replay needs the book for itself", hint="start a fresh venue, or give --instrument"
            )

    async def send(self, commands: Iterable[Command]) -> None:
        for command in commands:
            await self._one(command)

    async def _one(self, command: Command) -> None:
        if isinstance(command, Enter):
            order = Add(self._symbol, _side(command.side), "limit", _price(command.price_ticks), command.qty)
            answer = await self._checked(command.line, lambda: self._client.add(order))
            self._venue_ids[command.order_id] = answer.body["order_id"]
            _expect(command.line, answer.body.get("filled_quantity") == 0, "a resting order traded")
        elif isinstance(command, Execute):
            order = Add(self._symbol, _side(command.side), "limit", _price(command.price_ticks), command.qty, "ioc", rests=False)
            answer = await self._checked(command.line, lambda: self._client.add(order))
            _expect(command.line, answer.body.get("filled_quantity") == command.qty, "an execution did not fill")
        elif isinstance(command, Reduce):
            order_id, qty = self._venue_ids[command.order_id], command.new_leaves_qty
            await self._checked(command.line, lambda: self._client.reduce(order_id, qty))
        else:
            await self._cancel(command)

    async def _cancel(self, command: Cancel) -> None:
        order_id = self._venue_ids.pop(command.order_id)
        await self._checked(command.line, lambda: self._client.cancel(order_id))

    async def levels(self, depth: int) -> tuple[Levels, Levels]:
        """Best first, in the file's price unit."""
        answer = await self._checked(-1, lambda: self._client.book(self._symbol, depth))
        bids, asks = answer.body["bids"], answer.body["asks"]
        return _levels(bids), _levels(asks)

    async def _checked(self, line: int, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The success, or VenueError; a rate limit is waited out, within a bound."""
        for _ in range(RATE_LIMIT_TRIES):
            answer = await call()
            if answer.status != 429:
                break
            await asyncio.sleep(max(answer.retry_after_s, 0.05))
        if answer.status == 0:
            raise VenueError(f"the venue stopped answering ({answer.wrong})", hint="opsctl status", exit_code=NOT_REACHABLE)
        if answer.status >= 300 or answer.wrong is not None:
            raise VenueError(f"{_where(line)}: the venue answered {answer.status}: {answer.body.get('error', answer.body)}", exit_code=3)
        return answer


def _differences(book: BookRow, shown: tuple[Levels, Levels]) -> Iterator[str]:
    for name, true, got in (("bid", book.bids, shown[0]), ("ask", book.asks, shown[1])):
        for place in range(max(len(true), len(got))):
            expected = true[place] if place < len(true) else None
            found = got[place] if place < len(got) else None
            if expected != found:
                yield f"{name} level {place + 1}: the file has {_text(expected)}, the venue {_text(found)}"


def _text(level: tuple[int, int] | None) -> str:
    return f"{level[1]} at {_price(level[0])}" if level is not None else "nothing"


def _levels(rows: Iterable[dict[str, object]]) -> Levels:
    return tuple((int(Decimal(str(row["price"])) * FILE_UNIT), int(str(row["quantity"]))) for row in rows)


def _price(ticks: int) -> str:
    return str(Decimal(ticks) / FILE_UNIT)


def _side(side: Side) -> str:
    return side.name.lower()


def _where(line: int) -> str:
    return f"message {line + 1}" if line >= 0 else "seeding or reading the book"


def _expect(line: int, held: bool, what: str) -> None:
    if not held:
        raise VenueError(f"{_where(line)}: {what}", hint="is somebody else trading this instrument?", exit_code=3)
