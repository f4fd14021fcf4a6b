"""A bad release behind a Prometheus that lies: it never gets past its first step, whatever the lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.bed import BAD, FIRST, Bed, pipeline, venue_bed
from e2e.lying import FIGURES, LIES, LyingPrometheus, lying_prometheus

pytestmark = pytest.mark.e2e
FIRST_STEP = Fraction(1, 4)


@pytest.fixture(scope="module")
def bed(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    """With order flow all the time. Each release here ends by itself, and leaves the venue as it was."""
    with venue_bed(shelve, gateways=2) as made, made.flow(200):
        yield made


@pytest.fixture(scope="module")
def lying(bed: Bed) -> Iterator[LyingPrometheus]:
    with lying_prometheus(bed.prometheus) as made:
        yield made


@pytest.mark.parametrize("lie", LIES)
def test_a_bad_release_behind_a_lie_never_leaves_its_first_step(bed: Bed, lying: LyingPrometheus, lie: str) -> None:
    lying.mode = lie
    with bed.watch() as watch:
        running = bed.deploy(
            BAD, pipeline(bed.folder, "25%", "50%", "100%", interval="500ms", blind_after="20s"), "--prometheus", lying.url
        )
        done = running.end()
    assert lying.asked > 0, "it was this Prometheus that was asked"
    assert done.code == 3, str(done)
    assert (done.data["promoted"], done.data["cause"]) == (False, "checks_failed")
    stream = done.data["release"]
    assert bed.asked_shares(stream) == [0.25]
    assert (watch.most, bed.share()) == (FIRST_STEP, 0)
    assert "PASS" not in [e.data["verdict"] for e in bed.events("check", stream)]
    assert done.data["served_after_zero"] == 0
    assert bed.venue.roles.stable_version == FIRST


@pytest.mark.parametrize("lie", FIGURES)
def test_a_lie_is_one(bed: Bed, lying: LyingPrometheus, lie: str) -> None:
    """What the stand-in says differs from the truth that it was given, or the test above would show nothing."""
    rows = [{"metric": {"code": code, "track": "canary"}, "value": [1e9, "3"]} for code in ("200", "500")]
    assert FIGURES[lie](rows, "timestamp(") != rows
