"""Desks on both engines, and a small blocking client for the core's link."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine import _core
from engine.types import Fill, OrdStatus, OrdType, RejectReason, Reply, Side, TimeInForce
from tests.engine.core_process import core_config
from tests.engine.engines import KINDS, Desk

DEADLINE_S = 20.0


def to_reply(answer: Sequence[Any]) -> Reply:
    """From a reply frame's fields."""
    seq_num, order_id, status, reason, order_qty, cum_qty, leaves_qty, fills, *numbers = answer
    fills = tuple(Fill(*fill) for fill in fills)
    return Reply(0, seq_num, order_id, OrdStatus(status), RejectReason(reason), order_qty, cum_qty, leaves_qty, fills, *numbers)


@pytest.fixture(params=KINDS)
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Every test that takes it, or a desk, runs on both engines."""
    return str(request.param)


@pytest.fixture
def make_desk(engine_kind: str) -> Callable[..., Desk]:
    return lambda *args, **options: Desk(engine_kind, *args, **options)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()


class LinkClient:
    """A gateway's end of the link, blocking, with a deadline on every wait."""

    def __init__(self, port: int, *, hello: bool = True, epoch: int = 1, key: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.decoder = _core.FrameDecoder()
        self.frames: list[tuple[Any, ...]] = []
        self.request_id = 0
        if hello:
            self.send(_core.encode_hello("test", epoch, key))
            self.welcome = self.next_frame()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def next_frame(self) -> tuple[Any, ...]:
        while not self.frames:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the core closed the link")
            self.frames.extend(self.decoder.feed(data))
        return self.frames.pop(0)

    def closed_by_core(self) -> bool:
        try:
            while self.next_frame():
                pass
        except ConnectionError:
            return True
        return False

    def ask(self, encode: Callable[..., bytes], *fields: Any) -> tuple[Any, ...]:
        self.request_id += 1
        self.send(encode(self.request_id, *fields))
        frame = self.next_frame()
        assert frame[1] == self.request_id
        return frame

    def order(self, side: Side, qty: int, price: int, *, firm: int = 1, cl_ord_id: str = "", tif: TimeInForce = TimeInForce.DAY) -> Reply:
        frame = self.ask(_core.encode_new_order, firm, 0, side, OrdType.LIMIT, tif, price, qty, cl_ord_id)
        return to_reply(frame[2:])

    def cancel(self, order_id: int, firm: int = 1) -> Reply:
        return to_reply(self.ask(_core.encode_cancel, firm, order_id)[2:])

    def reduce(self, order_id: int, new_leaves_qty: int, firm: int = 1) -> Reply:
        return to_reply(self.ask(_core.encode_reduce, firm, order_id, new_leaves_qty)[2:])

    def depth(self, instrument: int = 0, levels: int = 10) -> tuple[Any, ...]:
        return self.ask(_core.encode_depth_request, instrument, levels)

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., LinkClient]]:
    made: list[LinkClient] = []

    def make(port: int, **options: Any) -> LinkClient:
        made.append(LinkClient(port, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def start_core() -> Iterator[Callable[..., tuple[Any, int]]]:
    """Makes, recovers and starts a core; stops all of them at the end. Returns (core, port)."""
    made: list[Any] = []

    def make(log_dir: Any, **options: Any) -> tuple[Any, int]:
        settings: dict[str, Any] = {"config": core_config(), "ack_policy": "memory", "segment_records": 4096}
        core = _core.Core(log_dir=str(log_dir), **(settings | options))
        made.append(core)
        core.recover()
        port = core.listen("127.0.0.1", 0)
        core.start()
        return core, port

    yield make
    for core in made:
        core.stop()


class CoreProcess:
    """tests/engine/core_process.py, started; `port` is where it listens."""

    def __init__(self, log_dir: Path, ack_policy: str, segment_records: int) -> None:
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("core_process.py"), log_dir, ack_policy, str(segment_records)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def limit_file_size(self, size: int) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"limit {size}\n")
        self.process.stdin.flush()
        assert self._line() == "done\n"

    def kill(self) -> None:
        """kill -9, and nothing of it left when this returns."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()


@pytest.fixture
def spawn_core() -> Iterator[Callable[..., CoreProcess]]:
    made: list[CoreProcess] = []

    def make(log_dir: Path, ack_policy: str = "memory", segment_records: int = 4096) -> CoreProcess:
        made.append(CoreProcess(log_dir, ack_policy, segment_records))
        return made[-1]

    yield make
    for process in made:
        process.close()
