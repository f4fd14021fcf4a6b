"""One tick of a release, as a pure function: facts in, next state and actions out.

Order of the rules (the first that applies wins), and why:

1. A person's abort, a lost lease, a canary without a live process, a weight that somebody else changed: roll back at once.
   None of these waits for a metric. (Argo needs 1.3 s and Flagger up to 600 s for a crash loop.)
2. A round is counted, whatever the phase: users on the canary are watched all the time. Three FAILs *in a row* roll back: a PASS
   starts the count anew. A FAIL takes back the PASSes of the step. An INCONCLUSIVE neither counts nor clears anything: a canary with
   half the requests that a verdict needs per interval passes in every second round, and must still get on.
3. STARTING: the weight is raised only when the processes for it are ready and the last verdict is PASS; else a deadline rolls back.
4. CHECKING: a step ends on enough PASSes, the last of them fresh, *and* enough canary requests *and* all its processes alive. Time
   ends a step only downwards: the blind bound, the step's deadline.

The weight is never raised while the last verdict is FAIL or INCONCLUSIVE.
It does not do anything: `flow` does, and writes the journal before each side effect.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ops.deploy.model import Action, Cause, Do, Facts, Phase, Pipeline, Round, State, Verdict, processes_for

Decision = tuple[State, tuple[Action, ...]]


def start(now_s: float) -> State:
    return State(phase=Phase.STARTING, step=0, since_s=now_s, conclusive_s=now_s)


def decide(pipeline: Pipeline, gateways: int, state: State, facts: Facts) -> Decision:
    """The next state and what to do now. Total: every state and every fact has an answer."""
    if state.phase in (Phase.PROMOTING, Phase.ROLLING_BACK):
        return state, ()
    if stop := _must_stop(pipeline, gateways, state, facts):
        return rolled_back(state, facts.now_s, *stop)
    counted = _count(state, facts.round, facts.now_s) if facts.round else state
    if counted.fails_in_row >= pipeline.fails:
        reason = f"{counted.fails_in_row} FAILs in a row; the last: {facts.round.reason if facts.round else ''}"
        return rolled_back(counted, facts.now_s, Cause.CHECKS_FAILED, reason)
    if counted.phase is Phase.STARTING:
        return _starting(pipeline, gateways, counted, facts)
    return _checking(pipeline, gateways, counted, facts)


def rolled_back(state: State, now_s: float, cause: Cause, reason: str) -> Decision:
    return replace(state, phase=Phase.ROLLING_BACK, since_s=now_s, cause=cause, reason=reason), (Action(Do.ROLLBACK),)


def asked_share(pipeline: Pipeline, state: State) -> Fraction:
    """The share that should be in force now: the step's while checking, the step's before while starting."""
    step = state.step - 1 if state.phase is Phase.STARTING else state.step
    return pipeline.steps[step] if step >= 0 else Fraction(0)


def _must_stop(pipeline: Pipeline, gateways: int, state: State, facts: Facts) -> tuple[Cause, str] | None:
    if facts.abort:
        return Cause.ABORTED, facts.abort
    if not facts.lease_held:
        return Cause.LEASE_LOST, "the lease on the canary's weight was lost"
    asked = asked_share(pipeline, state)
    if asked > 0 and facts.alive == 0:
        return Cause.CANARY_DEAD, f"none of the {processes_for(asked, gateways)} canary processes that became ready is alive"
    if facts.share is not None and facts.share != asked and not facts.splitter_restarted:
        moved = f"the splitter has the canary at {percent(facts.share)}, not at the {percent(asked)} asked: somebody else moved it"
        return Cause.FOREIGN_WEIGHT, moved
    return None


def _starting(pipeline: Pipeline, gateways: int, state: State, facts: Facts) -> Decision:
    share, asked = pipeline.steps[state.step], asked_share(pipeline, state)
    if facts.splitter_restarted and facts.share not in (None, asked):
        return state, (Action(Do.SHIFT, share=asked),)
    seen = facts.alive is not None and facts.share == asked
    ready = facts.ready >= processes_for(share, gateways)
    if ready and seen and (state.step == 0 or state.last is Verdict.PASS):
        begun = State(
            phase=Phase.CHECKING,
            step=state.step,
            since_s=facts.now_s,
            conclusive_s=facts.now_s,
            fails_total=state.fails_total,
            last=state.last,
            requests_before=facts.canary_requests,
        )
        return begun, (Action(Do.SHIFT, share=share),)
    waited_s = facts.now_s - state.since_s
    if waited_s >= pipeline.ready_timeout_s and (asked == 0 or not ready):
        reason = f"{facts.ready} of {processes_for(share, gateways)} canary processes were ready after {waited_s:.0f} s"
        if not seen:
            reason += "; the splitter or the supervisor did not answer"
        return rolled_back(state, facts.now_s, Cause.NEVER_READY, reason)
    late = _too_late(pipeline, state, facts) if asked > 0 else None
    return rolled_back(state, facts.now_s, *late) if late else (state, ())


def _checking(pipeline: Pipeline, gateways: int, counted: State, facts: Facts) -> Decision:
    if late := _too_late(pipeline, counted, facts):
        return rolled_back(counted, facts.now_s, *late)
    if facts.splitter_restarted and facts.share not in (None, pipeline.steps[counted.step]):
        return counted, (Action(Do.SHIFT, share=pipeline.steps[counted.step]),)
    if not _step_ended(pipeline, gateways, counted, facts):
        return counted, ()
    return _advance(pipeline, gateways, counted, facts)


def _too_late(pipeline: Pipeline, state: State, facts: Facts) -> tuple[Cause, str] | None:
    """The two bounds on users' exposure to a canary that nothing is known of, or that neither passes nor fails."""
    if facts.now_s - state.conclusive_s >= pipeline.blind_after_s:
        last = f"; the last round: {state.last_reason}" if state.last_reason else ""
        return Cause.BLIND, f"no conclusive verdict for {pipeline.blind_after_s:.0f} s{last}{_pace(pipeline, state, facts)}"
    if facts.now_s - state.since_s >= pipeline.step_timeout_s:
        fails = f"({state.fails_total} FAILs in all)"
        return Cause.STUCK, f"the step neither ended nor failed within {pipeline.step_timeout_s:.0f} s {fails}"
    return None


