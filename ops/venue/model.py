"""Nouns of a venue on one machine, and the ports its flows ask for. Slices and adapters do not import each other, so
what an adapter returns is described here by shape.

Layout of the state folder (mode 0700):

    venue.json            what this venue is: ports, size, roles of the pools (files.py)
    slots.json            which release each pool's processes run, and how many of them
    keys.yaml demo.key    mode 0600; made once
    probe.key probe.note  mode 0600; the desk probe's key, and the id of the order that it may have open
    link.key              mode 0600; made once: what a gateway shows the core before it is heard
    instruments.yaml      copied once
    log/                  the core's order log; never deleted without --purge
    output/NAME.log       what each process prints
    run/                  unix sockets, pid files
    haproxy/ prometheus/ alertmanager/ supervisord.conf      written by opsctl, from templates; prometheus/rules: copies of the declared
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ops.conventions import GATEWAY_PREFIX, GUARDIAN, Pool
from ops.ports import Clock, Cluster, Releases, Roles, Targets, Traffic

SCHEMA = 1
MAX_GATEWAYS = 16
"""Per pool. Keeps every change of weights inside one batch of HAProxy's 16 kB command buffer."""
MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path on Linux."""
CORE, HAPROXY, PROBE, PROMETHEUS, ALERTMANAGER = "core", "haproxy", "probe", "prometheus", "alertmanager"
SUPERVISORD = "supervisord"
DEFAULT_HTTP_PORT = 8080


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1. `http` and `binary` are the public ones; tuples are in gateway order, both pools."""

    http: int
    binary: int
    core_link: int
    core_admin: int
    haproxy_metrics: int
    prometheus: int
    alertmanager: int
    gateway_http: tuple[int, ...]
    gateway_binary: tuple[int, ...]
    probe: int = 0
    """0: a venue whose last start was by an opsctl that knew no probe. It has none until its next start."""

    def inner(self) -> tuple[int, ...]:
        """All but the public HTTP port."""
        one = (self.binary, self.core_link, self.core_admin, self.haproxy_metrics, self.prometheus, self.alertmanager)
        return (*one, *((self.probe,) if self.probe else ()), *self.gateway_http, *self.gateway_binary)

    def all(self) -> tuple[int, ...]:
        return (self.http, *self.inner())


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where Alertmanager sends pages and tickets; "" keeps and shows them only. May hold credentials: print `webhooks.masked` of them."""

    page: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class Venue:
    """`gateways` is per pool: blue has gateway-1..N, green gateway-N+1..2N."""

    gateways: int
    ports: Ports
    roles: Roles
    env: str = "local"
    exchange: str = "XDEMO"
    webhooks: Webhooks = field(default=Webhooks(), repr=False)

    def names(self, pool: Pool) -> tuple[str, ...]:
        first = 1 if pool is Pool.BLUE else self.gateways + 1
        return tuple(f"{GATEWAY_PREFIX}{number}" for number in range(first, first + self.gateways))

    def http_port(self, name: str) -> int:
        return self.ports.gateway_http[_index(name)]

    def binary_port(self, name: str) -> int:
        return self.ports.gateway_binary[_index(name)]

    def programs(self) -> tuple[str, ...]:
        """Every program there is, in the order of `opsctl status`."""
        gateways = (*self.names(Pool.BLUE), *self.names(Pool.GREEN))
        core, *others = self.helpers()
        return (core, *gateways, *others)

    def helpers(self) -> tuple[str, ...]:
        """The programs besides the gateways, in the order of starting."""
        return (CORE, HAPROXY, *((PROBE,) if self.ports.probe else ()), PROMETHEUS, ALERTMANAGER, GUARDIAN)


def _index(name: str) -> int:
    return int(name.removeprefix(GATEWAY_PREFIX)) - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each file of a venue is."""

    state: Path

    @property
    def venue(self) -> Path:
        return self.state / "venue.json"

    @property
    def slots(self) -> Path:
        return self.state / "slots.json"

    @property
    def lock(self) -> Path:
        return self.state / "run" / "venue.lock"

    @property
    def keys(self) -> Path:
        return self.state / "keys.yaml"

    @property
    def link_key(self) -> Path:
        return self.state / "link.key"

    @property
    def demo_key(self) -> Path:
        return self.state / "demo.key"

    @property
    def probe_key(self) -> Path:
        return self.state / "probe.key"

    @property
    def probe_note(self) -> Path:
        return self.state / "probe.note"

    @property
    def instruments(self) -> Path:
        return self.state / "instruments.yaml"

    @property
    def order_log(self) -> Path:
        return self.state / "log"

    @property
    def output(self) -> Path:
        return self.state / "output"

    @property
    def supervisor_conf(self) -> Path:
        return self.state / "supervisord.conf"

    @property
    def supervisor_socket(self) -> Path:
        return self.state / "run" / "supervisor.sock"

    @property
    def supervisor_pid(self) -> Path:
        return self.state / "run" / "supervisord.pid"

    @property
    def haproxy_config(self) -> Path:
        return self.state / "haproxy" / "haproxy.cfg"

    @property
    def haproxy_errors(self) -> Path:
        return self.state / "haproxy" / "errors"

    @property
    def haproxy_socket(self) -> Path:
        return self.state / "run" / "haproxy.sock"

    @property
    def prometheus(self) -> Path:
        return self.state / "prometheus"

    @property
    def rules(self) -> Path:
        return self.prometheus / "rules"

    @property
    def targets(self) -> Path:
        return self.prometheus / "targets.json"

    @property
    def alertmanager(self) -> Path:
        return self.state / "alertmanager"

    def own(self) -> tuple[Path, ...]:
        """Everything that opsctl makes here, for --purge: nothing else in the folder is touched."""
        named = ("venue.json", "venue.json.lock", "slots.json", "keys.yaml", "keys.yaml.lock", "instruments.yaml")
        keys = ("demo.key", "link.key", "probe.key", "probe.note")
        files = ("supervisord.conf", "journal.db", "journal.db-journal", "releases", "haproxy", "prometheus", "alertmanager")
        return tuple(self.state / name for name in (*named, *keys, *files, "output", "run", "log"))

    def output_of(self, name: str) -> Path:
        return self.output / f"{name}.log"

    def folders(self) -> tuple[Path, ...]:
        return (
            self.state, self.order_log, self.output, self.lock.parent, self.haproxy_config.parent, self.haproxy_errors,
            self.prometheus, self.rules, self.alertmanager,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tools:
    """Absolute paths of the programs a venue runs besides its own."""

    python: Path
    exchange: Path
    """The core's: the one beside `python`."""
    haproxy: Path
    prometheus: Path
    alertmanager: Path


class Program(Protocol):
    """One program as the supervisor sees it now."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str:
        """RUNNING, STARTING, BACKOFF, STOPPING, STOPPED, EXITED or FATAL."""

    @property
    def pid(self) -> int:
        """0 when it does not run."""

    @property
    def started_at_s(self) -> float:
        """Unix seconds of its last start; 0 when it never ran."""

    @property
    def detail(self) -> str: ...


class Supervisor(Protocol):
    """The process that keeps the others up. Raises ClusterUnavailable when it does not answer."""

    def alive(self) -> bool: ...
    def clear(self) -> None:
        """End one that does not answer and all that outlived it; remove dead sockets. Only when `alive` is false."""

    def boot(self) -> None:
        """Clear, start it, detached, and wait until it answers."""

    def programs(self) -> tuple[Program, ...]: ...
    def start(self, name: str) -> None:
        """Returns without waiting for the program. Idempotent."""

    def stop(self, names: Sequence[str]) -> None:
        """All at once; returns when they ended (SIGTERM, then SIGKILL). Names unknown or not running are passed over."""

    def reread(self, name: str) -> None:
        """Have that program read its files again (SIGHUP); returns before it did."""

    def shutdown(self) -> None:
        """End it and everything it left; returns when all are gone. Idempotent."""

    def leftovers(self) -> tuple[int, ...]:
        """Pids of the venue's processes that run without it."""

    def crashes(self) -> Mapping[str, int]:
        """Unasked ends per program since the supervisor started."""


class Host(Protocol):
    """The machine."""

    def port_free(self, port: int) -> bool: ...
    def port_user(self, port: int) -> str:
        """Who listens there, such as "nginx (pid 12)"; "" when it cannot be told."""

    def answer(self, port: int, path: str, timeout_s: float) -> tuple[int, Mapping[str, str], bytes] | None:
        """Status, headers (names in lower case) and body of GET http://127.0.0.1:port/path; None when there was none."""

    def tail(self, file: Path, lines: int) -> tuple[str, ...]:
        """The last lines; none when there is no such file."""


class Pools(Cluster, Protocol):
    """The cluster, and what it was told last."""

    def wanted(self, pool: Pool) -> tuple[str, ...]:
        """Names of the gateways that should run."""

    def version(self, pool: Pool) -> str:
        """What it should run; "" when it never ran."""

    def prepare(self, versions: Mapping[Pool, str]) -> None:
        """Write the supervisor's file for these versions, before it starts. A pool whose version changed has nothing that should run."""


class Splitter(Traffic, Protocol):
    def settle(self, stable: Pool) -> None:
        """Write its files for a start from cold: every user on `stable`."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Who acts on a venue once its ports are known."""

    pools: Pools
    splitter: Splitter
    targets: Targets


@dataclass(frozen=True, slots=True)
class Site:
    """All that the flows of this slice work with."""

    layout: Layout
    supervisor: Supervisor
    host: Host
    releases: Releases
    clock: Clock
    tools: Callable[[], Tools]
    """Raises UsageError naming what is not installed."""
    crew: Callable[[Venue], Crew]
    alerts: Callable[[], Path]
    """Folder of the alert rules. Raises UsageError when it is named and not there: `down` does not ask."""
    slo: Callable[[], Path]
    """Folder of the SLOs, with what was generated from them. Raises like `alerts`."""
    own_version: str
    """The release that a new venue runs unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Request:
    """What `opsctl up` was asked; None where the person said nothing."""

    gateways: int | None = None
    http_port: int | None = None
    version: str | None = None
    timeout_s: float = 30.0
    page_webhook: str | None = None
    """A URL; "none" takes it away."""
    ticket_webhook: str | None = None


Progress = Callable[[str, float], None]
"""A part is ready, this many seconds after `up` began."""


@dataclass(frozen=True, slots=True)
class UpReport:
    venue: Venue
    started: tuple[str, ...]
    """Programs that were not running before; empty when the venue was up."""
    seconds: float
    notes: tuple[str, ...] = ()
