"""In-memory twins of every port of a release, over one simulated clock: a whole release takes milliseconds and no process.

They form one small venue. Time moves only in `FakeClock.sleep`; while it moves, `FakeTraffic` serves requests by its weights to the
gateways that `FakeCluster` has ready, and `FakeMetrics` tells what was served, or lies about it. Every side effect goes through the
`Diary`, in order, which can also interrupt it: just before or just after, as a fault or as the end of the process.

Faults are plain attributes (`traffic.away = True`) and verbs (`cluster.die(...)`); `FakeClock.at` brings them about later.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar

from ops.adapters.fakes_base import Diary, FakeClock
from ops.conventions import GATEWAY_PREFIX, Pool, Track
from ops.errors import ClusterUnavailable, MetricsUnavailable, Refused, TrafficUnavailable, Unavailable
from ops.ports import PoolTraffic, Process, Roles, Split, TrackSample, TrafficReading

_T = TypeVar("_T")


@dataclass(slots=True)
class _Gateway:
    name: str
    pid: int
    version: str
    started_at_s: float
    ready_at_s: float
    running: bool = True


class FakeCluster:
    """Implements ops.ports.Cluster. A version becomes ready `ready_after_s[version]` after its start (inf: never)."""

    def __init__(self, clock: FakeClock, diary: Diary) -> None:
        self._clock, self._diary, self._next_pid = clock, diary, 100
        self._pools: dict[Pool, list[_Gateway]] = {pool: [] for pool in Pool}
        self.ready_after_s: dict[str, float] = {}
        self.away = False

    def start(self, pool: Pool, version: str, count: int) -> None:
        self._answer()
        self._diary.do("start", f"{pool} {version} x{count}", lambda: self._start(pool, version, count))

    def stop(self, pool: Pool) -> None:
        self._answer()
        self._diary.do("stop", str(pool), self._pools[pool].clear)

    def processes(self, pool: Pool) -> tuple[Process, ...]:
        self._answer()
        return tuple(
            Process(g.name, g.pid if g.running else 0, g.running, g.started_at_s, "RUNNING" if g.running else "FATAL")
            for g in self._pools[pool]
        )

    def ready(self, pool: Pool, version: str) -> tuple[str, ...]:
        self._answer()
        return tuple(g.name for g in self._pools[pool] if g.version == version and self._is_ready(g))

    def die(self, pool: Pool, count: int | None = None, restart_after_s: float | None = None) -> None:
        """The first `count` gateways (all, when None) of `pool` end; the supervisor starts them again when told after how long."""
        for gateway in self._pools[pool][:count]:
            gateway.running = False
            if restart_after_s is not None:
                self._clock.at(restart_after_s, lambda g=gateway: self._run(g))  # type: ignore[misc]

    def up(self, pool: Pool) -> int:
        """Gateways that the splitter's own health checks find; it asks no supervisor."""
        return sum(self._is_ready(g) for g in self._pools[pool])

    def version(self, pool: Pool) -> str:
        return self._pools[pool][0].version if self._pools[pool] else ""

    def _answer(self) -> None:
        if self.away:
            raise ClusterUnavailable("the supervisor does not answer")

    def _is_ready(self, gateway: _Gateway) -> bool:
        return gateway.running and self._clock.monotonic_s() >= gateway.ready_at_s

    def _start(self, pool: Pool, version: str, count: int) -> None:
        kept = [g for g in self._pools[pool] if g.version == version][:count]
        for gateway in kept:
            if not gateway.running:
                self._run(gateway)
        for number in range(len(kept), count):
            gateway = _Gateway(f"{GATEWAY_PREFIX}{pool}-{number}", 0, version, 0.0, 0.0)
            self._run(gateway)
            kept.append(gateway)
        self._pools[pool] = kept

    def _run(self, gateway: _Gateway) -> None:
        self._next_pid += 1
        now_s = self._clock.monotonic_s()
        gateway.pid, gateway.running, gateway.started_at_s = self._next_pid, True, now_s
        gateway.ready_at_s = now_s + self.ready_after_s.get(gateway.version, 1.0)


@dataclass(slots=True)
class Load:
    """What users do and how each version bears it. Exact, not random: 10 % of 20 requests are 2 errors."""

    requests_per_s: float = 200.0
    error_ratio: dict[str, float] = field(default_factory=dict)
    slow_ratio: dict[str, float] = field(default_factory=dict)
    """The part of a version's orders that takes SLOW_S instead of FAST_S."""


FAST_S, SLOW_S = 0.004, 0.9
_BOUNDS_S = (0.001, 0.005, 0.05, 0.5, 1.0, math.inf)


@dataclass(frozen=True, slots=True)
class _Served:
    """All requests and errors of a pool up to one instant, whoever restarted since."""

    requests: float = 0.0
    errors: float = 0.0
    slow: float = 0.0


