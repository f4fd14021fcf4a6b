"""One release under way: the mutable shell around `decide`, one tick at a time.

    tick (every 100 ms):  lease renewed -> supervisor, splitter, abort requests read -> a round of checks when due
                          -> decide (pure) -> for each action: journal, then the side effect, then read back

The process may die at any point: the kernel drops its lock, the guardian takes the weight to zero when the lease runs out, and the next
command finishes the rollback (`flow.recover`). It may also stand still and wake up again: before every raise it renews its lease, and a
lease that has run out is never renewed.

The promotion is one atomic replacement of the venue's roles file: before it the release can only be rolled back, after it, it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from ops.conventions import ExitCode, Pool, Track
from ops.deploy import journal
from ops.deploy.decide import asked_share, decide, percent, rolled_back, start
from ops.deploy.model import Action, Cause, Do, Facts, Outcome, Phase, Pipeline, Round, State, Verdict
from ops.deploy.outcome import end, make_outcome, with_way_back
from ops.deploy.rollback import Ports, attempt, roll_back, write
from ops.deploy.rounds import Counters, Rounds, Submit, WitnessBook
from ops.errors import OpsError, Unavailable
from ops.ports import Roles, Split

TICK_S = 0.1
READY_POLL_S = 0.3
APPLY_LIMIT_S = 3.0
RESTART_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """What a live view shows after each tick."""

    stream: str
    version: str
    pipeline: Pipeline
    state: State
    asked: Fraction
    applied: Fraction | None
    alive: int | None
    wanted: int
    step_requests: int
    canary_requests: int
    canary_errors: int
    next_check_s: float
    last: Round | None
    passes: int
    """PASSes of the step after the last round, that one included."""
    elapsed_s: float


class Observer(Protocol):
    def tick(self, view: View) -> None: ...
    def say(self, text: str) -> None:
        """One line of what was just done."""


class Unbreakable:
    """An observer that may break, as a closed terminal does, without keeping a release from its way back."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def tick(self, view: View) -> None:
        with suppress(Exception):
            self._observer.tick(view)

    def say(self, text: str) -> None:
        with suppress(Exception):
            self._observer.say(text)


@dataclass(frozen=True, slots=True)
class Plan:
    """What `deploy` is going to do; `--dry-run` prints it."""

    version: str
    stable_version: str
    stable_pool: Pool
    steps: tuple[Fraction, ...]
    processes: tuple[int, ...]


