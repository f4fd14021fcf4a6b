"""What a venue is made of, as pure functions: checks of what was asked, ports, process list, parts to wait for, order of stopping."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

from engine.conventions import HEADER_GATEWAY, PATH_READY
from ops.conventions import GUARDIAN, Pool
from ops.errors import Refused, UsageError
from ops.ports import Roles
from ops.render import HaproxyFile, ProcessSpec, Server
from ops.venue import webhooks
from ops.venue.model import (
    ALERTMANAGER,
    CORE,
    DEFAULT_HTTP_PORT,
    HAPROXY,
    MAX_GATEWAYS,
    MAX_SOCKET_PATH,
    PROBE,
    PROMETHEUS,
    Layout,
    Ports,
    Request,
    Tools,
    Venue,
)

PORT_SPAN = (15_000, 32_000)
"""Below Linux' range for outgoing connections (32768 on): a port in that range may be taken, by HAProxy's own connection
even, while the gateway that owns it restarts."""
PORT_BLOCK = 40
"""A venue of four gateways needs 23 and fits one block."""
DEFAULT_GATEWAYS = 4
RETENTION_DAYS = 40
"""The month of an SLO is added up from up to 33 days of day totals; a week more is for the person who looks at last month."""
SERIES_OF_VENUE, SERIES_OF_GATEWAY, BYTES_OF_SERIES_A_DAY = 270, 100, 130_000
"""Of a real venue under order flow (docs/venue.md): 86,400 samples a day and series, 1.5 bytes each with the index."""
_SOCKET_TEMPORARY = len(".4194304.tmp")
"""HAProxy binds a temporary name first: the path, its pid, ".tmp"."""


def check_request(request: Request, state: Path) -> None:
    """Raises UsageError for what no venue can have."""
    if request.gateways is not None and not 1 <= request.gateways <= MAX_GATEWAYS:
        raise UsageError(f"--gateways: {request.gateways} is outside 1..{MAX_GATEWAYS}")
    if request.http_port is not None and not 1 <= request.http_port <= 65535:
        raise UsageError(f"--http-port: {request.http_port} is outside 1..65535")
    if not 0 < request.timeout_s <= 600:
        raise UsageError(f"--timeout: {request.timeout_s:g} s is outside 0..600 s")
    webhooks.check("--page-webhook", request.page_webhook or webhooks.TAKEN_AWAY)
    webhooks.check("--ticket-webhook", request.ticket_webhook or webhooks.TAKEN_AWAY)
    layout = Layout(state)
    longest = max(len(bytes(path)) for path in (layout.haproxy_socket, layout.supervisor_socket)) + _SOCKET_TEMPORARY
    if longest > MAX_SOCKET_PATH:
        raise UsageError(
            f"--state: {state} is {longest - MAX_SOCKET_PATH} characters too long: unix sockets inside it must fit into {MAX_SOCKET_PATH}",
            hint="choose a shorter folder, such as /tmp/venue",
        )


def new_venue(request: Request, state: Path, version: str, free: Callable[[int], bool]) -> Venue:
    """A venue that never ran, with ports that are free now. An --http-port that is not free is for the caller to refuse."""
    gateways = request.gateways or DEFAULT_GATEWAYS
    roles = Roles(Pool.BLUE, {Pool.BLUE: version, Pool.GREEN: ""})
    return Venue(gateways, allot_ports(gateways, request.http_port, state, free), roles)


def allot_ports(gateways: int, http_port: int | None, state: Path, free: Callable[[int], bool]) -> Ports:
    """Two venues on one machine start looking at different places, by their folder's name."""
    supply = _free_ports(state, free, http_port)
    http = http_port or (DEFAULT_HTTP_PORT if free(DEFAULT_HTTP_PORT) else next(supply))
    binary, link, admin, figures, prometheus, alertmanager, probe = (next(supply) for _ in range(7))
    slots = range(2 * gateways)
    return Ports(
        http=http,
        binary=binary,
        core_link=link,
        core_admin=admin,
        haproxy_metrics=figures,
        prometheus=prometheus,
        alertmanager=alertmanager,
        probe=probe,
        gateway_http=tuple(next(supply) for _ in slots),
        gateway_binary=tuple(next(supply) for _ in slots),
    )


