"""`up` and `down`: gather, decide, apply. Both may be repeated at any point and finish what was left undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from ops.conventions import Pool, Track
from ops.errors import OpsError, Refused, Unavailable
from ops.ports import Roles
from ops.venue import decide, monitoring, setup, webhooks
from ops.venue.decide import Part
from ops.venue.files import change, load, save
from ops.venue.model import Crew, Progress, Request, Site, UpReport, Venue

POLL_S = 0.05
PROBE_TIMEOUT_S = 0.5
LOG_LINES = 15
PORTS_FREE_S = 1.0
_RUNS = ("STARTING", "RUNNING", "BACKOFF")


def up(site: Site, request: Request, progress: Progress) -> UpReport:
    """The venue runs and every part answers. Starts what is down; of a venue that is up, only rules and webhooks may change.

    Raises UsageError (bad request, something not installed, damaged file), Refused (port taken, another shape runs) or
    Unavailable (a part did not become ready in time: the end of its log is in the message).
    """
    began_s = site.clock.monotonic_s()
    decide.check_request(request, site.layout.state)
    site.tools()
    with setup.sole(site.layout):
        venue = load(site.layout.state)
        if venue is not None and site.supervisor.alive():
            decide.refuse_change(venue, request)
            venue, changed, notes = _taught(site, request, venue)
        else:
            venue, notes = _boot(site, request, venue)
            changed = {}
        crew = site.crew(venue)
        started = _start_missing(site, venue, crew)
        _await_ready(site, venue, began_s, request.timeout_s, progress)
        notes = (*notes, *monitoring.reload_changed(site, venue, changed))
    return UpReport(venue, started, site.clock.monotonic_s() - began_s, notes)


def plan(site: Site, request: Request) -> tuple[Venue, bool]:
    """What `up` would run, and whether it runs already. Changes nothing; same errors as `up` for what can be seen beforehand."""
    decide.check_request(request, site.layout.state)
    site.tools()
    old = load(site.layout.state)
    if old is not None and site.supervisor.alive():
        decide.refuse_change(old, request)
        venue, runs = replace(old, webhooks=webhooks.asked(old.webhooks, request)), True
    else:
        venue, runs = _shape(site, request, old), False
    _gathered(site, venue)
    return venue, runs


def _gathered(site: Site, venue: Venue) -> tuple[monitoring.Files, tuple[str, ...]]:
    files = monitoring.gather(venue, site.layout, site.alerts(), site.slo())
    others = ", ".join(files.foreign)
    return files, (f"rules of {others} are loaded too: the venue's Prometheus scrapes {venue.exchange} only",) if others else ()


def _taught(site: Site, request: Request, venue: Venue) -> tuple[Venue, dict[Path, str | None], tuple[str, ...]]:
    """A venue that runs, with rules and webhooks as they are wanted now: itself, what the changed files said before, notes."""
    asked = webhooks.asked(venue.webhooks, request)
    files, notes = _gathered(site, replace(venue, webhooks=asked))
    if asked != venue.webhooks:  # beside the present roles, which a release may change meanwhile
        venue = change(site.layout.state, lambda now: replace(now, webhooks=asked))
    return venue, monitoring.write(site.layout, files), notes


def _boot(site: Site, request: Request, old: Venue | None) -> tuple[Venue, tuple[str, ...]]:
    """From no supervisor to one that answers, with every file in place and no program started."""
    site.supervisor.clear()
    if old is not None:
        _await_ports(site, old)
    venue, notes = _without_lost_release(site, _shape(site, request, old))
    _refuse_taken_port(site, venue)
    setup.make_once(site.layout)
    files, more = _gathered(site, venue)
    monitoring.write(site.layout, files)
    save(site.layout.state, venue)
    crew = site.crew(venue)
    crew.splitter.settle(venue.roles.stable)
    crew.pools.prepare(venue.roles.versions)
    site.supervisor.boot()
    return venue, (*notes, *more)


def _await_ports(site: Site, old: Venue) -> None:
    """A killed process' ports are free a moment after it: do not move away from them for that."""
    end_s = site.clock.monotonic_s() + PORTS_FREE_S
    while site.clock.monotonic_s() < end_s and not all(site.host.port_free(port) for port in old.ports.all()):
        site.clock.sleep(POLL_S)


def _shape(site: Site, request: Request, old: Venue | None) -> Venue:
    free = site.host.port_free
    version = request.version or (old.roles.stable_version if old else site.own_version)
    site.releases.get(version)
    if old is None:
        venue = decide.new_venue(request, site.layout.state, version, free)
        return replace(venue, webhooks=webhooks.asked(venue.webhooks, request))
    shaped = replace(decide.resized(old, request, site.layout.state, free), webhooks=webhooks.asked(old.webhooks, request))
    return replace(shaped, roles=Roles(old.roles.stable, {**old.roles.versions, old.roles.stable: version}))


def _without_lost_release(site: Site, venue: Venue) -> tuple[Venue, tuple[str, ...]]:
    """The pool that serves nobody does not keep a venue down when its release was removed."""
    version = venue.roles.other_version
    try:
        if version:
            site.releases.get(version)
    except OpsError as error:
        other = venue.roles.stable.other
        roles = Roles(venue.roles.stable, {**venue.roles.versions, other: ""})
        return replace(venue, roles=roles), (f"the {other} pool is not started: {error.message}",)
    return venue, ()


