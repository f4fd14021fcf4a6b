"""A core that is alive but slow: the pager is told that orders wait.

It has a venue of its own: the symptoms of other breaks overlap with these, and an alert that fires already is no new one.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from venue.helpers import short_folder

from e2e.bed import Bed, until
from e2e.slo_bed import judged, page_after, told_well, venue_in_session
from e2e.webhook import Inbox

pytestmark = pytest.mark.e2e
ORDERS = "order-ack-latency"
STANDS_S, RUNS_S = 0.7, 0.05
"""Longer than the promise of 500 ms, shorter than any time-out: every order is taken, most of them late."""


@pytest.fixture(scope="module")
def venue() -> Iterator[tuple[Bed, Inbox]]:
    with short_folder() as folder, venue_in_session(folder, gateways=1) as (bed, inbox), bed.flow(50):
        until(lambda: judged(bed.venue.ports.prometheus, "1", ORDERS), "orders are judged, and quick enough")
        yield bed, inbox


@contextmanager
def in_slow_motion(bed: Bed, name: str) -> Iterator[Callable[[], None]]:
    """What is yielded starts it: from then on that process stands still, runs for a moment, and so on."""
    pid, over = bed.pid(name), threading.Event()
    assert pid, f"{name} runs"

    def beat() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(STANDS_S)
            os.kill(pid, signal.SIGCONT)
            over.wait(RUNS_S)

    thread = threading.Thread(target=beat, daemon=True)
    try:
        yield thread.start
    finally:
        over.set()
        thread.join(10)
        os.kill(pid, signal.SIGCONT)


def test_a_slow_core_is_a_page_of_slow_orders(venue: tuple[Bed, Inbox]) -> None:
    bed, inbox = venue
    with in_slow_motion(bed, "core") as slow:
        told = page_after(inbox, ORDERS, slow)
    told_well(told, ORDERS, zone="1", severity="page")
    assert "gateway-1" in " ".join(told.annotations.values()), "the worst part is named"
    assert not inbox.malformed
