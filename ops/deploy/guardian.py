"""The dead man's hand: a small process that `opsctl up` starts and the supervisor keeps, apart from any `opsctl deploy`.

Every PERIOD_S it asks two questions, and on a yes it takes the canary's weight to zero and records why:

- does the pool that is not stable have weight while no living lease covers it? (its deploy died, hangs, or was never there)
- does it have weight while none of its processes runs? (then the splitter answers 503 for its share if stable should fall too)

The lease is read before the roles: a promotion writes the roles first and releases the lease after, so whoever sees the lease gone
reads roles that are at least as new, and never takes a freshly promoted pool for a canary. It raises nothing and stops no process: the
rest of the rollback is for the next command, which has a person behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from ops.conventions import Pool
from ops.deploy import journal
from ops.deploy.rollback import Ports, write, zero_weight
from ops.errors import OpsError
from ops.ports import LeaseState, Roles, TrafficReading

PERIOD_S = 0.2


def watch_once(ports: Ports, say: Callable[[str], None]) -> str:
    """One look. Returns why the weight was taken away, "" when nothing was to be done. Raises Unavailable when it could not look."""
    lease = ports.lease.current()
    roles = ports.roles.read()
    reading = ports.traffic.read()
    canary = roles.stable.other
    if reading.pools[canary].asked_weight == 0:
        return ""
    why = _why(ports, lease, reading, canary)
    if not why:
        return ""
    if _moved_on(ports, lease, roles):
        return ""
    if reading.pools[roles.stable].servers_up == 0 and reading.pools[canary].servers_up > 0:
        say(f"{why}; but no stable gateway takes requests: the weights stay, act by hand")
        return ""
    zero_weight(ports, roles.stable)
    say(f"the canary's weight was taken to 0: {why}")
    try:
        stream = lease.stream if lease else _stream(ports)
        write(ports, stream, journal.GUARDIAN, {"reason": why, "share_before": float(reading.share(canary))})
        write(ports, stream, journal.WEIGHT_APPLIED, {"share": 0.0, "by": "guardian"})
    except OpsError as error:
        say(f"not recorded: {error.message}")
    return why


def watch(ports: Ports, say: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Looks until `stopped`. An outage of the splitter or the files is told once and looked through: this process does not give up."""
    trouble = ""
    while not stopped():
        try:
            watch_once(ports, say)
            trouble = ""
        except OpsError as error:
            if error.message != trouble:
                say(f"cannot look: {error.message}")
            trouble = error.message
        ports.clock.sleep(PERIOD_S)


def _moved_on(ports: Ports, lease: LeaseState | None, roles: Roles) -> bool:
    """Whether somebody took a lease or changed the roles while this looked: then what was seen is no ground to act."""
    now = ports.lease.current()
    same = (now and (now.stream, now.token)) == (lease and (lease.stream, lease.token))
    return not same or ports.roles.read() != roles


def _why(ports: Ports, lease: LeaseState | None, reading: TrafficReading, canary: Pool) -> str:
    if lease is None:
        return f"it had {float(reading.share(canary)):.2%} of requests and nobody holds a lease on it"
    if lease.remaining_s <= 0:
        return f"its lease ran out: `opsctl deploy` (pid {lease.holder_pid}) did not renew it"
    if not any(p.running for p in ports.cluster.processes(canary)):
        return "none of its processes runs"
    return ""


def _stream(ports: Ports) -> str:
    left = journal.unfinished(ports.store)
    return left.stream if left else journal.VENUE
