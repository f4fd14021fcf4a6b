"""What a person asks of releases: ship one, finish what a dead one left, go back after a promotion.

Each takes the one lock first, so that two never act on one venue. The work of a running release is in `controller`, the way back in
`rollback`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ops.conventions import ExitCode, Pool, Track
from ops.deploy import journal
from ops.deploy.controller import Controller, Observer, Plan, Unbreakable, label_promoted
from ops.deploy.model import Cause, Outcome, Pipeline, processes_for
from ops.deploy.outcome import end, make_outcome, with_way_back
from ops.deploy.rollback import Ports, attempt, roll_back, write, zero_weight
from ops.deploy.rounds import Submit, in_thread
from ops.errors import OpsError, Refused, Unavailable
from ops.ports import Release, Roles, Split, TrafficReading

SWITCH_LIMIT_S = 5.0
OWNER_LIMIT_S = 6.0
"""A running `deploy` has this long to act on an abort before the weight is taken away over its head."""
_PAUSE_S = 0.05
COUNTED = ("canary_requests", "canary_errors", "zero_after_s", "rollback_s", "served_after_zero", "sessions_closed")


def make_plan(ports: Ports, pipeline: Pipeline, release: Release) -> Plan:
    """Raises Refused or Unavailable when the release cannot begin; changes nothing."""
    roles = ports.roles.read()
    if release.version == roles.stable_version:
        raise Refused(f"{release.version} is the stable version already", hint="name another one: `opsctl releases list`")
    gateways = ports.roles.gateways()
    processes = tuple(processes_for(share, gateways) for share in pipeline.steps)
    for share, count in zip(pipeline.steps, processes, strict=True):
        ports.traffic.check_share(Split(roles.stable, share), gateways, count)
    reading = ports.traffic.read()
    if reading.pools[roles.stable].servers_up == 0:
        raise Refused("no stable gateway takes requests: a release needs something to go back to", hint="see `opsctl status`")
    return Plan(release.version, roles.stable_version, roles.stable, pipeline.steps, processes)


def deploy(
    ports: Ports,
    pipeline: Pipeline,
    release: Release,
    observer: Observer,
    aborted: Callable[[], str],
    by: str,
    submit: Submit = in_thread,
) -> Outcome:
    """Ships `release` and returns what became of it. `aborted` tells why to stop, "" to go on.

    Raises Refused or Unavailable before the start; after it, every end is an Outcome.
    """
    ports.lock.acquire(f"opsctl deploy {release.version} by {by}")
    try:
        recover(ports, observer)
        plan = make_plan(ports, pipeline, release)
        stream = journal.next_stream(ports.store)
        write(ports, stream, journal.STARTED, _started(plan, pipeline, release, by, ports.traffic.read()))
        return Controller(ports, pipeline, plan, stream, observer, aborted, submit).run()
    finally:
        ports.lock.release()


def recover(ports: Ports, observer: Observer) -> Outcome | None:
    """Finish what a dead `deploy` left, from any point of its journal. The caller holds the lock. None when there is nothing to finish."""
    observer = Unbreakable(observer)
    left = journal.unfinished(ports.store)
    if left is None:
        return None
    roles = ports.roles.read()
    if left.promoting and roles.stable is left.stable_pool.other and roles.stable_version == left.version:
        observer.say(f"{left.stream} ({left.version}) was promoted when its `opsctl deploy` died: finishing")
        label_promoted(ports, roles)
        _end_lease(ports)
        outcome = make_outcome(left.stream, left.version, left.stable_version, None, "finished after its deploy died", 0.0)
        return end(ports, left.stream, outcome)
    observer.say(f"{left.stream} ({left.version}) was left by an `opsctl deploy` that died: rolling back to {left.stable_version}")
    reason = "its `opsctl deploy` died"
    back = roll_back(ports, left.stream, left.stable_pool, left.stable_version, Cause.OWNER_DIED, reason)
    seconds = ports.clock.wall_s() - left.started_at_s
    outcome = make_outcome(left.stream, left.version, left.stable_version, Cause.OWNER_DIED, reason, seconds)
    _end_lease(ports)
    requests, errors = _counted_since(ports, left)
    return end(ports, left.stream, replace(with_way_back(outcome, back), canary_requests=requests, canary_errors=errors))


def _counted_since(ports: Ports, left: journal.Record) -> tuple[int | None, int | None]:
    """What the canary served and answered wrong since the release began, by a splitter that has not restarted since; else unknown."""
    base = left.events[0].data.get("counted_from")
    try:
        reading = ports.traffic.read()
    except Unavailable:
        return None, None
    if not base or base["splitter"] != reading.started_at_s:
        return None, None
    pool = reading.pools[left.stable_pool.other]
    return pool.requests - base["requests"], pool.errors - base["errors"]


def _end_lease(ports: Ports) -> None:
    if lease := ports.lease.current():
        ports.lease.release(lease.token)


def finish_left(ports: Ports, observer: Observer) -> None:
    """What every command that looks at the venue does first: finish the rollback that a dead `deploy` left. Never fails: whoever wants
    to look at a venue, or stop it, is not kept from it by a journal that cannot be read or a splitter that is away."""
    try:
        left = journal.unfinished(ports.store)
        if left is None or ports.lock.held():
            return
    except OpsError as error:
        observer.say(f"note: whether a release was left unfinished cannot be told: {error.message}")
        return
    try:
        ports.traffic.read()
        ports.lock.acquire("an opsctl command that finishes a rollback")
    except OpsError:
        observer.say(f"note: {left.stream} ({left.version}) is unfinished; its rollback is finished once the venue is up: `opsctl up`")
        return
    try:
        recover(ports, observer)
    except OpsError as error:
        observer.say(f"note: the rollback of {left.stream} ({left.version}) could not be finished: {error.message}; `opsctl rollback`")
    finally:
        ports.lock.release()


def go_back(ports: Ports, observer: Observer, by: str, reason: str, ready_limit_s: float = 30.0) -> Outcome:
    """`opsctl rollback`: end the release under way, or finish a dead one's rollback, or switch back to the N-1 that stands warm.

    Raises Refused when there is nothing to go back to.
    """
    observer = Unbreakable(observer)
    if trouble := _unreadable(ports):
        observer.say(f"going back without the journal: {trouble}")
        if ports.lock.held() or ports.lease.current():
            return _take_away(ports, observer, by, reason)
    elif ports.lock.held():
        ended = _abort_running(ports, observer, by, reason)
        if ended is not None:
            return ended
        observer.say("it was promoted at that very moment: switching back")
    ports.lock.acquire(f"opsctl rollback by {by}")
    try:
        left = None if trouble else recover(ports, observer)
        return left if left is not None and not left.promoted else _switch_back(ports, observer, by, reason, ready_limit_s)
    finally:
        ports.lock.release()


def _unreadable(ports: Ports) -> str:
    """Why the journal cannot be read; "" when it can. The way back does not depend on it."""
    try:
        journal.unfinished(ports.store)
    except OpsError as error:
        return error.message
    return ""


def _take_away(ports: Ports, observer: Observer, by: str, reason: str) -> Outcome:
    """The lease, the weight and the sessions of a release that only its lease tells of. Its processes are left to who owns them."""
    roles, lease, began_s, notes = ports.roles.read(), ports.lease.current(), ports.clock.monotonic_s(), list[str]()
    attempt(notes, "its lease", lambda: _end_lease(ports))  # before the weight: its `opsctl deploy` must not raise it again
    zero_weight(ports, roles.stable)
    zero_s = ports.clock.monotonic_s() - began_s
    closed = attempt(notes, "sessions", lambda: ports.traffic.close_sessions(roles.stable.other)) or 0
    for note in notes:
        observer.say(note)
    said = f"asked by {by}: {reason}; not recorded, and the release's end is for the next command that can read the journal"
    outcome = make_outcome(lease.stream if lease else "unknown", "the canary", roles.stable_version, Cause.ABORTED, said, zero_s)
    return replace(outcome, zero_after_s=zero_s, sessions_closed=closed, canary_requests=None, canary_errors=None)


def _abort_running(ports: Ports, observer: Observer, by: str, reason: str) -> Outcome | None:
    """None when the release got promoted before it saw the request: then there is something to switch back from."""
    running = journal.unfinished(ports.store)
    if running is None:
        raise Refused("another opsctl command is at work, but no release is under way", hint="try again in a moment")
    outcome = make_outcome(running.stream, running.version, running.stable_version, Cause.ABORTED, f"asked by {by}: {reason}", 0.0)
    data = _asked_to_end(ports, observer, running, by, reason)
    if data is not None:
        return None if data["promoted"] else replace(outcome, seconds=float(data["seconds"]), **{name: data[name] for name in COUNTED})
    observer.say("its `opsctl deploy` does not act: taking the weight away over its head")
    notes: list[str] = []
    attempt(notes, "its lease", lambda: _end_lease(ports))  # before the weight: should it wake up, it must not raise it again
    zero_weight(ports, running.stable_pool)
    attempt(notes, "not recorded", lambda: write(ports, running.stream, journal.WEIGHT_APPLIED, {"share": 0.0, "by": by}))
    for note in notes:
        observer.say(note)
    unknown = replace(outcome, seconds=ports.clock.wall_s() - running.started_at_s, canary_requests=None, canary_errors=None)
    return replace(unknown, reason=f"{outcome.reason}; its `opsctl deploy` did not react: end it, the next command finishes the rollback")


def _asked_to_end(ports: Ports, observer: Observer, running: journal.Record, by: str, reason: str) -> Mapping[str, Any] | None:
    """How `running` ended once its `deploy` saw the request; None when it did not within OWNER_LIMIT_S, or the journal is of no use."""
    try:
        write(ports, running.stream, journal.ABORT, {"by": by, "reason": reason})
        observer.say(f"asked {running.stream} ({running.version}) to roll back")
        deadline_s = ports.clock.monotonic_s() + OWNER_LIMIT_S
        while ports.clock.monotonic_s() < deadline_s:
            ended = [e for e in ports.store.events(running.stream) if e.kind == journal.ENDED]
            if ended:
                return ended[0].data
            ports.clock.sleep(_PAUSE_S)
    except OpsError as error:
        observer.say(f"the journal does not take the request: {error.message}")
    return None


def _switch_back(ports: Ports, observer: Observer, by: str, reason: str, ready_limit_s: float) -> Outcome:
    roles, began_s = ports.roles.read(), ports.clock.monotonic_s()
    old, new = roles.other_version, roles.stable_version
    if not old:
        hint = "ship another one: `opsctl releases list`, then `opsctl deploy VERSION`"
        raise Refused(f"there is no version before {new} to go back to", hint=hint)
    _ensure_ready(ports, observer, roles.stable.other, old, ready_limit_s)
    decided_s = ports.clock.monotonic_s()
    token, notes = ports.lease.take(journal.VENUE, SWITCH_LIMIT_S * 2), list[str]()
    back = Roles(roles.stable.other, {roles.stable.other: old, roles.stable: ""})
    try:
        ports.roles.write(back)  # before the shift: should this process die now, the guardian finishes the way back, not undoes it
        ports.traffic.shift(Split(roles.stable.other, Fraction(0)))
        reading = _await_zero(ports, roles.stable)
        zero_s = ports.clock.monotonic_s() - decided_s
    finally:
        ports.lease.release(token)
    closed = attempt(notes, "sessions", lambda: ports.traffic.close_sessions(roles.stable)) or 0
    attempt(notes, "targets", lambda: ports.targets.label({back.stable: (Track.STABLE, old)}))
    attempt(notes, "processes", lambda: ports.cluster.stop(roles.stable))
    served = ports.traffic.read().pools[roles.stable].requests - reading
    whole_s = ports.clock.monotonic_s() - decided_s
    outcome = replace(
        make_outcome(journal.VENUE, new, old, Cause.ABORTED, f"switched back by {by}: {reason}", ports.clock.monotonic_s() - began_s),
        exit_code=ExitCode.OK,
        zero_after_s=zero_s,
        rollback_s=whole_s,
        served_after_zero=served,
        sessions_closed=closed,
    )
    said = {"from": new, "to": old, "by": by, "reason": reason}  # recorded after all else: a locked journal delays nothing
    attempt(notes, "not recorded", lambda: write(ports, journal.VENUE, journal.ROLLBACK, said))
    switched = {"from": new, "to": old, "by": by, "zero_after_s": zero_s, "served_after_zero": served}
    attempt(notes, "not recorded", lambda: write(ports, journal.VENUE, journal.SWITCHED, switched))
    for note in notes:
        observer.say(note)
    observer.say(f"users are back on {old} after {zero_s:.3f} s")
    return outcome


def _ensure_ready(ports: Ports, observer: Observer, pool: Pool, version: str, limit_s: float) -> None:
    """Every gateway of `pool` is ready as `version` and up at the splitter; started when it is not. Raises Refused."""
    wanted, deadline_s, asked = ports.roles.gateways(), ports.clock.monotonic_s() + limit_s, False
    while True:
        ready = min(len(ports.cluster.ready(pool, version)), ports.traffic.read().pools[pool].servers_up)
        if ready >= wanted:
            return
        if not asked:
            observer.say(f"{version} is not warm ({ready} of {wanted} ready): starting it first")
            ports.cluster.start(pool, version, wanted)
            asked = True
        if ports.clock.monotonic_s() >= deadline_s:
            why = f"{ready} of {wanted} gateways ready after {limit_s:.0f} s"
            raise Refused(f"{version} cannot take users: {why}", hint="see `opsctl status`")
        ports.clock.sleep(_PAUSE_S)


def _await_zero(ports: Ports, pool: Pool) -> int:
    """The pool's request count at the moment its weight read back as 0. Raises Unavailable."""
    deadline_s = ports.clock.monotonic_s() + SWITCH_LIMIT_S
    while True:
        traffic = ports.traffic.read().pools[pool]
        if traffic.asked_weight == 0:
            return traffic.requests
        if ports.clock.monotonic_s() >= deadline_s:
            why = f"could not be proved to be 0 within {SWITCH_LIMIT_S:.0f} s"
            raise Unavailable(f"the weight of {pool} {why}", hint="the guardian goes on; see `opsctl status`")
        ports.clock.sleep(_PAUSE_S)


def _started(plan: Plan, pipeline: Pipeline, release: Release, by: str, reading: TrafficReading) -> Mapping[str, Any]:
    canary = reading.pools[plan.stable_pool.other]
    return {
        "version": plan.version,
        "digest": release.digest,
        "commit": release.commit,
        "stable_version": plan.stable_version,
        "stable_pool": plan.stable_pool,
        "pipeline": pipeline.name,
        "steps": [float(s) for s in plan.steps],
        "by": by,
        "counted_from": {"splitter": reading.started_at_s, "requests": canary.requests, "errors": canary.errors},
    }
