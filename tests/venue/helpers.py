"""Real programs for the venue's tests: stand-in gateways, HAProxy, polling with a deadline, everything ended afterwards."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TypeVar, cast
from zlib import crc32

from ops.adapters.clock import SystemClock
from ops.adapters.haproxy import HaproxyTraffic
from ops.adapters.local import LocalHost, find_program, http_get
from ops.adapters.prometheus_targets import PrometheusTargets
from ops.adapters.supervisor import SupervisorDaemon, files_soft_limit
from ops.adapters.supervisor_cluster import SlotsFile, SupervisorCluster
from ops.conventions import Pool
from ops.errors import Refused, TrafficUnavailable
from ops.ports import Release
from ops.render import HaproxyFile, Server
from ops.venue import flow
from ops.venue.decide import allot_ports, haproxy_file
from ops.venue.files import load_existing
from ops.venue.model import Crew, Layout, Request, Site, Tools, Venue
from ops.venue.setup import supervisor_text

T = TypeVar("T")
STANDIN = Path(__file__).with_name("standin_exchange.py")
ALERTS, SLO = (Path(__file__).parents[2] / noun for noun in ("alerts", "slo"))
HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")


def eventually(ask: Callable[[], T], what: str, seconds: float = 10.0) -> T:
    """The first true answer of `ask`; fails after `seconds`."""
    end_s = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end_s, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)
    return answer


@contextmanager
def short_folder() -> Iterator[Path]:
    """pytest's own folders are too long for unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="venue-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(folder: Path, name: str, *words: str) -> Path:
    """An executable that runs `words` with whatever it is given."""
    path = folder / name
    quoted = " ".join(f"'{word}'" for word in words)
    path.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


class StandinReleases:
    """Implements ops.ports.Releases: every version of `versions` is a stand-in that says it is that version."""

    def __init__(self, folder: Path, *versions: str) -> None:
        words = (sys.executable, str(STANDIN), "--as")
        self._commands = {version: program(folder, f"exchange-{version}", *words, version) for version in versions}

    def all(self) -> tuple[Release, ...]:
        return tuple(self.get(version) for version in self._commands)

    def get(self, version: str) -> Release:
        if version not in self._commands:
            raise Refused(f"there is no release {version}")
        return Release(version, "commit", "digest", 0.0, str(self._commands[version]))

    def forget(self, version: str) -> None:
        del self._commands[version]


@dataclass
class Splitter:
    """A real HAProxy in front of stand-in gateways, `size` per pool."""

    folder: Path
    size: int
    file: HaproxyFile
    traffic: HaproxyTraffic
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    canary_names: tuple[str, ...] = ()

    def start_gateway(self, name: str, version: str = "1.0.0") -> None:
        server = self.server(name)
        words = (sys.executable, str(STANDIN), "--as", version, "gateway", "--name", name)
        ports = ("--http-port", str(server.http_port), "--binary-port", str(server.binary_port))
        self.spawn(name, *words, *ports)

    def start_haproxy(self) -> None:
        assert HAPROXY
        self.spawn("haproxy", HAPROXY, "-db", "-f", str(self.folder / "haproxy.cfg"))
        eventually(self.file.socket.exists, "HAProxy's socket")
        eventually(lambda: self.up() == set(self.children) - {"haproxy"}, "HAProxy sees the gateways that run")

    def up(self) -> set[str]:
        try:
            rows = self.traffic._rows()
        except TrafficUnavailable:
            return set()
        return {name for (backend, name), row in rows.items() if backend == "http" and row["status"].startswith("UP")}

    def spawn(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self, name: str) -> None:
        child = self.children.pop(name)
        child.send_signal(signal.SIGKILL)
        child.wait(10)

    def server(self, name: str) -> Server:
        return next(server for server in self.file.servers if server.name == name)

    def names(self, pool: Pool) -> tuple[str, ...]:
        return tuple(server.name for server in self.file.servers if server.pool is pool)

    def ask(self, count: int, path: str = "/api/v1/x", keep_alive: bool = True) -> dict[str, int]:
        """Answers per gateway, or per status for those that are not 200."""
        counts: dict[str, int] = {}
        connection = http.client.HTTPConnection("127.0.0.1", self.file.http_port, timeout=10)
        try:
            for _ in range(count):
                connection.request("GET", path, headers={} if keep_alive else {"Connection": "close"})
                response = connection.getresponse()
                response.read()
                who = response.getheader("X-Gateway") if response.status == 200 else str(response.status)
                counts[who or "?"] = counts.get(who or "?", 0) + 1
        finally:
            connection.close()
        return counts

    def of(self, pool: Pool, counts: dict[str, int]) -> int:
        return sum(counts.get(name, 0) for name in self.names(pool))