def _free_ports(state: Path, free: Callable[[int], bool], taken: int | None) -> Iterator[int]:
    """Whole blocks of ports that are all free. A venue that runs holds some port of each of its blocks, but not all: the canary's gateways
    and the programs that are being started again hold none, and another venue must not take theirs meanwhile."""
    low, high = PORT_SPAN
    blocks = (high - low) // PORT_BLOCK
    start = crc32(bytes(state)) % blocks
    for step in range(blocks):
        first = low + (start + step) % blocks * PORT_BLOCK
        ports = [port for port in range(first, first + PORT_BLOCK) if port != taken]
        if all(free(port) for port in ports):
            yield from ports
    raise Refused(f"no {PORT_BLOCK} free TCP ports in a row between {low} and {high}", hint="stop what uses them")


def resized(venue: Venue, request: Request, state: Path, free: Callable[[int], bool]) -> Venue:
    """The venue as asked for now, when it does not run: another size or public port, new ports for those taken meanwhile, and a port for
    the probe in a venue that had none."""
    gateways = request.gateways or venue.gateways
    old = venue.ports
    http = request.http_port or old.http
    whole = all(free(port) for port in old.inner()) and http not in old.inner()
    if gateways == venue.gateways and whole:
        probe = old.probe or next(port for port in _free_ports(state, free, http) if port not in old.inner())
        return replace(venue, ports=replace(old, http=http, probe=probe))
    return replace(venue, gateways=gateways, ports=allot_ports(gateways, http, state, free))


def refuse_change(venue: Venue, request: Request) -> None:
    """A running venue keeps its shape. Raises Refused."""
    for name, asked, present in (
        ("--gateways", request.gateways, venue.gateways),
        ("--http-port", request.http_port, venue.ports.http),
        ("--release", request.version, venue.roles.stable_version),
    ):
        if asked is not None and asked != present:
            hint = "release it with `opsctl deploy`" if name == "--release" else "stop it first: opsctl down"
            raise Refused(f"the venue runs with {name} {present}; {asked} needs another start", hint=hint)


def plan_processes(
    venue: Venue, layout: Layout, tools: Tools, commands: Mapping[Pool, str], environment: tuple[tuple[str, str], ...] = ()
) -> tuple[ProcessSpec, ...]:
    """Every program. `commands` is the `exchange` program of each pool's release; `environment` is the guardian's."""
    ports = venue.ports
    core = (
        str(tools.exchange), "core", "--log-dir", str(layout.order_log), "--instruments", str(layout.instruments),
        "--link-port", str(ports.core_link), "--admin-port", str(ports.core_admin), "--ack-policy", "device",
        "--link-key", str(layout.link_key),
    )  # fmt: skip
    guardian = (str(tools.python), "-m", "ops.cli.main", "guardian", "--state", str(layout.state))
    return (
        ProcessSpec(CORE, core, stop_wait_s=10),
        *(_gateway(venue, layout, name, commands[pool]) for pool in Pool for name in venue.names(pool)),
        ProcessSpec(HAPROXY, (str(tools.haproxy), "-db", "-f", str(layout.haproxy_config))),
        *((_probe(layout, tools, ports),) if ports.probe else ()),
        ProcessSpec(PROMETHEUS, _prometheus(layout, tools, ports, venue.gateways)),
        ProcessSpec(ALERTMANAGER, _alertmanager(layout, tools, ports)),
        ProcessSpec(GUARDIAN, guardian, environment=environment),
    )


def _gateway(venue: Venue, layout: Layout, name: str, command: str) -> ProcessSpec:
    argv = (
        command, "gateway", "--name", name, "--http-port", str(venue.http_port(name)), "--binary-port", str(venue.binary_port(name)),
        "--core", f"127.0.0.1:{venue.ports.core_link}", "--keys", str(layout.keys), "--instruments", str(layout.instruments),
        "--link-key", str(layout.link_key),
    )  # fmt: skip
    return ProcessSpec(name, argv, stop_wait_s=7)


def _probe(layout: Layout, tools: Tools, ports: Ports) -> ProcessSpec:
    """Patience for taking back the order that may rest: two calls of 2 s."""
    argv = (
        str(tools.exchange), "probe", "--url", f"http://127.0.0.1:{ports.http}", "--key-file", str(layout.probe_key),
        "--instruments", str(layout.instruments), "--note", str(layout.probe_note), "--admin-port", str(ports.probe),
    )  # fmt: skip
    return ProcessSpec(PROBE, argv, stop_wait_s=6)


