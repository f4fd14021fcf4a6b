"""A real exchange's order flow through both engines: price-time priority and every level, checked against what really happened.

The real sample (AAPL, NASDAQ, 2012) is not part of this repository: LOBSTER_DIR, or ../shared/data/lobster beside it, may hold one.
Without it the made sample still runs.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from engine import _core
from engine.flow import lobster, sample
from engine.reference import ReferenceEngine
from engine.types import OrdStatus, OrdType, RejectReason, Side, TimeInForce

ENGINES = {"reference": ReferenceEngine, "native": _core.Engine}
OWNER, TAKER = 1, 2


def real_sample():
    folder = Path(os.environ.get("LOBSTER_DIR") or Path(__file__).parents[3] / "shared" / "data" / "lobster")
    messages, books = sorted(folder.glob("*_message_*.csv")), sorted(folder.glob("*_orderbook_*.csv"))
    if not messages or not books:
        pytest.skip(f"no LOBSTER sample in {folder}")
    return lobster.read_messages(messages[0]), lobster.read_book(books[0])


def made_sample(folder, seed, count=3000):
    """Like the real files, it leaves out what happens beyond the tenth level."""
    message_path, book_path = sample.write_sample(folder, "TEST", count, random.Random(seed))
    messages, books = lobster.read_messages(message_path), lobster.read_book(book_path)
    seen = [0] + [line for line in range(1, len(books)) if books[line] != books[line - 1]]
    return [messages[line] for line in seen], [books[line] for line in seen]


class Replay:
    """One engine, fed with commands that name orders by the file's ids."""

    def __init__(self, engine):
        self.engine = engine
        self.ids = {}

    def enter(self, order):
        answer = self.engine.new_order(
            OWNER, 0, order.side, OrdType.LIMIT, TimeInForce.DAY, order.price_ticks, order.qty, str(order.order_id), 0
        )
        assert answer[2] == OrdStatus.NEW, f"{order} did not rest"
        self.ids[order.order_id] = answer[1]

    def do(self, command):
        match command:
            case lobster.Enter():
                self.enter(command)
            case lobster.Reduce():
                assert self.engine.reduce(OWNER, self.ids[command.order_id], command.new_leaves_qty, 0)[3] == RejectReason.NONE
            case lobster.Cancel():
                assert self.engine.cancel(OWNER, self.ids[command.order_id], 0)[2] == OrdStatus.CANCELLED
            case lobster.Execute():
                answer = self.engine.new_order(
                    TAKER, 0, command.side, OrdType.LIMIT, TimeInForce.IOC, command.price_ticks, command.qty, "", 0
                )
                fills = [(price, qty, maker) for _, price, qty, maker in answer[7]]
                assert fills == [(command.price_ticks, command.qty, self.ids[command.maker_order_id])]


def check(engine, messages, books):
    """Returns how many executions were checked."""
    replay = Replay(engine)
    for order in lobster.seed_orders(messages, books):
        replay.enter(order)
    by_line = defaultdict(list)
    for command in lobster.to_commands(messages, books):
        by_line[command.line].append(command)
    for line, row in enumerate(books):
        for command in by_line[line]:
            replay.do(command)
        bids, asks, _ = engine.depth(0, row.depth)
        assert (tuple(bids), tuple(asks)) == (row.bids, row.asks), f"the book differs after line {line + 1}"
    return sum(isinstance(command, lobster.Execute) for commands in by_line.values() for command in commands)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_the_real_sample_fills_the_orders_it_names_and_every_level_is_true_after_every_message(engine):
    messages, books = real_sample()
    executions = check(ENGINES[engine]([10**6]), messages, books)
    assert executions == sum(message.kind is lobster.Kind.EXECUTE for message in messages) > 0


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("seed", range(5))
def test_a_made_sample_fills_the_orders_it_names_and_every_level_is_true_after_every_message(tmp_path, engine, seed):
    assert check(ENGINES[engine]([10**6]), *made_sample(tmp_path, seed)) > 50


def test_unseen_changes_happen_where_no_row_can_show_them(tmp_path):
    messages, books = made_sample(tmp_path, 1)
    places = {order.order_id: (order.side, order.price_ticks) for order in lobster.seed_orders(messages, books)}
    unseen = 0
    for command in lobster.to_commands(messages, books):
        if isinstance(command, lobster.Enter):
            places[command.order_id] = (command.side, command.price_ticks)
        if getattr(command, "unseen", False):
            unseen += 1
            assert not books[command.line - 1].shows(*places[command.order_id])
    assert unseen > 0


def test_rows_that_contradict_the_messages_are_refused_with_their_line(tmp_path):
    messages, books = made_sample(tmp_path, 1, 300)
    price, qty = books[200].bids[0]
    books[200] = replace(books[200], bids=((price, qty + 1), *books[200].bids[1:]))
    with pytest.raises(lobster.LobsterError, match="line 201: "):
        lobster.seed_orders(messages, books)


def test_files_of_different_length_are_refused(tmp_path):
    messages, books = made_sample(tmp_path, 1, 100)
    with pytest.raises(lobster.LobsterError, match="rows of the book"):
        lobster.seed_orders(messages, books[:-1])


@pytest.mark.parametrize("text", ["1,2,3\n", "a,1,2,3,4,1\n", "1.0,1,2,3,4,0\n", "1.0,9,2,3,4,1\n"])
def test_a_malformed_message_is_refused_with_file_and_line(tmp_path, text):
    path = tmp_path / "x_message_10.csv"
    path.write_text("34200.0,1,7,100,5853300,1\n" + text)
    with pytest.raises(lobster.LobsterError, match=r"x_message_10\.csv: line 2: "):
        lobster.read_messages(path)


@pytest.mark.parametrize("text", ["1,2,3\n", "a,1,2,3\n", "\n"])
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path, text):
    path = tmp_path / "x_orderbook_10.csv"
    path.write_text(text)
    with pytest.raises(lobster.LobsterError, match=r"x_orderbook_10\.csv: line 1: "):
        lobster.read_book(path)


def test_missing_levels_are_no_levels(tmp_path):
    path = tmp_path / "x_orderbook_1.csv"
    path.write_text("9999999999,0,100,5\n200,1,-9999999999,0\n")
    rows = lobster.read_book(path)
    assert [(row.bids, row.asks) for row in rows] == [(((100, 5),), ()), ((), ((200, 1),))]
    assert rows[0].shows(Side.SELL, 10**9)


def test_times_are_exact_to_the_nanosecond(tmp_path):
    path = tmp_path / "x_message_1.csv"
    path.write_text("34200.004241176,1,16113575,18,5853300,1\n")
    assert lobster.read_messages(path)[0].time_ns == 34_200_004_241_176
