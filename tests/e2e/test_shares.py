"""A thousandth of requests, counted by HAProxy itself; and a dry run, which changes nothing."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from e2e.bed import FIRST, GOOD, HOLD, LONG_S, Bed, pipeline, venue_bed

pytestmark = pytest.mark.e2e
PER_MILLE = Fraction(1, 1000)


@pytest.fixture(scope="module")
def venue(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    with venue_bed(shelve, gateways=4) as made:
        yield made


@pytest.fixture
def bed(venue: Bed) -> Iterator[Bed]:
    yield venue
    venue.reset()


def ask(bed: Bed, requests: int) -> None:
    """That many requests, one after the other, over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", bed.venue.ports.http, timeout=LONG_S)
    try:
        for _ in range(requests):
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
    finally:
        connection.close()


def test_a_thousandth_is_exact_by_haproxys_own_counters(bed: Bed) -> None:
    running = bed.deploy(GOOD, pipeline(bed.folder, "100%", per_step=HOLD), "--canary", "0.1%")
    bed.canary_at(running, PER_MILLE)
    with bed.silence():
        before = bed.served()
        ask(bed, 3000)
        served = {name: count - before[name] for name, count in bed.served().items()}
    stable, canary = (bed.venue.names(pool) for pool in (bed.venue.roles.stable, bed.venue.roles.stable.other))
    assert sum(served[name] for name in canary) == 3, served
    assert sum(served[name] for name in stable) == 2997, served
    bed.opsctl("rollback")
    done = running.end()
    assert done.code == 7, str(done)
    before = bed.served()
    ask(bed, 1000)
    assert sum(bed.served()[name] - before[name] for name in canary) == 0
    assert bed.asked_shares(done.data["release"]) == [0.001]


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(bed: Bed) -> None:
    with bed.silence():
        before = (bed.events(), bed.weights(), files(bed), bed.status()["pools"])
        done = bed.opsctl("deploy", GOOD, "--canary", "0.1%", "--dry-run", "--output", "json")
        assert (done.data["version"], done.data["stable_version"]) == (GOOD, FIRST)
        assert done.data["steps"][0] == {"share": 0.001, "processes": 1}
        assert done.data["steps"][-1] == {"share": 1.0, "processes": 4}
        text = bed.opsctl("deploy", GOOD, "--canary", "0.1%", "--dry-run")
        assert f"would ship {GOOD} over {FIRST}" in text.out
        assert "there is no version before" in bed.opsctl("rollback", "--dry-run", code=5).err, "as the command itself would say"
        assert (bed.events(), bed.weights(), files(bed), bed.status()["pools"]) == before


def files(bed: Bed) -> dict[str, bytes]:
    """What a release writes."""
    names = ("venue.json", "slots.json", "supervisord.conf", "haproxy/haproxy.cfg", "prometheus/targets.json", "journal.db")
    return {name: (bed.state / name).read_bytes() for name in names if (bed.state / name).exists()}