def _pace(pipeline: Pipeline, state: State, facts: Facts) -> str:
    """How long the step's requests would take at the pace seen: what a person needs to know about a release at low traffic."""
    served, elapsed_s = facts.canary_requests - state.requests_before, facts.now_s - state.since_s
    if served >= pipeline.min_requests_step or elapsed_s <= 0:
        return ""
    if served <= 0:
        return "; the canary served no request in this step"
    needs_s = pipeline.min_requests_step * elapsed_s / served
    return f"; at its {served / elapsed_s:.2g} requests/s the canary needs {needs_s:.0f} s for this step"


def _count(state: State, round_: Round, now_s: float) -> State:
    verdict = round_.verdict
    state = replace(state, last_reason=round_.reason)
    if verdict is Verdict.PASS:
        return replace(state, last=verdict, passes=state.passes + 1, fails_in_row=0, conclusive_s=now_s)
    if verdict is Verdict.FAIL:
        return replace(
            state, last=verdict, passes=0, fails_in_row=state.fails_in_row + 1, fails_total=state.fails_total + 1, conclusive_s=now_s
        )
    return replace(state, last=verdict)


def _step_ended(pipeline: Pipeline, gateways: int, state: State, facts: Facts) -> bool:
    share = pipeline.steps[state.step]
    fresh = facts.round is not None and facts.round.verdict is Verdict.PASS
    served = facts.canary_requests - state.requests_before
    whole = facts.share == share and facts.alive is not None and facts.alive >= processes_for(share, gateways)
    return fresh and whole and state.passes >= pipeline.passes and served >= pipeline.min_requests_step


def _advance(pipeline: Pipeline, gateways: int, state: State, facts: Facts) -> Decision:
    if state.step + 1 == len(pipeline.steps):
        return replace(state, phase=Phase.PROMOTING, since_s=facts.now_s), (Action(Do.PROMOTE),)
    following = State(
        phase=Phase.STARTING,
        step=state.step + 1,
        since_s=facts.now_s,
        conclusive_s=facts.now_s,
        fails_total=state.fails_total,
        last=state.last,
        requests_before=facts.canary_requests,
    )
    return following, (Action(Do.SCALE, count=processes_for(pipeline.steps[following.step], gateways)),)


def percent(share: Fraction) -> str:
    """Fraction(1, 100) -> '1%', Fraction(1, 1000) -> '0.1%'."""
    return f"{float(share) * 100:.4g}%"
