"""The way back, shared by `opsctl deploy`, `opsctl rollback`, the guardian's successor and recovery.

Order, and only a look at whether stable takes requests comes before it: weight to zero -> read back -> close the canary's
sessions -> stop its processes. It needs neither Prometheus nor chat, and no gate is asked. This one side effect is recorded after it is
done, not before: weight 0 is safe to do twice, and a journal that is locked or full must not delay it. What could not be recorded is
told to the caller.

It never sends users to an empty pool: when no stable gateway is up, the stable processes are started first, and if they do not come,
the weights stay as they are and the outcome says ROLLBACK_INCOMPLETE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from ops.conventions import Pool, Track
from ops.deploy import journal
from ops.errors import OpsError, Unavailable
from ops.ports import Clock, Cluster, Lease, Lock, Metrics, RolesFile, Split, Store, Targets, Traffic, TrafficReading

_T = TypeVar("_T")

READ_BACK_LIMIT_S = 8.0
STABLE_LIMIT_S = 10.0
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a release talks to."""

    clock: Clock
    traffic: Traffic
    cluster: Cluster
    metrics: Metrics
    targets: Targets
    roles: RolesFile
    store: Store
    lease: Lease
    lock: Lock


@dataclass(frozen=True, slots=True)
class WayBack:
    """What a rollback did. Times in seconds from its decision."""

    zero_after_s: float
    whole_s: float
    served_after_zero: int
    sessions_closed: int
    notes: tuple[str, ...]
    """What could not be done or recorded, in words; the weight is at zero all the same."""


def write(ports: Ports, stream: str, kind: str, data: Mapping[str, Any]) -> None:
    ports.store.append(stream, kind, data, ports.clock.wall_s())


def roll_back(ports: Ports, stream: str, stable: Pool, stable_version: str, cause: str, reason: str) -> WayBack:
    """Users off `stable.other`, for good. Raises Unavailable when that could not be proved."""
    began_s, notes = ports.clock.monotonic_s(), list[str]()

    def note(kind: str, data: Mapping[str, Any]) -> None:
        try:
            write(ports, stream, kind, data)
        except OpsError as error:
            notes.append(f"not recorded: {kind}: {error.message}")

    _ensure_stable(ports, stable, stable_version)
    reading = zero_weight(ports, stable)
    zero_s = ports.clock.monotonic_s() - began_s
    note(journal.ROLLBACK, {"cause": cause, "reason": reason})
    note(journal.WEIGHT_APPLIED, {"share": 0.0, "after_s": round(zero_s, 4)})
    closed = attempt(notes, "sessions", lambda: ports.traffic.close_sessions(stable.other))
    if closed is not None:
        note(journal.SESSIONS, {"closed": closed})

    def stop() -> None:
        ports.cluster.stop(stable.other)
        note(journal.STOPPED, {"pool": stable.other})

    attempt(notes, "processes", stop)
    attempt(notes, "targets", lambda: ports.targets.label({stable: (Track.STABLE, stable_version)}))
    served = _served_since(ports, reading, stable.other)
    return WayBack(zero_s, ports.clock.monotonic_s() - began_s, served, closed or 0, tuple(notes))


def zero_weight(ports: Ports, stable: Pool) -> TrafficReading:
    """Weight zero for `stable.other`, asked until it is read back, within READ_BACK_LIMIT_S. Raises Unavailable."""
    deadline_s = ports.clock.monotonic_s() + READ_BACK_LIMIT_S
    while True:
        try:
            ports.traffic.shift(Split(stable, Fraction(0)))
            reading = ports.traffic.read()
            if reading.pools[stable.other].asked_weight == 0:
                return reading
            why = f"it reads back as {reading.pools[stable.other].asked_weight}"
        except Unavailable as error:
            why = error.message
        if ports.clock.monotonic_s() >= deadline_s:
            raise Unavailable(
                f"the canary's weight could not be proved to be 0 within {READ_BACK_LIMIT_S:.0f} s: {why}",
                hint="the guardian goes on trying; to cut the canary off by hand stop its processes: see `opsctl status`",
            )
        ports.clock.sleep(_PAUSE_S)


def _ensure_stable(ports: Ports, stable: Pool, version: str) -> None:
    """At least one stable gateway takes requests; started when none does. A splitter that is away is not a reason to wait here."""
    try:
        if ports.traffic.read().pools[stable].servers_up > 0:
            return
    except Unavailable:
        return
    ports.cluster.start(stable, version, ports.roles.gateways())
    deadline_s = ports.clock.monotonic_s() + STABLE_LIMIT_S
    while ports.traffic.read().pools[stable].servers_up == 0:
        if ports.clock.monotonic_s() >= deadline_s:
            raise Unavailable(
                f"no gateway of the stable version {version} takes requests: users stay where they are",
                hint="bring stable back (`opsctl status`, `opsctl logs`), then `opsctl rollback`",
            )
        ports.clock.sleep(_PAUSE_S)


def _served_since(ports: Ports, before: TrafficReading, pool: Pool) -> int:
    try:
        after = ports.traffic.read()
    except Unavailable:
        return 0
    if after.started_at_s != before.started_at_s:
        return after.pools[pool].requests
    return after.pools[pool].requests - before.pools[pool].requests


def attempt(notes: list[str], what: str, do: Callable[[], _T]) -> _T | None:
    """What `do` returns; None, and a note, when it could not be done."""
    try:
        return do()
    except OpsError as error:
        notes.append(f"{what}: {error.message}")
        return None
