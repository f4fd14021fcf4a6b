"""Fills a log through the core's own link, as fast as it goes (ack policy "memory"). Prints what is in the log, as JSON.

    python -m tests.bench.fill LOG_DIR ORDERS

Orders of five instruments around a mid price; every second one carries a client_order_id; one in three is crossing; 45 cancels
for every 100 orders.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from random import Random

from engine import _core
from engine.config import default_instruments_path, load_instruments
from engine.instruments import engine_config, instruments_digest
from engine.types import OrdType, Side, TimeInForce

CHUNK = 2000
CANCELS = 0.45
REPLY_ORDER_ID, REPLY_LEAVES_QTY = 2, 7
"""Places in a reply's fields, its kind not counted."""
MID_TICKS, SPREAD_TICKS = 15_000, 40


def chunks(orders: int, resting: list[int], instruments: int, random: Random) -> Iterator[tuple[bytes, int]]:
    """Frames, and how many commands they hold. `resting` has the ids answered so far."""
    sent = 0
    while sent < orders:
        frames = []
        for _ in range(min(CHUNK, orders - sent)):
            sent += 1
            side = Side.BUY if random.random() < 0.5 else Side.SELL
            away = random.randrange(-SPREAD_TICKS // 2, SPREAD_TICKS)
            price = MID_TICKS - away if side is Side.BUY else MID_TICKS + away
            name = f"bench-{sent}" if sent % 2 else ""
            frames.append(
                _core.encode_new_order(
                    sent, 1, random.randrange(instruments), side, OrdType.LIMIT, TimeInForce.DAY, price, random.randrange(1, 500), name
                )
            )
            if resting and random.random() < CANCELS:
                place = random.randrange(len(resting))
                resting[place], resting[-1] = resting[-1], resting[place]
                frames.append(_core.encode_cancel(orders + sent, 1, resting.pop()))
        yield b"".join(frames), len(frames)


def fill(log_dir: str, orders: int) -> dict[str, float]:
    instruments = load_instruments(default_instruments_path())
    digest = instruments_digest(instruments)
    core = _core.Core(config=engine_config(instruments), log_dir=log_dir, ack_policy="memory", instruments_digest=digest)
    core.recover()
    port = core.listen("127.0.0.1", 0)
    core.start()
    began_s, resting, commands = time.monotonic(), list[int](), 0
    decoder = _core.FrameDecoder()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
            link.sendall(_core.encode_hello("bench", 1))
            for frames, count in chunks(orders, resting, len(instruments), Random(7)):
                link.sendall(frames)
                commands += count
                _await(link, decoder, count, resting)
        stats = core.stats(with_state_hash=False)
    finally:
        core.stop()
    if stats["seq_num"] != commands:
        raise SystemExit(f"{commands} commands were sent, {stats['seq_num']} are in the log")
    return {
        "records": stats["seq_num"],
        "orders": orders,
        "trades": stats["trades"],
        "live": stats["live_orders"],
        "seconds": time.monotonic() - began_s,
    }


def _await(link: socket.socket, decoder: _core.FrameDecoder, count: int, resting: list[int]) -> None:
    while count:
        data = link.recv(1 << 18)
        if not data:
            raise SystemExit("the core closed the link")
        for kind, *fields in decoder.feed(data):
            if kind == "reply":
                count -= 1
                if fields[REPLY_LEAVES_QTY]:
                    resting.append(int(str(fields[REPLY_ORDER_ID])))


if __name__ == "__main__":
    print(json.dumps(fill(sys.argv[1], int(sys.argv[2]))))