class Controller:
    """One release under way: the mutable shell around `decide`."""

    def __init__(
        self, ports: Ports, pipeline: Pipeline, plan: Plan, stream: str, observer: Observer, aborted: Callable[[], str], submit: Submit
    ) -> None:
        self._ports, self._pipeline, self._plan, self._stream = ports, pipeline, plan, stream
        self._observer, self._aborted = Unbreakable(observer), aborted
        self._gateways = ports.roles.gateways()
        self._rounds = Rounds(ports.metrics, ports.clock, pipeline, plan.stable_pool, submit)
        self._witness = WitnessBook()
        self._began_s = ports.clock.monotonic_s()
        self._state = start(self._began_s)
        self._token = 0
        self._wanted = plan.processes[0]
        self._pids: dict[str, int] = {}
        self._lost = 0
        self._round_base: Counters = self._witness.totals()
        self._next_check_s = self._next_ready_s = self._next_renew_s = 0.0
        self._ready = 0
        self._lease_held = True
        self._restarted_at_s = -RESTART_GRACE_S
        self._servers_up = 0
        self._zero: Counters = self._witness.totals()
        self._first_seq = 0
        self._last_round: Round | None = None
        self._passes = 0
        self._history: list[Round] = []

    @property
    def _canary(self) -> Pool:
        return self._plan.stable_pool.other

    def run(self) -> Outcome:
        try:
            self._begin()
            while self._state.phase not in (Phase.PROMOTING, Phase.ROLLING_BACK):
                self._tick()
                if self._state.phase in (Phase.STARTING, Phase.CHECKING):
                    self._ports.clock.sleep(TICK_S)
            promoted = self._state.phase is Phase.PROMOTING and self._promote()
        except OpsError as error:
            promoted = self._turned()
            if not promoted and self._state.phase is not Phase.ROLLING_BACK:
                self._state, _ = rolled_back(self._state, self._ports.clock.monotonic_s(), Cause.ERROR, error.message)
        except BaseException as error:
            if self._turned():
                raise
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else f"a fault of opsctl itself: {type(error).__name__}"
            self._state, _ = rolled_back(self._state, self._ports.clock.monotonic_s(), Cause.ERROR, reason)
            self._rolled_back()
            raise
        return self._promoted() if promoted else self._rolled_back()

    def _begin(self) -> None:
        self._witness.add(self._ports.traffic.read())
        self._zero = self._round_base = self._witness.totals()
        self._token = self._ports.lease.take(self._stream, self._pipeline.lease_s)
        events = self._ports.store.events(self._stream)
        self._first_seq = events[0].seq
        self._ports.targets.label(self._tracks(Track.CANARY))
        self._scale(self._wanted)

    def _tracks(self, other: Track) -> Mapping[Pool, tuple[Track, str]]:
        return {self._plan.stable_pool: (Track.STABLE, self._plan.stable_version), self._canary: (other, self._plan.version)}

    # --- gather

    def _tick(self) -> None:
        now_s = self._ports.clock.monotonic_s()
        self._renew(now_s)
        share = self._read_splitter(now_s)
        alive = self._read_processes(now_s)
        facts = Facts(
            now_s=now_s,
            ready=self._ready,
            alive=alive,
            share=share,
            splitter_restarted=now_s - self._restarted_at_s < RESTART_GRACE_S,
            canary_requests=self._witness.totals().requests[self._canary],
            lease_held=self._lease_held,
            round=self._round(now_s),
            abort=self._aborted() or journal.abort_request(self._ports.store, self._stream, self._first_seq),
        )
        before = self._state
        self._state, actions = decide(self._pipeline, self._gateways, before, facts)
        if facts.round is not None:
            self._record_round(before, facts.round)
        for action in actions:
            self._do(action)
        self._show(facts)

    def _renew(self, now_s: float) -> None:
        if now_s >= self._next_renew_s and self._lease_held:
            self._lease_held = self._ports.lease.renew(self._token, self._pipeline.lease_s)
            self._next_renew_s = now_s + self._pipeline.lease_s / 8

    def _read_splitter(self, now_s: float) -> Fraction | None:
        """The canary's share as applied. Right after a restart of the splitter a foreign share is the restart's doing, not a person's."""
        try:
            reading = self._ports.traffic.read()
        except Unavailable:
            return None
        share = reading.share(self._canary)
        self._servers_up = reading.pools[self._canary].servers_up
        if self._witness.add(reading):
            self._restarted_at_s = now_s
            write(self._ports, self._stream, journal.SPLITTER_RESTARTED, {"share": float(share)})
            self._observer.say(f"the splitter restarted with the canary at {percent(share)}: the weight is checked and set again")
        return share

    def _read_processes(self, now_s: float) -> int | None:
        """How many canary processes run that are the very ones that became ready; also finds the newly ready ones."""
        try:
            running = {p.name: p.pid for p in self._ports.cluster.processes(self._canary) if p.running}
            ready = self._newly_ready(now_s)
        except Unavailable:
            return None
        gone = [name for name, pid in self._pids.items() if running.get(name) != pid]
        for name in gone:
            self._lost += 1
            del self._pids[name]
            self._observer.say(f"canary process {name} died")
        self._pids.update({name: running[name] for name in ready if name in running})
        self._ready = min(len(self._pids), self._servers_up)
        return len(self._pids)

    def _newly_ready(self, now_s: float) -> tuple[str, ...]:
        """Asked while processes are missing: those of the step to come, and one that died and was started again."""
        if now_s < self._next_ready_s or (self._state.phase is not Phase.STARTING and len(self._pids) >= self._wanted):
            return ()
        self._next_ready_s = now_s + READY_POLL_S
        return self._ports.cluster.ready(self._canary, self._plan.version)

    def _round(self, now_s: float) -> Round | None:
        if asked_share(self._pipeline, self._state) == 0:
            return None
        if not self._rounds.under_way and now_s >= self._next_check_s:
            self._next_check_s = now_s + self._pipeline.interval_s
            versions = {Track.CANARY: self._plan.version, Track.STABLE: self._plan.stable_version}
            self._rounds.begin(versions, now_s - self._state.conclusive_s)
        if not self._rounds.under_way:
            return None
        stable_serves = asked_share(self._pipeline, self._state) < 1
        round_ = self._rounds.poll(self._round_base, self._witness.totals(), self._lost, stable_serves)
        if round_ is not None:
            self._lost = 0
        return round_

    # --- do

    def _record_round(self, before: State, round_: Round) -> None:
        state = self._state
        self._passes = before.passes + 1 if round_.verdict is Verdict.PASS else state.passes
        share = asked_share(self._pipeline, before)
        if state.conclusive_s != before.conclusive_s:
            self._round_base = self._witness.totals()
        self._last_round = round_
        self._history.append(round_)
        data = journal.round_data(round_, share, state.fails_in_row, state.fails_total, self._passes)
        write(self._ports, self._stream, journal.CHECK, data)

    def _do(self, action: Action) -> None:
        if action.do is Do.SCALE:
            self._scale(action.count)
        elif action.do is Do.SHIFT:
            self._shift(action.share)

    def _scale(self, count: int) -> None:
        self._wanted = count
        write(self._ports, self._stream, journal.PROCESSES, {"pool": self._canary, "version": self._plan.version, "count": count})
        self._observer.say(f"{count} canary process{'es' if count > 1 else ''} of {self._plan.version}")
        self._ports.cluster.start(self._canary, self._plan.version, count)

    def _shift(self, share: Fraction) -> None:
        """A raise needs a lease that is ours at this moment, and is done when the splitter shows it."""
        write(self._ports, self._stream, journal.WEIGHT_ASKED, {"share": float(share)})
        if not self._ports.lease.renew(self._token, self._pipeline.lease_s):
            self._lease_held = False
            return
        self._ports.traffic.shift(Split(self._plan.stable_pool, share))
        applied = self._read_back(share)
        write(self._ports, self._stream, journal.WEIGHT_APPLIED, {"share": float(applied)})
        self._observer.say(f"weight {percent(share)} asked, {percent(applied)} applied")
        self._rounds.forget()
        self._round_base, self._passes = self._witness.totals(), 0
        self._next_check_s = self._ports.clock.monotonic_s() + self._pipeline.interval_s

    def _read_back(self, share: Fraction) -> Fraction:
        deadline_s = self._ports.clock.monotonic_s() + APPLY_LIMIT_S
        while True:
            reading = self._ports.traffic.read()
            self._witness.add(reading)
            applied = reading.share(self._canary)
            if applied == share:
                return applied
            if self._ports.clock.monotonic_s() >= deadline_s:
                raise Unavailable(f"the splitter took the weight {percent(share)} but shows {percent(applied)}")
            self._ports.clock.sleep(TICK_S / 5)

    def _show(self, facts: Facts) -> None:
        totals = self._witness.totals()
        self._observer.tick(
            View(
                stream=self._stream,
                version=self._plan.version,
                pipeline=self._pipeline,
                state=self._state,
                asked=asked_share(self._pipeline, self._state),
                applied=facts.share,
                alive=facts.alive,
                wanted=self._wanted,
                step_requests=facts.canary_requests - self._state.requests_before,
                canary_requests=totals.requests[self._canary] - self._zero.requests[self._canary],
                canary_errors=totals.errors[self._canary] - self._zero.errors[self._canary],
                next_check_s=max(0.0, self._next_check_s - facts.now_s),
                last=self._last_round,
                passes=self._passes,
                elapsed_s=facts.now_s - self._began_s,
            )
        )

    # --- end

    def _promote(self) -> bool:
        """The one atomic replacement. False when the lease is no longer ours: then it is a rollback."""
        write(self._ports, self._stream, journal.PROMOTE, {"version": self._plan.version})
        roles = Roles(self._canary, {self._canary: self._plan.version, self._plan.stable_pool: self._plan.stable_version})
        if not self._ports.lease.renew(self._token, self._pipeline.lease_s):
            now_s = self._ports.clock.monotonic_s()
            self._state, _ = rolled_back(self._state, now_s, Cause.LEASE_LOST, "the lease was lost before the promotion")
            return False
        self._ports.roles.write(roles)
        return True

    def _turned(self) -> bool:
        """Whether the roles file names the canary's pool: then the release is done, whatever broke around it."""
        if self._state.phase is not Phase.PROMOTING:
            return False
        return attempt([], "roles", lambda: self._ports.roles.read().stable is self._canary) or False

    def _promoted(self) -> Outcome:
        notes: list[str] = []
        attempt(notes, "lease", lambda: self._ports.lease.release(self._token))
        attempt(notes, "targets", lambda: label_promoted(self._ports, self._ports.roles.read()))
        for note in notes:
            self._observer.say(note)
        self._observer.say(f"{self._plan.version} is stable; {self._plan.stable_version} stays warm for `opsctl rollback`")
        return end(self._ports, self._stream, self._outcome(None, "every step passed its checks"))

    def _rolled_back(self) -> Outcome:
        cause, reason = self._state.cause or Cause.ERROR, self._state.reason
        self._observer.say(f"rolling back: {reason}")
        outcome = self._outcome(cause, reason)
        try:
            back = roll_back(self._ports, self._stream, self._plan.stable_pool, self._plan.stable_version, cause, reason)
        except OpsError as error:
            return replace(outcome, exit_code=ExitCode.ROLLBACK_INCOMPLETE, reason=f"{reason}; and {error.message}")
        notes = list(back.notes)
        attempt(notes, "lease", lambda: self._ports.lease.release(self._token))
        attempt(notes, "counters", lambda: self._read_splitter(self._ports.clock.monotonic_s()))
        outcome = self._outcome(cause, reason)
        for note in notes:
            self._observer.say(note)
        took = f"weight 0 after {back.zero_after_s:.3f} s, whole rollback {back.whole_s:.1f} s"
        self._observer.say(f"users are back on {self._plan.stable_version}: {took}")
        return end(self._ports, self._stream, with_way_back(outcome, back))

    def _outcome(self, cause: Cause | None, reason: str) -> Outcome:
        totals = self._witness.totals()
        seconds = self._ports.clock.monotonic_s() - self._began_s
        base = make_outcome(self._stream, self._plan.version, self._plan.stable_version, cause, reason, seconds)
        return replace(
            base,
            canary_requests=totals.requests[self._canary] - self._zero.requests[self._canary],
            canary_errors=totals.errors[self._canary] - self._zero.errors[self._canary],
            checks=tuple(self._history),
        )


def label_promoted(ports: Ports, roles: Roles) -> None:
    ports.targets.label({roles.stable: (Track.STABLE, roles.stable_version), roles.stable.other: (Track.WARM, roles.other_version)})
