"""Without sight: a release that nobody can see goes back within its bound, and the way back needs neither Prometheus nor the journal."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.bed import FIRST, GOOD, HOLD, Bed, pipeline, until, venue_bed
from e2e.lying import LyingPrometheus, lying_prometheus

pytestmark = pytest.mark.e2e
HALF = Fraction(1, 2)


@pytest.fixture(scope="module")
def venue(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    with venue_bed(shelve, gateways=2) as made, made.flow(200):
        made.keep_running()
        yield made


@pytest.fixture
def bed(venue: Bed) -> Iterator[Bed]:
    yield venue
    venue.reset()


@pytest.fixture(scope="module")
def lying(venue: Bed) -> Iterator[LyingPrometheus]:
    with lying_prometheus(venue.prometheus) as made:
        yield made


def ended_blind(bed: Bed, *more: str) -> None:
    with bed.watch() as watch:
        done = bed.deploy(GOOD, pipeline(bed.folder, "10%", "50%", "100%", blind_after="4s"), *more).end()
    assert done.code == 4, str(done)
    assert (done.data["promoted"], done.data["cause"]) == (False, "blind")
    assert "no conclusive verdict for 4 s" in done.data["reason"]
    assert (watch.most, bed.share()) == (Fraction(1, 10), 0)
    checks = bed.events("check", done.data["release"])
    assert {e.data["verdict"] for e in checks} <= {"INCONCLUSIVE"}, "a good release is not convicted for a lie either"
    assert bed.venue.roles.stable_version == FIRST


@pytest.mark.parametrize("lie", ["hang", "503", "nan"])
def test_a_good_release_that_cannot_be_seen_goes_back_within_its_bound(bed: Bed, lying: LyingPrometheus, lie: str) -> None:
    lying.mode = lie
    ended_blind(bed, "--prometheus", lying.url)
    assert lying.asked > 0


def test_without_prometheus_at_all(bed: Bed) -> None:
    bed.supervisor.stop(["prometheus"])
    ended_blind(bed)
    bed.opsctl("up")
    until(lambda: bed.sees("stable") == {FIRST}, "Prometheus is back")


def test_prometheus_that_goes_blind_in_the_middle_stops_the_raise(bed: Bed, lying: LyingPrometheus) -> None:
    lying.mode = ""
    with bed.watch() as watch:
        running = bed.deploy(GOOD, pipeline(bed.folder, "2%", "50%", "100%", blind_after="10s"), "--prometheus", lying.url)
        bed.canary_at(running, HALF)
        lying.mode = "nothing"
        done = running.end()
    assert done.code == 4, str(done)
    assert (watch.most, bed.share()) == (HALF, 0)
    assert bed.asked_shares(done.data["release"]) == [0.02, 0.5]


@contextmanager
def journal_taken(bed: Bed, how: str) -> Iterator[None]:
    """Nobody else can write the journal, or not even read it, for as long as this lasts."""
    db = sqlite3.connect(bed.state / "journal.db", isolation_level=None, timeout=30)
    try:
        db.execute(f"BEGIN {how}")
        yield
    finally:
        db.close()


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_rollback_takes_the_weight_away_without_prometheus_and_without_the_journal(bed: Bed, how: str) -> None:
    running = bed.deploy(GOOD, pipeline(bed.folder, "50%", "100%", per_step=HOLD, lease="60s"))
    bed.canary_at(running, HALF)
    with bed.frozen("prometheus"), journal_taken(bed, how):
        running.signal(signal.SIGSTOP)  # its lease is long: what acts now is the rollback, and nobody else
        done = bed.opsctl("rollback", code=None)
        assert bed.share() == 0, str(done)
    assert done.code == 0, str(done)
    assert "journal" in done.err, "that it was not recorded is told"
    running.signal(signal.SIGCONT)
    ended = running.end()
    assert (ended.code, bed.share()) == (3, 0), ended
    assert bed.venue.roles.stable_version == FIRST
    assert bed.sample()["by_version"].keys() == {FIRST}


def test_switching_back_after_a_promotion_needs_neither_of_them(bed: Bed) -> None:
    done = bed.deploy(GOOD, pipeline(bed.folder, "2%", "100%")).end()
    assert done.code == 0, str(done)
    with bed.frozen("prometheus"), journal_taken(bed, "EXCLUSIVE"):
        done = bed.opsctl("rollback", code=None)
        assert bed.share() == 0, str(done)
        assert (done.code, bed.venue.roles.stable_version) == (0, FIRST), str(done)
    assert bed.sample()["by_version"].keys() == {FIRST}


def test_a_deploy_whose_journal_goes_away_rolls_back_and_the_next_command_records_it(bed: Bed) -> None:
    running = bed.deploy(GOOD, pipeline(bed.folder, "50%", "100%", per_step=HOLD))
    bed.canary_at(running, HALF)
    with journal_taken(bed, "EXCLUSIVE"):
        seen = bed.opsctl("status", "--output", "json")
        assert (seen.code, seen.data["running"]) == (0, True), "who looks at the venue is not kept from it"
        done = running.end()
        assert bed.share() == 0
    assert done.code == 3, str(done)
    assert done.data["cause"] in ("error", "lease_lost")
    bed.opsctl("history")
    assert bed.events("release.started")[-1].stream == bed.events("release.ended")[-1].stream
