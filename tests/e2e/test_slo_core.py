"""A core that stands still in the middle of a trading day: the pager is told of old market data, and that desks cannot act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from venue.helpers import short_folder

from e2e.bed import Bed, until
from e2e.slo_bed import LIMIT_S, judged, page_after, told_well, venue_in_session
from e2e.webhook import Inbox

pytestmark = pytest.mark.e2e
FEED, DESK = "market-data-freshness", "desk-can-flatten-and-pause"


@pytest.fixture(scope="module")
def venue() -> Iterator[tuple[Bed, Inbox]]:
    with short_folder() as folder, venue_in_session(folder, gateways=1) as (bed, inbox), bed.flow(50):
        until(lambda: judged(bed.venue.ports.prometheus, "1", FEED, DESK), "what the test breaks is judged, and well kept")
        yield bed, inbox


def test_a_core_that_stands_still_is_a_page_of_old_market_data_and_of_desks_that_cannot_act(venue: tuple[Bed, Inbox]) -> None:
    bed, inbox = venue
    assert not inbox.firing("page", alertname="CoreDown"), "a Prometheus that has just started does not take its targets for dead"
    with ExitStack() as frozen:
        told = page_after(inbox, FEED, lambda: frozen.enter_context(bed.frozen("core")))
        told_well(told, FEED, zone="1", severity="page")
        assert "gateway-1" in " ".join(told.annotations.values()), "the worst part is named"
        desk = until(lambda: inbox.firing("page", slo=DESK), "a page for the desks", LIMIT_S)[0]
        told_well(desk, DESK, zone="1", severity="page")
    assert not inbox.malformed
