"""HAProxy seen from outside opsctl: its runtime API asked every 4 ms, and what each pool's weight and count of requests did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ops.adapters.haproxy_socket import RuntimeSocket
from ops.conventions import Pool
from ops.errors import OpsError
from tests.bench.bed import Bed, until

PERIOD_S = 0.004
QUESTION = "show stat -1 4 -1"


@dataclass(slots=True)
class Seen:
    """A pool, both backends. Times are unix seconds at which HAProxy's answer had been read: never earlier than the truth."""

    weight: int = 0
    requests: int = 0
    last_request_s: float = 0.0
    changes: list[tuple[float, int, int]] = field(default_factory=list)
    """(when, weight from then on, requests so far), at every change of the weight."""

    def take(self, at_s: float, weight: int, requests: int) -> None:
        if requests != self.requests:
            self.last_request_s = at_s
        if weight != self.weight:
            self.changes.append((at_s, weight, requests))
        self.weight, self.requests = weight, requests

    def zero_after(self, since_s: float) -> tuple[float, int] | None:
        """The first read-back of weight 0 after `since_s`, and the requests it had begun by then."""
        return next(((at_s, requests) for at_s, weight, requests in self.changes if at_s >= since_s and weight == 0), None)


class Watch:
    def __init__(self, bed: Bed) -> None:
        venue = bed.venue
        self._socket = RuntimeSocket(bed.layout.haproxy_socket)
        self._pool = {name: pool for pool in Pool for name in venue.names(pool)}
        self.pools: Mapping[Pool, Seen] = {pool: Seen() for pool in Pool}
        self.worst_gap_s = 0.0
        self._looks = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")

    def _run(self) -> None:
        before_s = time.monotonic()
        while not self._stop.is_set():
            began_s = time.monotonic()
            self._look()
            now_s = time.monotonic()
            self.worst_gap_s, before_s = max(self.worst_gap_s, now_s - before_s), now_s
            self._stop.wait(max(0.0, PERIOD_S - (now_s - began_s)))

    def _look(self) -> None:
        try:
            lines = self._socket.ask(QUESTION).splitlines()
        except OpsError:
            return
        at_s = time.time()
        head = lines[0].removeprefix("# ").split(",")
        backend, server, weight_at, requests_at = (head.index(name) for name in ("pxname", "svname", "uweight", "stot"))
        weight, requests = dict.fromkeys(Pool, 0), dict.fromkeys(Pool, 0)
        for line in lines[1:]:
            row = line.split(",")
            if len(row) <= weight_at:
                continue
            pool = self._pool[row[server]]
            weight[pool] += int(row[weight_at])
            if row[backend] == "http":
                requests[pool] += int(row[requests_at])
        for pool, seen in self.pools.items():
            seen.take(at_s, weight[pool], requests[pool])
        self._looks += 1

    def fresh(self) -> None:
        """Returns when what is shown was asked for after this call."""
        looks = self._looks
        until(lambda: self._looks >= looks + 2, "HAProxy's runtime API answers", 10, 0.001)

    def answering(self) -> Callable[[], bool]:
        """Says whether a few requests arrived since now."""
        before = self.total()
        return lambda: self.total() >= before + 20

    def total(self) -> int:
        return sum(seen.requests for seen in self.pools.values())

    def gap(self) -> str:
        """For a note: how finely times were seen since the last call."""
        gap_s, self.worst_gap_s = self.worst_gap_s, 0.0
        return f"asked every {PERIOD_S * 1000:.0f} ms, worst gap {gap_s * 1000:.0f} ms"


@contextmanager
def watching(bed: Bed) -> Iterator[Watch]:
    watch = Watch(bed)
    watch._thread.start()
    try:
        watch.fresh()
        yield watch
    finally:
        watch._stop.set()
        watch._thread.join(5)