def _refuse_taken_port(site: Site, venue: Venue) -> None:
    port = venue.ports.http
    if not site.host.port_free(port):
        user = site.host.port_user(port) or "another program"
        raise Refused(f"port {port} is in use by {user}", hint="stop it, or choose another port: opsctl up --http-port PORT")


def _start_missing(site: Site, venue: Venue, crew: Crew) -> tuple[str, ...]:
    """Everything that should run and does not is started, the core first, without waiting in between."""
    roles = venue.roles
    before = {program.name for program in site.supervisor.programs() if program.state in _RUNS}
    for name in venue.helpers():
        if name not in before:
            site.supervisor.start(name)
    if set(crew.pools.wanted(roles.stable)) != set(venue.names(roles.stable)) or not set(venue.names(roles.stable)) <= before:
        crew.pools.start(roles.stable, roles.stable_version, venue.gateways)
    other = crew.pools.wanted(roles.stable.other)
    for name in other:
        site.supervisor.start(name)
    if not before:
        crew.targets.label(_tracks(roles, bool(other)))
    return tuple(name for name in (*venue.helpers(), *venue.names(roles.stable), *other) if name not in before)


def _tracks(roles: Roles, other_runs: bool) -> Mapping[Pool, tuple[Track, str]]:
    tracks = {roles.stable: (Track.STABLE, roles.stable_version)}
    return tracks | ({roles.stable.other: (Track.WARM, roles.other_version)} if other_runs else {})


def _await_ready(site: Site, venue: Venue, began_s: float, timeout_s: float, progress: Progress) -> None:
    """Users can be served: all helpers, and every gateway of the stable pool."""
    waiting = decide.parts(venue, (*venue.helpers(), *venue.names(venue.roles.stable)))
    with ThreadPoolExecutor(max_workers=len(waiting)) as workers:
        while waiting:
            states = {program.name: program.state for program in site.supervisor.programs()}
            answers = tuple(workers.map(partial(_ready, site, states), waiting))
            now_s = site.clock.monotonic_s() - began_s
            for part in (part for part, ready in zip(waiting, answers, strict=True) if ready):
                progress(part.name, now_s)
            waiting = tuple(part for part, ready in zip(waiting, answers, strict=True) if not ready)
            dead = [part for part in waiting if states.get(part.name) == "FATAL"]
            if dead or (waiting and now_s > timeout_s):
                raise _not_ready(site, (dead or waiting)[0], states, timeout_s)
            if waiting:
                site.clock.sleep(POLL_S)


def _ready(site: Site, states: Mapping[str, str], part: Part) -> bool:
    state = states.get(part.name)
    if part.port == 0 or state not in ("STARTING", "RUNNING"):
        return state == "RUNNING"
    answer = site.host.answer(part.port, part.path, PROBE_TIMEOUT_S)
    return answer is not None and decide.is_ready(part, *answer)


def _not_ready(site: Site, part: Part, states: Mapping[str, str], timeout_s: float) -> Unavailable:
    state = states.get(part.name, "unknown to the supervisor")
    lines = "\n".join(f"  | {line}" for line in site.host.tail(site.layout.output_of(part.name), LOG_LINES)) or "  | (nothing)"
    why = "gave up after repeated crashes" if state == "FATAL" else f"was not ready within {timeout_s:g} s ({state})"
    hint = f"opsctl logs {part.name}; then opsctl up again, or opsctl down"
    return Unavailable(f"{part.name} {why}; the end of its log:\n{lines}", hint=hint)


def down(site: Site) -> tuple[str, ...]:
    """Nothing of the venue runs any more; returns the programs that did. Orders and files stay. Idempotent.

    Raises Refused (another up or down is at work) or Unavailable (a process cannot be ended).
    """
    if not site.layout.state.exists():
        return ()
    with setup.sole(site.layout):
        return _stop_all(site)


def running(site: Site) -> tuple[str, ...]:
    """What `down` would stop."""
    if site.supervisor.alive():
        return tuple(program.name for program in site.supervisor.programs() if program.state in _RUNS)
    return tuple(f"process {pid} (left over)" for pid in site.supervisor.leftovers())


def _stop_all(site: Site) -> tuple[str, ...]:
    stopped = running(site)
    if site.supervisor.alive():
        for phase in _phases(site, stopped):
            site.supervisor.stop(phase)
    site.supervisor.shutdown()
    return stopped


def _phases(site: Site, running: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Those known are stopped in order; a damaged venue file does not keep anything running."""
    try:
        venue = load(site.layout.state)
    except OpsError:
        venue = None
    return decide.stop_phases(venue) if venue else (tuple(running),)


def purge(site: Site) -> None:
    """Remove what is the venue's, orders and releases included; what somebody else put into the folder stays, and so does the folder then.

    The venue must be down. Raises Refused when the folder is none of a venue's.
    """
    state = site.layout.state
    if not state.exists():
        return
    if not site.layout.venue.exists():
        raise Refused(f"{state} holds no venue (no {site.layout.venue.name}); nothing is removed", hint="remove it yourself if you mean it")
    with setup.sole(site.layout):
        if site.supervisor.alive() or site.supervisor.leftovers():
            raise Refused(f"the venue in {state} still runs", hint="opsctl down")
        try:
            for path in site.layout.own():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            if not any(state.iterdir()):
                state.rmdir()
        except OSError as error:
            raise Unavailable(f"{error.filename} cannot be removed: {error.strerror}", hint="remove it yourself") from error