class FakeTraffic:
    """Implements ops.ports.Traffic.

    `away`: it does not answer, and serves nobody. `deaf`: it takes weights and does not apply them. `indivisible`: shares it cannot do.
    """

    def __init__(self, clock: FakeClock, diary: Diary, cluster: FakeCluster, load: Load, stable: Pool = Pool.BLUE) -> None:
        self._clock, self._diary, self._cluster, self.load = clock, diary, cluster, load
        self.weights: dict[Pool, int] = {stable: 100, stable.other: 0}
        self.sessions: dict[Pool, int] = {pool: 0 for pool in Pool}
        self.away = self.deaf = False
        self.indivisible: set[Fraction] = set()
        self.after_zero = 0.0
        """Requests per second that a pool still gets at weight 0: a splitter that says zero and does otherwise."""
        self.unserved = 0.0
        self._served = {pool: _Served() for pool in Pool}
        self._forgotten = dict(self._served)
        self._started_at_s = clock.wall_s()
        self._times_s: dict[Pool, list[float]] = {pool: [-math.inf] for pool in Pool}
        self._history: dict[Pool, list[_Served]] = {pool: [_Served()] for pool in Pool}
        clock.each_move(self._serve)

    def check_share(self, split: Split, stable_servers: int, canary_servers: int) -> None:
        if split.canary_share in self.indivisible:
            raise Refused(f"{split.canary_share} cannot be done with {stable_servers} and {canary_servers} servers")

    def shift(self, split: Split) -> None:
        self._answer()
        self._diary.do("weight", f"{split.canary} {split.canary_share}", lambda: None if self.deaf else self._apply(split))

    def read(self) -> TrafficReading:
        self._answer()
        return TrafficReading({pool: self._pool(pool) for pool in Pool}, self._started_at_s)

    def close_sessions(self, pool: Pool) -> int:
        self._answer()
        closed = self.sessions[pool]
        self._diary.do("sessions", str(pool), lambda: self.sessions.update({pool: 0}))
        return closed

    def share(self, pool: Pool) -> Fraction:
        return Fraction(self.weights[pool], sum(self.weights.values()) or 1)

    def restart(self, weights: Mapping[Pool, int] | None = None) -> None:
        """Counters begin anew; so do the weights, when given."""
        self._started_at_s = self._clock.wall_s()
        self._forgotten = dict(self._served)
        self.weights.update(weights or {})

    def meddle(self, split: Split) -> None:
        """Somebody else moves the weight; no part of the release's own diary."""
        self._apply(split)

    def told(self, pool: Pool, from_s: float, to_s: float) -> _Served:
        """What was served in a span of wall time."""
        first, last = self._at(pool, from_s), self._at(pool, to_s)
        return _Served(last.requests - first.requests, last.errors - first.errors, last.slow - first.slow)

    def _answer(self) -> None:
        if self.away:
            raise TrafficUnavailable("the splitter does not answer")

    def _apply(self, split: Split) -> None:
        whole = split.canary_share.denominator
        self.weights = {split.canary: split.canary_share.numerator, split.stable: whole - split.canary_share.numerator}

    def _pool(self, pool: Pool) -> PoolTraffic:
        up, asked, served, gone = self._cluster.up(pool), self.weights[pool], self._served[pool], self._forgotten[pool]
        return PoolTraffic(
            weight=asked if up else 0,
            asked_weight=asked,
            servers_up=up,
            requests=int(served.requests) - int(gone.requests),
            errors=int(served.errors) - int(gone.errors),
            sessions_open=self.sessions[pool],
        )

    def _serve(self, passed_s: float) -> None:
        asked = self.load.requests_per_s * passed_s
        usable = {pool: weight for pool, weight in self.weights.items() if weight and self._cluster.up(pool)}
        if self.away or not usable:
            self.unserved += asked
            return
        for pool in Pool:
            part = asked * usable[pool] / sum(usable.values()) if pool in usable else 0.0
            if pool not in usable and self._cluster.up(pool):
                part = self.after_zero * passed_s
            self._add(pool, part)

    def _add(self, pool: Pool, requests: float) -> None:
        old, version = self._served[pool], self._cluster.version(pool)
        self._served[pool] = _Served(
            old.requests + requests,
            old.errors + requests * self.load.error_ratio.get(version, 0.0),
            old.slow + requests * self.load.slow_ratio.get(version, 0.0),
        )
        self._times_s[pool].append(self._clock.wall_s())
        self._history[pool].append(self._served[pool])

    def _at(self, pool: Pool, wall_s: float) -> _Served:
        return self._history[pool][bisect_right(self._times_s[pool], wall_s + 1e-6) - 1]


