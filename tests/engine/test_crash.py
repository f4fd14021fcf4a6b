"""`exchange core` under load, killed with kill -9 and started again: what was acknowledged is there, once, and the log tells the same.

EXCHANGE_CRASH_ROUNDS is the number of kills for each ack policy; `make nightly` asks for many.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine import _core
from engine.config import default_instruments_path, load_instruments
from engine.instruments import instruments_digest, partition_config
from engine.types import Command, OrdType, RejectReason, Side, TimeInForce
from tests.engine.conftest import DEADLINE_S, LinkClient
from tests.engine.engines import make_engine

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("EXCHANGE_CRASH_ROUNDS", "3"))
WINDOW = 200  # requests that wait for an answer
ASKED_AGAIN = 5_000  # of the orders of earlier lives
INSTRUMENTS = load_instruments(default_instruments_path())
CONFIG = partition_config(INSTRUMENTS)
DIGEST = instruments_digest(INSTRUMENTS)


class Core:
    """`exchange core` as a process of its own."""

    def __init__(self, log_dir: Path, ack_policy: str) -> None:
        options = ("--link-port", "0", "--admin-port", "0", "--ack-policy", ack_policy, "--snapshot-every", "1s")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "core", "--log-dir", str(log_dir), *options],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.lines: list[str] = []
        self.serving = threading.Event()
        self.port = 0
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        if not self.serving.wait(4 * DEADLINE_S) or not self.port:
            self.kill()
            pytest.fail("the core does not serve: " + "".join(self.lines))

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)
            if '"core.serving"' in line:
                self.port = json.loads(line)["link_port"]
                self.serving.set()
        self.serving.set()

    def kill(self) -> None:
        """kill -9, and nothing of it left when this returns."""
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stderr
        self.process.stderr.close()


@contextmanager
def running(log_dir: Path, ack_policy: str) -> Iterator[Core]:
    core = Core(log_dir, ack_policy)
    try:
        yield core
    finally:
        core.kill()


@dataclass
class Member:
    """Sends orders and keeps what it was told; the same seed sends the same orders."""

    seed: int
    sent: dict[str, bytes] = field(default_factory=dict)  # by client order id, without the request's id
    acknowledged: dict[str, int] = field(default_factory=dict)  # client order id -> order id
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def new_order(self) -> str:
        pick = self.random
        cl_ord_id = f"order-{len(self.sent)}"
        kinds = (OrdType.LIMIT, OrdType.LIMIT, OrdType.LIMIT, OrdType.STOP_LIMIT)
        tifs = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC)
        ord_type = pick.choice(kinds)
        tif = TimeInForce.GTC if ord_type is OrdType.STOP_LIMIT else pick.choice(tifs)
        price = pick.randint(9_990, 10_010)
        stop = pick.randint(9_990, 10_010) if ord_type is OrdType.STOP_LIMIT else 0
        self.sent[cl_ord_id] = (pick.randint(1, 4), pick.randrange(len(INSTRUMENTS)), pick.choice((Side.BUY, Side.SELL)),
                                ord_type, tif, price, pick.randint(1, 50), cl_ord_id, stop)  # fmt: skip
        return cl_ord_id


class Link(LinkClient):
    """Many requests under way; the request's id is the place of its order in `asked`."""

    def __init__(self, port: int, member: Member) -> None:
        super().__init__(port)
        self.member = member
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, RejectReason]] = {}  # client order id -> order id, reason

    def ask_for(self, cl_ord_ids: list[str]) -> None:
        first = len(self.asked)
        self.asked += cl_ord_ids
        self.send(b"".join(_core.encode_new_order(first + i, *self.member.sent[one]) for i, one in enumerate(cl_ord_ids)))

    def take_answer(self) -> None:
        frame = self.next_frame()
        self.answers[self.asked[frame[1]]] = (frame[3], RejectReason(frame[5]))

    def take_the_rest(self) -> None:
        """What the core had sent before it died."""
        with suppress(ConnectionError):
            while True:
                self.take_answer()


