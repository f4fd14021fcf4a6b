"""What the flows need from the outside, as small Protocols shaped by their users, with the frozen facts they pass.

Adapters implement them (ops/adapters); tests use the in-memory fakes (ops/adapters/fakes.py). Every method that
leaves the process has a bound inside the adapter and raises an `Unavailable` when it is passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from ops.conventions import Pool, Track


class Clock(Protocol):
    """`monotonic_s` orders and measures; `wall_s` (Unix seconds) is for records and Prometheus only."""

    def monotonic_s(self) -> float: ...
    def wall_s(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Split:
    """How user traffic is to be divided: `canary_share` in [0, 1] to the pool opposite of `stable`."""

    stable: Pool
    canary_share: Fraction

    @property
    def canary(self) -> Pool:
        return self.stable.other


@dataclass(frozen=True, slots=True)
class PoolTraffic:
    """What the splitter itself says of one pool. Counters run since the splitter's start."""

    weight: int
    """Sum of the applied weights of servers that are up; 0 means no new request."""
    asked_weight: int
    """Sum of the applied weights of all its servers, up or not."""
    servers_up: int
    requests: int
    errors: int
    """Answers 5xx given by the pool's servers, connection failures included."""
    sessions_open: int
    """Open long-lived (TCP order-entry) sessions."""


@dataclass(frozen=True, slots=True)
class TrafficReading:
    pools: Mapping[Pool, PoolTraffic]
    started_at_s: float
    """Changes when the splitter restarted (its counters began again)."""

    def share(self, pool: Pool) -> Fraction:
        """The part of new requests that goes to `pool`, from the weights as applied (up or not)."""
        total = sum(p.asked_weight for p in self.pools.values())
        return Fraction(self.pools[pool].asked_weight, total) if total else Fraction(0)


class Traffic(Protocol):
    """The splitter (HAProxy on one machine)."""

    def check_share(self, split: Split, stable_servers: int, canary_servers: int) -> None:
        """Raises Refused, naming the nearest share that can be had, when the splitter cannot do `split` exactly."""

    def shift(self, split: Split) -> None:
        """Apply; returns when the splitter has taken it. The canary's part goes to the running servers of its pool.

        Raises TrafficUnavailable.
        """

    def read(self) -> TrafficReading: ...

    def close_sessions(self, pool: Pool) -> int:
        """Close the pool's long-lived sessions; returns how many there were."""


@dataclass(frozen=True, slots=True)
class Process:
    name: str
    pid: int
    """0 when it does not run."""
    running: bool
    started_at_s: float
    detail: str
    """The supervisor's own words, for a person."""


class Cluster(Protocol):
    """The processes of the two pools (a supervisor on one machine)."""

    def start(self, pool: Pool, version: str, count: int) -> None:
        """`count` gateways of `version` run in `pool`; those of another version are stopped first. Idempotent."""

    def stop(self, pool: Pool) -> None: ...

    def processes(self, pool: Pool) -> tuple[Process, ...]:
        """Those that should run, in name order."""

    def ready(self, pool: Pool, version: str) -> tuple[str, ...]:
        """Names of the gateways that answer /readyz as `version`. A gateway that does not answer is not ready."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which pool serves users, and what each pool runs. The venue's file of it is the one truth; the journal is its history."""

    stable: Pool
    versions: Mapping[Pool, str]
    """Version per pool; "" for a pool that never ran."""

    @property
    def stable_version(self) -> str:
        return self.versions[self.stable]

    @property
    def other_version(self) -> str:
        return self.versions[self.stable.other]


class RolesFile(Protocol):
    def read(self) -> Roles:
        """Raises Unavailable when there is no venue (hint: opsctl up)."""

    def write(self, roles: Roles) -> None:
        """One atomic, durable replacement."""

    def gateways(self) -> int:
        """Gateways per pool."""


class Targets(Protocol):
    """Which track Prometheus shall call each pool."""

    def label(self, tracks: Mapping[Pool, tuple[Track, str]]) -> None:
        """pool -> (track, version); pools not named are not scraped."""


@dataclass(frozen=True, slots=True)
class TrackSample:
    """One track's figures over one window, as Prometheus tells them. Counts are of finished requests, rounded to whole ones."""

    requests: int
    errors: int
    """Answers 5xx."""
    buckets: tuple[tuple[float, int], ...]
    """Order-to-ack histogram: (upper bound in seconds, cumulative count), ascending, the last bound +Inf. Empty: no orders."""
    age_s: float
    """Age of the newest sample behind the figures."""
    refused: int = 0
    """Answers 4xx: members' own mistakes, or a release that refuses what it should take."""


class Metrics(Protocol):
    def sample(self, versions: Mapping[Track, str], at_s: float, window_s: float) -> Mapping[Track, TrackSample]:
        """Figures of [at - window, at] (Unix seconds) for every track asked, all from the same instant.

        Raises MetricsUnavailable with the reason: no data, NaN, negative, stale, several series, timeout, not JSON.
        """


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the append-only, hash-chained journal."""

    seq: int
    at_s: float
    stream: str
    kind: str
    data: Mapping[str, Any]
    hash: str


class Store(Protocol):
    """The journal. `append` is on disk when it returns."""

    def append(self, stream: str, kind: str, data: Mapping[str, Any], at_s: float) -> Event: ...
    def events(self, stream: str | None = None, after_seq: int = 0) -> tuple[Event, ...]: ...


@dataclass(frozen=True, slots=True)
class LeaseState:
    stream: str
    token: int
    remaining_s: float
    """Negative when it has run out."""
    holder_pid: int


class Lease(Protocol):
    """The dead man's handle of the canary weight. Time is the machine's monotonic clock; a reboot ends every lease."""

    def take(self, stream: str, ttl_s: float) -> int:
        """A new fencing token, larger than any before."""

    def renew(self, token: int, ttl_s: float) -> bool:
        """False when the lease was taken away or has run out: the caller must not raise any weight again."""

    def release(self, token: int) -> None: ...

    def current(self) -> LeaseState | None: ...


class Lock(Protocol):
    """One release at a time. Held by the process: it ends with it, however it ends."""

    def acquire(self, owner: str) -> None:
        """Raises Refused naming the present owner."""

    def release(self) -> None: ...

    def held(self) -> bool:
        """Whether any process holds it now."""


@dataclass(frozen=True, slots=True)
class Release:
    """A built version, ready to run: its own environment and a manifest."""

    version: str
    commit: str
    digest: str
    built_at_s: float
    command: str
    """Absolute path of its `exchange` program."""
    dirty: bool = False
    installed: bool = False
    """The running installation itself: startable, but not built as a release."""


class Releases(Protocol):
    def all(self) -> tuple[Release, ...]:
        """Whole releases only, oldest first."""

    def get(self, version: str) -> Release:
        """Raises Refused when unknown (says what is there) or half built (says how to build it again)."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer. `points` are (Unix seconds, value), oldest first; values may be NaN or infinite."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Queries(Protocol):
    """A Prometheus to ask anything. All raise MetricsUnavailable."""

    def instant(self, query: str, at_s: float) -> tuple[Series, ...]: ...

    def range(self, query: str, start_s: float, end_s: float, step_s: float) -> tuple[Series, ...]: ...

    def flags(self) -> Mapping[str, str]:
        """The server's command-line flags as it reports them, such as storage.tsdb.retention.time."""
        ...