class Lie(StrEnum):
    """What Prometheus may say instead of the truth. The first nine the adapter refuses with that reason; the others look like figures."""

    NAN = "Prometheus gave NaN for a figure"
    EMPTY = "Prometheus has no series of the canary track"
    ERROR = "Prometheus answered without a result"
    HTML = "Prometheus answered something that is not JSON"
    STATUS_503 = "Prometheus refused the query: HTTP Status Code 503"
    STALE = "the newest sample of the canary track is 600 s old"
    MANY = "Prometheus gave two series for canary"
    INFINITE = "Prometheus gave +Inf for a figure"
    NEGATIVE = "Prometheus gave a negative count (-1)"
    ZERO = "zero requests, zero errors"
    NO_ERRORS = "the true requests, zero errors, all fast"
    HEALTHY = "ten times the true requests, zero errors, all fast"
    BUG = "an exception nobody foresaw"

    @property
    def refused(self) -> bool:
        return self not in (Lie.ZERO, Lie.NO_ERRORS, Lie.HEALTHY, Lie.BUG)


class FakeMetrics:
    """Implements ops.ports.Metrics: the truth of `traffic`, or the present `lie`."""

    def __init__(self, traffic: FakeTraffic, cluster: FakeCluster) -> None:
        self._traffic, self._cluster = traffic, cluster
        self.lie: Lie | None = None
        self.hidden: set[Track] = set()
        """Tracks left out of every answer."""
        self.asked: list[float] = []
        """The window of every question, in seconds."""

    def sample(self, versions: Mapping[Track, str], at_s: float, window_s: float) -> Mapping[Track, TrackSample]:
        self.asked.append(window_s)
        if self.lie is Lie.BUG:
            raise RuntimeError(self.lie.value)
        if self.lie is not None and self.lie.refused:
            raise MetricsUnavailable(self.lie.value)
        return {t: self._sample(t, v, at_s, window_s) for t, v in versions.items() if t not in self.hidden}

    def _sample(self, track: Track, version: str, at_s: float, window_s: float) -> TrackSample:
        pool = next((p for p in Pool if self._cluster.version(p) == version), None)
        if pool is None:
            raise MetricsUnavailable(f"Prometheus has no series of the {track} track with version {version}")
        served = self._traffic.told(pool, at_s - window_s, at_s)
        if self.lie is Lie.ZERO:
            served = _Served()
        elif self.lie is not None:
            served = _Served(served.requests * (10 if self.lie is Lie.HEALTHY else 1))
        requests, slow = round(served.requests), round(served.slow)
        counts = [0 if le < FAST_S else requests - slow if le < SLOW_S else requests for le in _BOUNDS_S]
        return TrackSample(requests, round(served.errors), tuple(zip(_BOUNDS_S, counts, strict=True)) if requests else (), 1.0)


def at_once(ask: Callable[[], _T]) -> Future[_T]:
    """A `submit` that answers before it returns."""
    future: Future[_T] = Future()
    try:
        future.set_result(ask())
    except Exception as error:
        future.set_exception(error)
    return future


class Later:
    """A `submit` that answers `delay_s` of simulated time later; inf: a question that hangs for ever."""

    def __init__(self, clock: FakeClock, delay_s: float) -> None:
        self._clock, self.delay_s = clock, delay_s
        self.hanging = 0

    def __call__(self, ask: Callable[[], _T]) -> Future[_T]:
        if self.delay_s == 0:
            return at_once(ask)
        future: Future[_T] = Future()
        if math.isinf(self.delay_s):
            self.hanging += 1
        else:
            self._clock.at(self.delay_s, lambda: self._settle(future, ask))
        return future

    @staticmethod
    def _settle(future: Future[_T], ask: Callable[[], _T]) -> None:
        settled = at_once(ask)
        if error := settled.exception():
            future.set_exception(error)
        else:
            future.set_result(settled.result())


class FakeRoles:
    """Implements ops.ports.RolesFile. `roles` None: there is no venue."""

    def __init__(self, diary: Diary, roles: Roles | None, gateways: int = 2) -> None:
        self._diary, self.roles, self._gateways = diary, roles, gateways

    def read(self) -> Roles:
        if self.roles is None:
            raise Unavailable("there is no venue", hint="opsctl up")
        return self.roles

    def write(self, roles: Roles) -> None:
        self._diary.do("roles", f"stable {roles.stable} {roles.stable_version}", lambda: self._set(roles))

    def gateways(self) -> int:
        return self._gateways

    def _set(self, roles: Roles) -> None:
        self.roles = roles


class FakeTargets:
    """Implements ops.ports.Targets. `broken`: the file cannot be written."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self.tracks: dict[Pool, tuple[Track, str]] = {}
        self.broken = False

    def label(self, tracks: Mapping[Pool, tuple[Track, str]]) -> None:
        if self.broken:
            raise Unavailable("the file of targets cannot be written")
        words = ", ".join(f"{pool} {track} {version}" for pool, (track, version) in sorted(tracks.items()))
        self._diary.do("targets", words, lambda: self._set(tracks))

    def _set(self, tracks: Mapping[Pool, tuple[Track, str]]) -> None:
        self.tracks = dict(tracks)