def trade_until_killed(core: Core, member: Member) -> dict[str, tuple[int, RejectReason]]:
    """Answers of this life; the moment of the kill is the seed's, whatever the core does then."""
    link = Link(core.port, member)
    kill_after = member.random.randint(1, 60) if member.random.random() < 0.3 else member.random.randint(1, 1500)
    delay_s = member.random.random() * 0.002
    killer = threading.Timer(delay_s, core.process.kill)
    try:
        while len(link.answers) < kill_after:
            while len(link.asked) - len(link.answers) < WINDOW:
                link.ask_for([member.new_order() for _ in range(20)])
            link.take_answer()
        killer.start()
        with suppress(ConnectionError):
            while killer.is_alive():
                link.ask_for([member.new_order() for _ in range(5)])
                link.take_answer()
        killer.join()
        core.process.wait(DEADLINE_S)
        link.take_the_rest()
    finally:
        link.close()
    return link.answers


def ask_again(core: Core, member: Member, cl_ord_ids: list[str]) -> dict[str, tuple[int, RejectReason]]:
    link = Link(core.port, member)
    try:
        for at in range(0, len(cl_ord_ids), WINDOW):
            part = cl_ord_ids[at : at + WINDOW]
            link.ask_for(part)
            for _ in part:
                link.take_answer()
    finally:
        link.close()
    return link.answers


def check_what_was_told(core: Core, member: Member, told: dict[str, tuple[int, RejectReason]], asked: list[str]) -> None:
    """Every acknowledged order is there with its id; one that nobody was told of is there once or not at all."""
    new = {one: order_id for one, (order_id, reason) in told.items() if reason is RejectReason.NONE}
    old = dict(member.random.sample(sorted(member.acknowledged.items()), min(ASKED_AGAIN, len(member.acknowledged))))
    member.acknowledged |= new
    again = ask_again(core, member, [*old, *new])
    lost = {one: again[one] for one, order_id in (old | new).items() if again[one] != (order_id, RejectReason.DUPLICATE_CL_ORD_ID)}
    assert not lost, f"acknowledged, and something else after the kill: {lost}"
    open_questions = [one for one in asked if one not in told]
    known = set(member.acknowledged.values())
    for one, (order_id, reason) in ask_again(core, member, open_questions).items():
        assert reason in {RejectReason.NONE, RejectReason.DUPLICATE_CL_ORD_ID} or order_id == 0
        if order_id:
            assert order_id not in known, f"{one} has the id of another order: {order_id}"
            known.add(order_id)
            member.acknowledged[one] = order_id


def command_of(record: tuple[Any, ...]) -> Command:
    return Command(*record[4:16], ts_ns=record[3], cl_ord_id=record[16])


def depths(core: Core) -> list[Any]:
    link = LinkClient(core.port)
    try:
        return [link.depth(instrument, 100)[3:] for instrument in range(len(INSTRUMENTS))]
    finally:
        link.close()


def check_replay(log_dir: Path, live: list[Any]) -> None:
    """From the first record, from the newest snapshot, and by the rules in plain Python: one state, and the one that was seen."""
    replayer = _core.Replayer(str(log_dir), CONFIG.as_tuple(), _core.log_config_digest(CONFIG.as_tuple(), DIGEST))
    replayer.run()
    whole = replayer.engine().state_hash()
    assert [tuple(replayer.engine().depth(i, 100)) for i in range(len(INSTRUMENTS))] == [tuple(one) for one in live]
    replayer.seek()
    replayer.run()
    assert replayer.engine().state_hash() == whole
    reference = make_engine("reference", CONFIG)
    reader = _core.LogReader(str(log_dir))
    while records := reader.next_batch(10_000):
        for record in records:
            reference.apply(command_of(record))
    assert reference.last_seq_num() == replayer.engine().last_seq_num()
    assert reference.state_hash() == whole


@pytest.mark.e2e
@pytest.mark.parametrize("ack_policy", ["memory", "device"])
def test_whatever_moment_a_core_is_killed_at_every_acknowledged_order_is_there_once(tmp_path, ack_policy):
    member = Member(seed=20261121 + len(ack_policy))
    told: dict[str, tuple[int, RejectReason]] = {}
    asked: list[str] = []
    for _ in range(ROUNDS):
        with running(tmp_path / "log", ack_policy) as core:
            check_what_was_told(core, member, told, asked)
            before = len(member.sent)
            told = trade_until_killed(core, member)
            asked = list(member.sent)[before:]
            assert told
    with running(tmp_path / "log", ack_policy) as core:
        check_what_was_told(core, member, told, asked)
        live = depths(core)
    check_replay(tmp_path / "log", live)
    assert len(set(member.acknowledged.values())) == len(member.acknowledged) > 50 * ROUNDS
