"""What `opsctl status` says: gathered from whoever knows, with every part that does not answer named instead of guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from engine.conventions import LOG_DURABLE_SEQ_NUM, LOG_SEQ_NUM, PATH_METRICS
from ops.conventions import Pool, Track
from ops.errors import OpsError
from ops.ports import TrafficReading
from ops.venue import decide
from ops.venue.files import load_existing
from ops.venue.model import SUPERVISORD, Crew, Program, Site, Venue

PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class ProgramRow:
    name: str
    state: str
    """The supervisor's word, or `down` when there is no supervisor."""
    wanted: bool
    pid: int
    uptime_s: float
    crashes: int
    """Ends that nobody asked for, since the supervisor started."""
    pool: str
    """"" for what is no gateway."""
    version: str
    detail: str


@dataclass(frozen=True, slots=True)
class PoolRow:
    pool: str
    track: str
    version: str
    gateways_wanted: int
    gateways_up: int
    """As HAProxy's health checks see them."""
    share_asked: str
    """Part of new requests by the weights set, such as 1/100; "" when HAProxy does not answer."""
    share_applied: str
    """The same, counting only gateways that are up."""
    requests: int
    errors: int
    sessions_open: int


@dataclass(frozen=True, slots=True)
class Status:
    running: bool
    """Everything that should run does."""
    gateways_per_pool: int
    programs: tuple[ProgramRow, ...]
    pools: tuple[PoolRow, ...]
    seq_num: int | None
    """Last sequence number the core gave; None when it does not say."""
    durable_seq_num: int | None
    endpoints: Mapping[str, str]
    problems: tuple[str, ...] = field(default=())


def status(site: Site) -> Status:
    """Never raises for a part that is down. Raises Unavailable without a venue, UsageError for a damaged file."""
    venue = load_existing(site.layout.state)
    crew = site.crew(venue)
    problems: list[str] = []
    programs = _programs(site, venue, crew, problems)
    reading = _reading(crew, problems)
    figures = _core_figures(site, venue)
    if not figures:
        problems.append("the core does not answer")
    return Status(
        running=all(row.state == "RUNNING" for row in programs if row.wanted) and not problems,
        gateways_per_pool=venue.gateways,
        programs=programs,
        pools=tuple(_pool_row(venue, crew, pool, reading) for pool in (venue.roles.stable, venue.roles.stable.other)),
        seq_num=figures.get(LOG_SEQ_NUM),
        durable_seq_num=figures.get(LOG_DURABLE_SEQ_NUM),
        endpoints=decide.endpoints(venue, site.layout),
        problems=tuple(problems),
    )


def _programs(site: Site, venue: Venue, crew: Crew, problems: list[str]) -> tuple[ProgramRow, ...]:
    known: dict[str, Program] = {}
    try:
        known = {program.name: program for program in site.supervisor.programs()}
    except OpsError:
        left = site.supervisor.leftovers()
        more = f"; {len(left)} processes run on without it" if left else ""
        problems.append(f"the supervisor does not run{more}: opsctl up")
    wanted = {*venue.helpers(), *(name for pool in Pool for name in crew.pools.wanted(pool))}
    pool_of = {name: pool for pool in Pool for name in venue.names(pool)}
    crashes, now_s = site.supervisor.crashes(), site.clock.wall_s()
    rows = []
    for name in venue.programs():
        program, pool = known.get(name), pool_of.get(name)
        up = program is not None and program.pid > 0
        row = ProgramRow(
            name=name,
            state=program.state if program else "down",
            wanted=name in wanted,
            pid=program.pid if program else 0,
            uptime_s=max(0.0, now_s - program.started_at_s) if program and up else 0.0,
            crashes=crashes.get(name, 0),
            pool=str(pool) if pool else "",
            version=crew.pools.version(pool) if pool else "",
            detail=program.detail if program else "",
        )
        rows.append(row)
    return tuple(rows)


def _reading(crew: Crew, problems: list[str]) -> TrafficReading | None:
    try:
        return crew.splitter.read()
    except OpsError as error:
        problems.append(error.message)
        return None


def _pool_row(venue: Venue, crew: Crew, pool: Pool, reading: TrafficReading | None) -> PoolRow:
    traffic = reading.pools[pool] if reading else None
    wanted = crew.pools.wanted(pool)
    asked = reading.share(pool) if reading else None
    up_total = sum(each.weight for each in reading.pools.values()) if reading else 0
    return PoolRow(
        pool=str(pool),
        track=_track(venue, pool, asked, bool(wanted)),
        version=crew.pools.version(pool) or venue.roles.versions[pool],
        gateways_wanted=len(wanted),
        gateways_up=traffic.servers_up if traffic else 0,
        share_asked=str(asked) if asked is not None else "",
        share_applied=str(Fraction(traffic.weight, up_total) if up_total else 0) if traffic else "",
        requests=traffic.requests if traffic else 0,
        errors=traffic.errors if traffic else 0,
        sessions_open=traffic.sessions_open if traffic else 0,
    )


def _track(venue: Venue, pool: Pool, asked: Fraction | None, runs: bool) -> str:
    if pool is venue.roles.stable:
        return Track.STABLE
    if asked:
        return Track.CANARY
    return Track.WARM if runs else "idle"


def _core_figures(site: Site, venue: Venue) -> Mapping[str, int]:
    """The core's sequence numbers from its /metrics; empty when it does not answer."""
    answer = site.host.answer(venue.ports.core_admin, PATH_METRICS, PROBE_TIMEOUT_S)
    if answer is None or answer[0] != 200:
        return {}
    text = answer[2].decode("utf-8", errors="replace")
    found = {}
    for name in (LOG_SEQ_NUM, LOG_DURABLE_SEQ_NUM):
        if match := re.search(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.MULTILINE):
            found[name] = int(float(match[1]))
    return found


def log_names(venue: Venue) -> tuple[str, ...]:
    """What `opsctl logs` knows."""
    return (*venue.programs(), SUPERVISORD)
