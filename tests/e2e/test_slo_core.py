"""One venue in the middle of a trading day, and three things that go wrong in it, each with symptoms that none before it had.

A gateway of two stops: a ticket, nobody is woken. The core is alive but slow: pages of late orders and of old market data. It stands still:
a page that desks cannot act.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from venue.helpers import short_folder

from e2e.bed import ROOT, Bed, until
from e2e.slo_bed import LIMIT_S, judged, page_after, told_well, venue_in_session
from e2e.webhook import Inbox

pytestmark = pytest.mark.e2e
ORDERS, FEED, DESK = "order-ack-latency", "market-data-freshness", "desk-can-flatten-and-pause"
STAYS, FALLS = "gateway-1", "gateway-2"
STANDS_S, RUNS_S = 0.7, 0.05
"""Longer than the promise of 500 ms, shorter than any time-out: every order is taken, most of them late."""


@pytest.fixture(scope="module")
def venue() -> Iterator[tuple[Bed, Inbox]]:
    with short_folder() as folder, venue_in_session(folder, gateways=2) as (bed, inbox), bed.flow(50):
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


def test_one_gateway_of_two_that_stops_is_a_ticket_and_wakes_nobody(venue: tuple[Bed, Inbox]) -> None:
    bed, inbox = venue
    bed.supervisor.stop([FALLS])
    told = until(lambda: inbox.firing("ticket", alertname="GatewayDown"), "a ticket of a gateway that is down", LIMIT_S)[0]
    assert told.receiver == "ticket"
    assert told.has(exchange="XDEMO", gateway=FALLS, track="stable", severity="ticket")
    assert FALLS in told.annotations["summary"]
    assert len(told.annotations["first_action"].split()) >= 4
    assert (ROOT / told.annotations["runbook"]).is_file()
    until(lambda: judged(bed.venue.ports.prometheus, "1", ORDERS, FEED, DESK), "every promise is kept without it")
    assert not inbox.firing("page"), "a Prometheus that has just started does not take its targets for dead, either"


def test_a_slow_core_is_a_page_of_late_orders_and_of_old_market_data(venue: tuple[Bed, Inbox]) -> None:
    bed, inbox = venue
    with in_slow_motion(bed, "core") as slow:
        told = page_after(inbox, ORDERS, slow)
        feed = until(lambda: inbox.firing("page", slo=FEED), "a page of old market data", LIMIT_S)[0]
    for one, slo in ((told, ORDERS), (feed, FEED)):
        told_well(one, slo, zone="1", severity="page")
        assert STAYS in " ".join(one.annotations.values()), "the worst part is named"


def test_a_core_that_stands_still_is_a_page_of_desks_that_cannot_act(venue: tuple[Bed, Inbox]) -> None:
    bed, inbox = venue
    with ExitStack() as frozen:
        told = page_after(inbox, DESK, lambda: frozen.enter_context(bed.frozen("core")))
    told_well(told, DESK, zone="1", severity="page")
    assert not inbox.malformed
