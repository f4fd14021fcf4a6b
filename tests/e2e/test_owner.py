"""Who owns a release: its `opsctl deploy` dies, stands still, is interrupted, is told to stop by another command, or has a rival."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.bed import FIRST, GOOD, HOLD, Bed, Running, pipeline, until, venue_bed

pytestmark = pytest.mark.e2e
ONE_PERCENT, HALF = Fraction(1, 100), Fraction(1, 2)


@pytest.fixture(scope="module")
def venue(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    with venue_bed(shelve, gateways=2) as made, made.flow(200):
        made.keep_running()
        yield made


@pytest.fixture
def bed(venue: Bed) -> Iterator[Bed]:
    yield venue
    venue.reset()


def held(bed: Bed, share: str = "10%", lease: str = "5s") -> Running:
    """A good release that stays on its first step."""
    running = bed.deploy(GOOD, pipeline(bed.folder, share, "100%", per_step=HOLD, lease=lease))
    bed.canary_at(running, Fraction(share.removesuffix("%")) / 100)
    return running


def guarded(bed: Bed, stream: str) -> None:
    """The guardian took the weight away and wrote why."""
    until(lambda: bed.share() == 0, "the guardian takes the weight to 0")
    (told,) = until(lambda: bed.events("guardian.zeroed", stream), "the guardian's entry in the journal")
    assert "its lease ran out" in told.data["reason"]


def test_killed_at_one_percent_the_guardian_takes_the_weight_and_rollback_finishes(bed: Bed) -> None:
    running = held(bed, "1%", lease="2s")
    stream = bed.last_stream()
    running.kill()
    guarded(bed, stream)
    assert not bed.events("release.ended", stream), "the guardian takes the weight away and no more"
    done = bed.opsctl("rollback", "--output", "json")
    assert (done.data["release"], done.data["cause"], done.data["promoted"]) == (stream, "owner_died", False)
    assert bed.events("release.ended", stream)
    assert done.data["canary_requests"] > 0, "what the canary served is told although its deploy died"
    pools = bed.status()["pools"]
    assert (pools[0]["version"], pools[0]["gateways_up"]) == (FIRST, 2)
    assert (pools[1]["gateways_wanted"], pools[1]["share_asked"]) == (0, "0"), "the canary's processes are stopped"
    assert bed.sample()["by_version"].keys() == {FIRST}


def test_killed_on_a_later_step_the_next_deploy_finishes_the_rollback_and_ships(bed: Bed) -> None:
    running = bed.deploy(GOOD, pipeline(bed.folder, "2%", "50%", "100%", per_check=4, lease="2s"))
    bed.canary_at(running, HALF)
    stream = bed.last_stream()
    running.kill()
    guarded(bed, stream)
    done = bed.deploy(GOOD, pipeline(bed.folder, "2%", "100%")).end()
    assert done.code == 0, str(done)
    assert (done.data["release"] != stream, done.data["promoted"]) == (True, True)
    (ended,) = bed.events("release.ended", stream)
    assert ended.data["cause"] == "owner_died"
    assert ended.seq < bed.events("release.started")[-1].seq, "the old one is over before the new one begins"


@pytest.mark.parametrize("command", ["history", "status", "up"])
def test_any_other_command_finishes_the_rollback_too(bed: Bed, command: str) -> None:
    running = held(bed, lease="2s")
    stream = bed.last_stream()
    running.kill()
    done = bed.opsctl(command)
    (ended,) = bed.events("release.ended", stream)
    assert (ended.data["cause"], bed.share()) == ("owner_died", 0), str(done)
    assert f"{stream} ({GOOD}) was left by an `opsctl deploy` that died" in done.err


def test_stopped_past_its_lease_and_woken_up_it_never_raises_again(bed: Bed) -> None:
    running = bed.deploy(GOOD, pipeline(bed.folder, "10%", "50%", "100%", passes=1000, lease="2s"))
    bed.canary_at(running, Fraction(1, 10))
    bed.checked(running)
    stream = bed.last_stream()
    running.signal(signal.SIGSTOP)
    guarded(bed, stream)
    asked = bed.asked_shares(stream)
    with bed.watch() as watch:
        running.signal(signal.SIGCONT)
        done = running.end()
    assert done.code == 3, str(done)
    assert not done.data["promoted"]
    assert done.data["cause"] in ("lease_lost", "foreign_weight"), "whichever it looks at first when it wakes up"
    assert (watch.most, bed.share()) == (0, 0)
    assert bed.asked_shares(stream) == asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_rolls_back(bed: Bed, number: signal.Signals) -> None:
    running = held(bed)
    running.signal(number)
    done = running.end()
    assert done.code == 7, str(done)
    assert (done.data["cause"], done.data["exit_code"], bed.share()) == ("aborted", 7, 0)
    assert number.name in done.data["reason"]


def test_rollback_from_a_second_terminal_ends_the_release(bed: Bed) -> None:
    running = held(bed)
    asked = bed.opsctl("rollback", "--reason", "members report stale quotes", "--output", "json")
    done = running.end()
    assert done.code == 7, str(done)
    assert "members report stale quotes" in done.data["reason"]
    assert (asked.data["release"], asked.data["cause"]) == (done.data["release"], "aborted")
    assert asked.data["canary_requests"] == done.data["canary_requests"]
    assert bed.share() == 0
    assert bed.sample()["by_version"].keys() == {FIRST}


def test_a_second_deploy_is_refused_and_changes_nothing(bed: Bed) -> None:
    running = held(bed)
    stream, weights = bed.last_stream(), bed.weights()
    done = bed.opsctl("deploy", "1.2.0", "--canary", "1%", code=5)
    assert f"opsctl deploy {GOOD} by" in done.err
    assert f"(pid {running.pid})" in done.err
    assert "a release is under way" in bed.opsctl("down", code=5).err, "nobody pulls the venue away from under it"
    assert (bed.last_stream(), bed.weights(), running.alive) == (stream, weights, True)
    assert {e.stream for e in bed.events() if e.seq > bed.events("release.started", stream)[0].seq} == {stream}
    running.signal(signal.SIGINT)
    assert running.end().code == 7
