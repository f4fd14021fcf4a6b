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

from engine.flow import lobster, sample
from engine.types import OrdStatus, RejectReason, Side, TimeInForce

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
    """One desk, fed with commands that name orders by the file's ids."""

    def __init__(self, desk):
        self.desk = desk
        self.ids = {}

    def enter(self, order):
        reply = self.desk.order(order.side, order.qty, order.price_ticks, firm=OWNER, cl_ord_id=str(order.order_id))
        assert reply.status == OrdStatus.NEW, f"{order} did not rest"
        self.ids[order.order_id] = reply.order_id

    def do(self, command):
        match command:
            case lobster.Enter():
                self.enter(command)
            case lobster.Reduce():
                assert self.desk.reduce(self.ids[command.order_id], command.new_leaves_qty, OWNER).reason == RejectReason.NONE
            case lobster.Cancel():
                assert self.desk.cancel(self.ids[command.order_id], OWNER).status == OrdStatus.CANCELLED
            case lobster.Execute():
                reply = self.desk.order(command.side, command.qty, command.price_ticks, firm=TAKER, tif=TimeInForce.IOC)
                fills = [(fill.price_ticks, fill.qty, fill.maker_order_id) for fill in reply.fills]
                assert fills == [(command.price_ticks, command.qty, self.ids[command.maker_order_id])]


def check(desk, messages, books):
    """Returns how many executions were checked."""
    replay = Replay(desk)
    for order in lobster.seed_orders(messages, books):
        replay.enter(order)
    by_line = defaultdict(list)
    for command in lobster.to_commands(messages, books):
        by_line[command.line].append(command)
    for line, row in enumerate(books):
        for command in by_line[line]:
            replay.do(command)
        bids, asks, *_ = desk.engine.depth(0, row.depth)
        assert (tuple(bids), tuple(asks)) == (row.bids, row.asks), f"the book differs after line {line + 1}"
    return sum(isinstance(command, lobster.Execute) for commands in by_line.values() for command in commands)


def test_the_real_sample_fills_the_orders_it_names_and_every_level_is_true_after_every_message(desk):
    messages, books = real_sample()
    executions = check(desk, messages, books)
    assert executions == sum(message.kind is lobster.Kind.EXECUTE for message in messages) > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_made_sample_fills_the_orders_it_names_and_every_level_is_true_after_every_message(tmp_path, desk, seed):
    assert check(desk, *made_sample(tmp_path, seed)) > 50


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