def _prometheus(layout: Layout, tools: Tools, ports: Ports, gateways: int) -> tuple[str, ...]:
    folder = layout.prometheus
    return (
        str(tools.prometheus), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--storage.tsdb.retention.time={RETENTION_DAYS}d", f"--storage.tsdb.retention.size={retention_mb(gateways)}MB",
        f"--web.listen-address=127.0.0.1:{ports.prometheus}", "--log.format=json",
    )  # fmt: skip


def retention_mb(gateways: int) -> int:
    """Disk that Prometheus may fill: half as much again as RETENTION_DAYS of a venue with both pools running take by what was measured."""
    series = SERIES_OF_VENUE + 2 * gateways * SERIES_OF_GATEWAY
    return BYTES_OF_SERIES_A_DAY * series * RETENTION_DAYS * 3 // 2_000_000


def _alertmanager(layout: Layout, tools: Tools, ports: Ports) -> tuple[str, ...]:
    folder = layout.alertmanager
    return (
        str(tools.alertmanager), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{ports.alertmanager}", "--cluster.listen-address=", "--log.format=json",
    )  # fmt: skip


def haproxy_file(venue: Venue, layout: Layout) -> HaproxyFile:
    ports = venue.ports
    servers = tuple(Server(name, pool, venue.http_port(name), venue.binary_port(name)) for pool in Pool for name in venue.names(pool))
    return HaproxyFile(layout.haproxy_socket, layout.haproxy_errors, ports.http, ports.binary, ports.haproxy_metrics, servers)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to wait for: GET `path` on `port` answers 200, by `version` when one is named. Port 0: the supervisor's word is all."""

    name: str
    port: int
    path: str = PATH_READY
    version: str = ""
    through_gateway: bool = False


def parts(venue: Venue, names: Iterable[str]) -> tuple[Part, ...]:
    """What must answer before a venue is up. HAProxy's part is a request through it to a gateway."""
    versions = {name: venue.roles.versions[pool] for pool in Pool for name in venue.names(pool)}
    known = {
        CORE: Part(CORE, venue.ports.core_admin),
        HAPROXY: Part(HAPROXY, venue.ports.http, through_gateway=True),
        PROBE: Part(PROBE, venue.ports.probe),
        PROMETHEUS: Part(PROMETHEUS, venue.ports.prometheus, "/-/ready"),
        ALERTMANAGER: Part(ALERTMANAGER, venue.ports.alertmanager, "/-/ready"),
        GUARDIAN: Part(GUARDIAN, 0),
        **{name: Part(name, venue.http_port(name), version=version) for name, version in versions.items()},
    }
    wanted = set(names)
    return tuple(known[name] for name in venue.programs() if name in wanted)


def is_ready(part: Part, status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether this answer is the part's own and says ready. Header names are in lower case."""
    if status != 200 or (part.through_gateway and HEADER_GATEWAY.lower() not in headers):
        return False
    if not part.version:
        return True
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("version") == part.version


def stop_phases(venue: Venue) -> tuple[tuple[str, ...], ...]:
    """Who acts on its own goes first, then new requests end, then the gateways drain into a core that still answers."""
    gateways = (*venue.names(Pool.BLUE), *venue.names(Pool.GREEN))
    probe = (PROBE,) if venue.ports.probe else ()
    return ((GUARDIAN, *probe), (HAPROXY,), gateways, (CORE, PROMETHEUS, ALERTMANAGER))


def endpoints(venue: Venue, layout: Layout) -> dict[str, str]:
    """Name -> address; the names are part of `--output json`. `api` is the base that /api/v1/... is added to."""
    ports = venue.ports
    return {
        "api": f"http://127.0.0.1:{ports.http}",
        "binary": f"127.0.0.1:{ports.binary}",
        "prometheus": f"http://127.0.0.1:{ports.prometheus}",
        "alertmanager": f"http://127.0.0.1:{ports.alertmanager}",
        "pages": webhooks.masked(venue.webhooks.page),
        "tickets": webhooks.masked(venue.webhooks.ticket),
        "demo_key": str(layout.demo_key),
        "state": str(layout.state),
    }
