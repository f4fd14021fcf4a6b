"""A venue in the middle of a trading day loses its gateways: the right alert arrives at the pager with the right words. At night, a ticket.

Real Prometheus, Alertmanager and venue, generated rules, real order flow. Only the rules' clock is moved (slo_bed.py). Two pairs of
monitors look at the one venue: its own, by day, and a second pair that lives at night, so that both see the same break.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from venue.helpers import short_folder

from e2e.bed import Bed, until
from e2e.slo_bed import ALL_DAY, LIMIT_S, declare, judged, moment, monitors_beside, page_after, told_well, venue_in_session, warm
from e2e.webhook import Inbox
from ops.conventions import Pool
from ops.session import Zone

pytestmark = pytest.mark.e2e
ORDERS, SPLITTER = "order-ack-latency", "splitter-availability"
STRICT_NIGHT = {r"^tickets:[^#\n]*": ALL_DAY, r"^(  4: \{objective: )[^,]+": r"\g<1>99.99%"}
"""98 % at night takes a quarter of an hour to be burnt fast; a test does not last that long."""


@dataclass
class Stage:
    bed: Bed
    day: Inbox
    night: Inbox


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with short_folder() as folder, venue_in_session(folder) as (bed, day):
        warm(bed, moment(Zone.VOLATILE))
        declared = declare(folder / "night", edits=STRICT_NIGHT)
        with monitors_beside(bed, folder, declared, moment(Zone.MAINTENANCE)) as (venue, night), bed.flow(50):
            until(lambda: judged(bed.venue.ports.prometheus, "1", ORDERS), "by day the SLOs are judged, and well kept")
            until(lambda: judged(venue.ports.prometheus, "4", ORDERS), "at night too")
            yield Stage(bed, day, night)


def test_gateways_that_stop_are_a_page_by_day(stage: Stage) -> None:
    """Nobody measures orders any more: figures that are missing are no sign of health."""
    told = page_after(stage.day, ORDERS, lambda: stage.bed.supervisor.stop(stage.bed.venue.names(Pool.BLUE)))
    told_well(told, ORDERS, zone="1", severity="page")
    splitter = until(lambda: stage.day.firing("page", slo=SPLITTER), "a page of a splitter without gateways", LIMIT_S)[0]
    told_well(splitter, SPLITTER, zone="1", severity="page")


def test_the_same_break_at_night_is_a_ticket_and_wakes_nobody(stage: Stage) -> None:
    found = until(lambda: stage.night.firing("ticket", slo=ORDERS, tier="fast"), "the night's ticket", LIMIT_S)
    told_well(found[0], ORDERS, zone="4", severity="ticket")
    assert not [told for told in stage.night.firing("page") if "slo" in told.labels]


def test_when_it_is_over_that_is_told_too(stage: Stage) -> None:
    stage.bed.opsctl("up", "--timeout", "60")
    until(lambda: stage.day.resolved("page", slo=ORDERS), "the page is over", LIMIT_S)


def test_nothing_malformed_was_sent(stage: Stage) -> None:
    assert stage.day.told
    assert stage.night.told
    assert not stage.day.malformed + stage.night.malformed


def test_status_tells_where_alerts_go_and_no_more_of_it_than_the_host(stage: Stage) -> None:
    endpoints = stage.bed.status()["endpoints"]
    assert endpoints["pages"] == endpoints["tickets"] == f"http://127.0.0.1:{stage.day.port}/..."
