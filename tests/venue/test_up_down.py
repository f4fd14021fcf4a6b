"""`up`, `status` and `down` with everything real but the exchange program."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from fractions import Fraction
from pathlib import Path

import pytest

from ops.adapters.local import command_line
from ops.conventions import Pool
from ops.errors import Refused, Unavailable, UsageError
from ops.ports import Split
from ops.venue import flow
from ops.venue.files import VenueRoles, load_existing
from ops.venue.model import Request, Site
from ops.venue.report import status
from venue.helpers import eventually, free_port, json_body, pools_of, program, short_folder, standin_site, standin_venue

pytestmark = pytest.mark.e2e


def quiet(_part: str, _seconds: float) -> None:
    pass


def pids(site: Site) -> dict[str, int]:
    return {p.name: p.pid for p in site.supervisor.programs() if p.pid}


def test_up_twice_starts_nothing_twice_and_down_twice_is_fine() -> None:
    with standin_venue() as site:
        before = pids(site)
        assert set(before) == {"core", "gateway-1", "gateway-2", "haproxy", "probe", "prometheus", "alertmanager", "guardian"}
        assert flow.up(site, Request(), quiet).started == ()
        assert pids(site) == before
        assert set(flow.down(site)) == set(before)
        assert flow.down(site) == ()
        assert not any(command_line(pid) for pid in before.values())


def test_up_starts_only_what_is_down() -> None:
    with standin_venue() as site:
        before = pids(site)
        site.supervisor.stop(["prometheus", "gateway-2"])
        assert not status(site).running
        assert set(flow.up(site, Request(), quiet).started) == {"prometheus", "gateway-2"}
        after = pids(site)
        assert {n: p for n, p in after.items() if n not in ("prometheus", "gateway-2")} == {
            n: p for n, p in before.items() if n not in ("prometheus", "gateway-2")
        }


def test_status_tells_processes_pools_and_the_core() -> None:
    with standin_venue(2, "1.0.0", "1.1.0") as site:
        venue = load_existing(site.layout.state)
        pools_of(site).start(Pool.GREEN, "1.1.0", 1)
        eventually(lambda: pools_of(site).ready(Pool.GREEN, "1.1.0"), "the canary is ready")
        site.crew(venue).splitter.shift(Split(Pool.BLUE, Fraction(1, 100)))
        eventually(lambda: status(site).pools[1].gateways_up == 1, "HAProxy sees the canary")
        found = status(site)
        stable, canary = found.pools
        assert (stable.track, stable.version, stable.share_asked, stable.share_applied) == ("stable", "1.0.0", "99/100", "99/100")
        assert (canary.track, canary.version, canary.share_asked, canary.gateways_up) == ("canary", "1.1.0", "1/100", 1)
        assert (found.seq_num, found.durable_seq_num) == (7, 7)
        eventually(lambda: status(site).running, "all have been up for a second")


def test_after_a_reboot_the_venue_comes_back_with_its_orders_its_keys_and_everybody_on_stable() -> None:
    with standin_venue(2, "1.0.0", "1.1.0") as site:
        venue, layout = load_existing(site.layout.state), site.layout
        (layout.order_log / "segment-1").write_bytes(b"orders")
        keys = layout.keys.read_bytes()
        pools_of(site).start(Pool.GREEN, "1.1.0", 1)
        site.crew(venue).splitter.shift(Split(Pool.BLUE, Fraction(1, 4)))
        for pid in (int(layout.supervisor_pid.read_text()), *pids(site).values()):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not site.supervisor.leftovers(), "all are gone")
        assert not status(site).running
        assert flow.up(site, Request(), quiet).started
        assert (layout.order_log / "segment-1").read_bytes() == b"orders"
        assert layout.keys.read_bytes() == keys
        assert load_existing(layout.state) == venue
        assert site.crew(venue).splitter.read().share(Pool.GREEN) == 0


def test_processes_that_outlived_a_killed_supervisor_are_ended_before_new_ones_start() -> None:
    with standin_venue() as site:
        old = pids(site)
        os.kill(int(site.layout.supervisor_pid.read_text()), signal.SIGKILL)
        eventually(site.supervisor.leftovers, "processes without a supervisor")
        assert any("without it" in problem for problem in status(site).problems)
        flow.up(site, Request(), quiet)
        assert not any(command_line(pid) for pid in old.values())
        os.kill(int(site.layout.supervisor_pid.read_text()), signal.SIGKILL)
        eventually(site.supervisor.leftovers, "processes without a supervisor")
        assert flow.down(site)
        assert not site.supervisor.leftovers()


def test_a_taken_public_port_is_named_with_its_program_and_nothing_is_started() -> None:
    with short_folder() as folder, socket.socket() as other:
        site = standin_site(folder)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Refused, match=rf"in use by \S+ \(pid {os.getpid()}\)"):
            flow.up(site, Request(gateways=1, http_port=other.getsockname()[1]), quiet)
        assert not site.supervisor.alive()
        assert not site.layout.venue.exists()


def test_a_running_venue_keeps_its_shape_and_a_stopped_one_takes_another() -> None:
    with standin_venue(2, "1.0.0", "1.1.0") as site:
        for request in (Request(gateways=3), Request(http_port=1234), Request(version="1.1.0")):
            with pytest.raises(Refused):
                flow.up(site, request, quiet)
        flow.down(site)
        venue = flow.up(site, Request(gateways=1, version="1.1.0"), quiet).venue
        assert (venue.gateways, venue.roles.stable_version) == (1, "1.1.0")
        assert json_body(venue.http_port("gateway-1"), "/readyz")["version"] == "1.1.0"


def test_a_pool_that_took_over_is_started_after_a_reboot_and_a_lost_old_release_does_not_matter() -> None:
    with standin_venue(1, "1.0.0", "1.1.0") as site:
        pools = pools_of(site)
        pools.start(Pool.GREEN, "1.1.0", 1)
        roles = VenueRoles(site.layout.state)
        roles.write(type(roles.read())(Pool.GREEN, {Pool.BLUE: "1.0.0", Pool.GREEN: "1.1.0"}))
        flow.down(site)
        assert {"gateway-1", "gateway-2"} <= set(flow.up(site, Request(), quiet).started), "the old version is warm again"
        flow.down(site)
        site.releases.forget("1.0.0")  # type: ignore[attr-defined]
        report = flow.up(site, Request(), quiet)
        assert "gateway-1" not in report.started
        assert "1.0.0" in report.notes[0]
        assert site.crew(report.venue).splitter.read().share(Pool.GREEN) == 1


def test_a_part_that_crashes_is_told_with_the_end_of_its_log() -> None:
    with short_folder() as folder:
        (folder / "bin").mkdir()
        core = program(folder / "bin", "core", "sh", "-c", "echo this core cannot read its log >&2; exit 3")
        site = standin_site(folder, command=core)
        try:
            with pytest.raises(Unavailable, match="core was not ready within 2 s") as failed:
                flow.up(site, Request(gateways=1, http_port=free_port(folder), timeout_s=2), quiet)
            assert "this core cannot read its log" in failed.value.message
            assert "opsctl logs core" in failed.value.hint
            assert status(site).programs[0].crashes > 0
        finally:
            flow.down(site)


def test_the_state_folder_is_closed_to_others_and_the_shells_secrets_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_API_KEY", "xk_secret")
    with standin_venue(1) as site:
        state = site.layout.state
        assert all(path.stat().st_mode & 0o077 == 0 for path in (state, site.layout.keys, site.layout.demo_key, state / "run"))
        token = site.layout.demo_key.read_text().strip()
        for pid in pids(site).values():
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"xk_secret" not in environment
            assert token not in " ".join(command_line(pid))
        sockets = [path for path in (state / "run").iterdir() if path.is_socket()]
        assert len(sockets) == 2
        assert all(path.stat().st_mode & 0o077 == 0 for path in sockets)


def test_purge_removes_a_stopped_venue_and_nothing_else() -> None:
    with standin_venue(1) as site:
        with pytest.raises(Refused, match="still runs"):
            flow.purge(site)
        flow.down(site)
        foreign = site.layout.state / "notes" / "mine.txt"
        foreign.parent.mkdir()
        foreign.write_text("mine")
        flow.purge(site)
        assert [path for path in site.layout.state.rglob("*") if path.is_file()] == [foreign], "what is not the venue's stays"
        shutil.rmtree(site.layout.state)
        flow.purge(site)
        site.layout.state.mkdir()
        (site.layout.state / "thesis.txt").write_text("mine")
        with pytest.raises(Refused, match="holds no venue"):
            flow.purge(site)


def test_a_path_too_long_for_sockets_and_a_missing_program_are_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = standin_site(tmp_path)
    long = tmp_path / ("deep" * 20)
    long.mkdir()
    with pytest.raises(UsageError, match="too long"):
        flow.up(standin_site(long), Request(), quiet)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("ops.adapters.local._SBIN", ())
    with pytest.raises(UsageError, match="haproxy is not installed"):
        site.tools()