@contextmanager
def splitter(stable: int = 4, canary: int = 1) -> Iterator[Splitter]:
    """HAProxy with `stable` gateways up in blue and `canary` in green; pools of max(stable, canary)."""
    with short_folder() as folder:
        size = max(stable, canary)
        ports = allot_ports(size, None, folder, LocalHost().port_free)
        names = [f"gateway-{n}" for n in range(1, 2 * size + 1)]
        pools = [Pool.BLUE] * size + [Pool.GREEN] * size
        servers = tuple(map(Server, names, pools, ports.gateway_http, ports.gateway_binary))
        (folder / "errors").mkdir()
        file = HaproxyFile(folder / "h.sock", folder / "errors", ports.core_link, ports.binary, ports.haproxy_metrics, servers)
        made = Splitter(folder, size, file, HaproxyTraffic(folder / "haproxy.cfg", file, lambda _pool: made.canary_names))
        made.canary_names = made.names(Pool.GREEN)[:canary]
        try:
            made.traffic.settle(Pool.BLUE)
            for name in (*made.names(Pool.BLUE)[:stable], *made.canary_names):
                made.start_gateway(name)
            for name in (*made.names(Pool.BLUE)[:stable], *made.canary_names):
                eventually(partial(http_get, made.server(name).http_port, "/readyz", 1.0), f"{name} answers")
            made.start_haproxy()
            yield made
        finally:
            for child in made.children.values():
                child.kill()
                child.wait(10)


def pools_of(site: Site) -> SupervisorCluster:
    venue = load_existing(site.layout.state)
    return cast("SupervisorCluster", site.crew(venue).pools)


def standin_site(folder: Path, *versions: str, command: Path | None = None) -> Site:
    """Everything real but the `exchange` program, the guardian and the releases' folder. `command` plays the core."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    releases = StandinReleases(bin_folder, *(versions or ("1.0.0",)))
    guardian = program(bin_folder, "guardian", "sleep", "100000")
    guardian.write_text("#!/bin/sh\nexec sleep 100000\n", encoding="utf-8")
    layout, clock, host = Layout(folder / "s"), SystemClock(), LocalHost()
    core = command or Path(releases.all()[0].command)

    def tools() -> Tools:
        found = (find_program("x", name) for name in ("haproxy", "prometheus", "prometheus-alertmanager"))
        return Tools(guardian, core, *found)

    daemon = SupervisorDaemon(layout.supervisor_conf, layout.supervisor_socket, layout.supervisor_pid, layout.output, clock)

    def crew(venue: Venue) -> Crew:
        slots = SlotsFile(layout.slots, {pool: venue.names(pool) for pool in Pool})
        targets = PrometheusTargets(layout.targets, venue.env, venue.exchange, slots.wanted, venue.http_port)
        text = partial(conf_text, venue, tools)
        pools = SupervisorCluster(daemon, layout.supervisor_conf, slots, venue.http_port, text, targets.refresh)
        return Crew(pools, HaproxyTraffic(layout.haproxy_config, haproxy_file(venue, layout), slots.wanted), targets)

    def conf_text(venue: Venue, tools: Callable[[], Tools], versions: Mapping[Pool, str]) -> str:
        return supervisor_text(venue, layout, tools(), releases, versions, files_soft_limit())

    return Site(layout, daemon, host, releases, clock, tools, crew, lambda: ALERTS, lambda: SLO, own_version="1.0.0")


@contextmanager
def standin_venue(gateways: int = 2, *versions: str) -> Iterator[Site]:
    """A venue of stand-ins that is up; down afterwards, whatever happened."""
    with short_folder() as folder:
        site = standin_site(folder, *versions)
        try:
            flow.up(site, Request(gateways=gateways, http_port=free_port(folder)), lambda _part, _seconds: None)
            yield site
        finally:
            flow.down(site)


def free_port(folder: Path) -> int:
    """A port that no venue in `folder` gets by itself."""
    return next(port for port in range(32_100 + crc32(bytes(folder)) % 600, 32_768) if LocalHost().port_free(port))


def json_body(port: int, path: str) -> dict[str, object]:
    answer = http_get(port, path, 2.0)
    assert answer is not None
    return dict(json.loads(answer[2]))


ONE_PERCENT, ONE_PER_MILLE = Fraction(1, 100), Fraction(1, 1000)
