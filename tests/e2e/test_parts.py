"""Parts of the venue die in the middle of a release."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.bed import FIRST, GOOD, HOLD, Bed, pipeline, until, venue_bed

pytestmark = pytest.mark.e2e
HALF = Fraction(1, 2)
NOBODY = "unknown"
"""The version of an answer that no gateway gave."""


@pytest.fixture(scope="module")
def venue(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    with venue_bed(shelve, gateways=2) as made:
        yield made


@pytest.fixture
def bed(venue: Bed) -> Iterator[Bed]:
    yield venue
    venue.reset()


def kill(bed: Bed, name: str) -> int:
    """kill -9; returns the pid that died."""
    pid = bed.pid(name)
    assert pid, f"{name} runs"
    os.kill(pid, signal.SIGKILL)
    return pid


def back(bed: Bed, name: str, old: int) -> None:
    until(lambda: bed.pid(name) not in (0, old), f"{name} is started again")


def test_every_canary_process_killed_rolls_back_at_once(bed: Bed) -> None:
    with bed.flow() as flow:
        running = bed.deploy(GOOD, pipeline(bed.folder, "75%", "100%", per_step=HOLD))
        bed.canary_at(running, Fraction(3, 4))
        for name in bed.venue.names(bed.venue.roles.stable.other):
            kill(bed, name)
        done = running.end()
        result = flow.stop()
    assert done.code == 3, str(done)
    assert done.data["cause"] == "canary_dead"
    assert (bed.share(), bed.venue.roles.stable_version) == (0, FIRST)
    assert result["wrong_by_version"].keys() <= {NOBODY}, "no gateway answered wrongly: what failed was in flight"
    after = bed.sample()
    assert (after["wrong_answers"], after["by_version"].keys()) == (0, {FIRST})


def test_a_killed_stable_gateway_is_started_again_and_told_and_the_release_goes_on(bed: Bed) -> None:
    name = bed.venue.names(bed.venue.roles.stable)[0]
    crashes = crashes_of(bed, name)
    with bed.flow() as flow:
        running = bed.deploy(GOOD, pipeline(bed.folder, "2%", "100%", passes=2))
        bed.canary_at(running, Fraction(1, 50))
        old = kill(bed, name)
        back(bed, name, old)
        assert crashes_of(bed, name) == crashes + 1
        done = running.end()
        result = flow.stop()
    assert done.code == 0, str(done)
    assert done.data["canary_errors"] == 0
    assert result["wrong_by_version"].keys() <= {NOBODY}
    assert result["by_version"].keys() - {NOBODY} == {FIRST, GOOD}
    assert bed.sample()["wrong_answers"] == 0


def crashes_of(bed: Bed, name: str) -> int:
    return next(row["crashes"] for row in bed.status()["programs"] if row["name"] == name)


def test_killed_haproxy_comes_back_with_the_canarys_weight_and_the_release_goes_on(bed: Bed) -> None:
    with bed.flow():
        running = bed.deploy(GOOD, pipeline(bed.folder, "2%", "50%", "100%", passes=2))
        bed.canary_at(running, HALF)
        old = kill(bed, "haproxy")
        back(bed, "haproxy", old)
        first = until(lambda: [share for share in (bed.share(),) if share is not None], "HAProxy's runtime socket answers")
        assert first == [HALF], f"its own file says so, before anybody sets it again: {running.err}"
        done = running.end()
    assert done.code == 0, str(done)
    assert bed.events("splitter.restarted", done.data["release"])
    assert bed.asked_shares(done.data["release"])[-1] == 1.0
    after = bed.sample()
    assert (after["wrong_answers"], after["by_version"].keys()) == (0, {GOOD})


def test_killed_haproxy_after_a_rollback_comes_back_without_the_canary(bed: Bed) -> None:
    running = bed.deploy(GOOD, pipeline(bed.folder, "50%", "100%", per_step=HOLD))
    bed.canary_at(running, HALF)
    bed.opsctl("rollback")
    assert running.end().code == 7
    old = kill(bed, "haproxy")
    back(bed, "haproxy", old)
    until(lambda: bed.share() is not None, "HAProxy's runtime socket answers")
    assert bed.share() == 0


def test_a_killed_core_promotes_nothing_and_the_venue_recovers(bed: Bed) -> None:
    with bed.flow(), bed.watch() as watch:
        running = bed.deploy(GOOD, pipeline(bed.folder, "10%", "50%", "100%", passes=1000))
        bed.canary_at(running, Fraction(1, 10))
        bed.checked(running)
        stream, before = bed.last_stream(), bed.events()[-1].seq
        old = kill(bed, "core")
        back(bed, "core", old)
        until(lambda: bed.status()["running"], "every part answers again")
        until(lambda: [e for e in bed.events("check", stream) if e.seq > before] or not running.alive, "a round after it")
        if running.alive:
            bed.opsctl("rollback")
        done = running.end()
    assert done.code in (3, 4, 7), str(done)
    assert not done.data["promoted"]
    assert (watch.most, bed.share(), bed.asked_shares(stream)) == (Fraction(1, 10), 0, [0.1])
    after = bed.sample()
    assert (after["wrong_answers"], after["by_version"].keys()) == (0, {FIRST})
