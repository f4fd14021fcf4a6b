"""The pools' processes under a real supervisord, with stand-ins for the gateways."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from ops.adapters.supervisor_cluster import SupervisorCluster
from ops.conventions import Pool, Track
from ops.errors import ClusterUnavailable, Refused
from ops.venue.files import load_existing
from ops.venue.model import Site
from venue.helpers import eventually, pools_of, standin_venue

pytestmark = pytest.mark.e2e
BLUE, GREEN = Pool.BLUE, Pool.GREEN


@pytest.fixture
def site() -> Iterator[Site]:
    with standin_venue(2, "1.0.0", "1.1.0", "1.2.0") as site:
        yield site


def pids(site: Site) -> dict[str, int]:
    return {program.name: program.pid for program in site.supervisor.programs() if program.pid}


def await_ready(pools: SupervisorCluster, pool: Pool, version: str, count: int) -> None:
    eventually(lambda: len(pools.ready(pool, version)) == count, f"{count} gateways of {version} in {pool}")


def test_a_release_changes_the_processes_of_its_pool_and_no_other(site: Site) -> None:
    pools, before = pools_of(site), pids(site)
    pools.start(GREEN, "1.1.0", 1)
    await_ready(pools, GREEN, "1.1.0", 1)
    assert pools.ready(GREEN, "1.0.0") == ()
    pools.start(GREEN, "1.2.0", 2)
    await_ready(pools, GREEN, "1.2.0", 2)
    after = pids(site)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"gateway-3", "gateway-4"}


def test_starting_what_runs_changes_nothing_and_growing_keeps_those_that_run(site: Site) -> None:
    pools = pools_of(site)
    pools.start(GREEN, "1.1.0", 1)
    first = pids(site)
    pools.start(GREEN, "1.1.0", 1)
    assert pids(site) == first
    pools.start(GREEN, "1.1.0", 2)
    assert pids(site)["gateway-3"] == first["gateway-3"]
    pools.start(GREEN, "1.1.0", 1)
    assert "gateway-4" not in pids(site)
    assert [process.name for process in pools.processes(GREEN)] == ["gateway-3"]


def test_stopping_a_pool_stops_that_pool(site: Site) -> None:
    pools, before = pools_of(site), pids(site)
    pools.start(GREEN, "1.1.0", 2)
    pools.stop(GREEN)
    pools.stop(GREEN)
    assert pids(site) == before
    assert pools.processes(GREEN) == ()
    assert pools.ready(GREEN, "1.1.0") == ()
    pools.start(GREEN, "1.1.0", 1)
    await_ready(pools, GREEN, "1.1.0", 1)


def test_a_killed_gateway_comes_back_with_another_pid_and_is_counted(site: Site) -> None:
    pools = pools_of(site)
    victim = pools.processes(BLUE)[0]
    assert site.supervisor.crashes().get(victim.name, 0) == 0
    os.kill(victim.pid, signal.SIGKILL)
    eventually(lambda: pools.processes(BLUE)[0].pid not in (0, victim.pid), "a new process")
    eventually(lambda: site.supervisor.crashes().get(victim.name) == 1, "the crash is counted")
    await_ready(pools, BLUE, "1.0.0", 2)
    assert pools.processes(BLUE)[0].started_at_s > victim.started_at_s


def test_an_unknown_release_is_refused_before_anything_is_touched(site: Site) -> None:
    pools, before = pools_of(site), pids(site)
    slots = site.layout.slots.read_bytes()
    with pytest.raises(Refused):
        pools.start(BLUE, "9.9.9", 2)
    assert (pids(site), site.layout.slots.read_bytes()) == (before, slots)


def test_a_supervisor_that_hangs_is_given_up_and_one_that_is_gone_is_named(site: Site) -> None:
    pools, pid = pools_of(site), int(site.layout.supervisor_pid.read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        with pytest.raises(ClusterUnavailable, match="does not answer"):
            pools.processes(BLUE)
        assert time.monotonic() - began_s < 4
    finally:
        os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not site.supervisor.alive(), "the supervisor is gone")
    with pytest.raises(ClusterUnavailable):
        pools.start(GREEN, "1.1.0", 1)
    assert len(site.supervisor.leftovers()) >= 6


def test_prometheus_targets_follow_what_runs_and_its_labels(site: Site) -> None:
    pools, targets = pools_of(site), site.crew(load_existing(site.layout.state)).targets

    def shown() -> dict[str, tuple[str, str]]:
        rows = json.loads(site.layout.targets.read_text())
        return {row["labels"]["gateway"]: (row["labels"]["track"], row["labels"]["version"]) for row in rows}

    stable = {"gateway-1": ("stable", "1.0.0"), "gateway-2": ("stable", "1.0.0")}
    assert shown() == stable
    pools.start(GREEN, "1.1.0", 1)
    targets.label({BLUE: (Track.STABLE, "1.0.0"), GREEN: (Track.CANARY, "1.1.0")})
    assert shown() == stable | {"gateway-3": ("canary", "1.1.0")}
    pools.start(GREEN, "1.1.0", 2)
    assert set(shown()) == {"gateway-1", "gateway-2", "gateway-3", "gateway-4"}
    pools.stop(GREEN)
    assert shown() == stable
