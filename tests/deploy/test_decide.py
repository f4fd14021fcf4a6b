"""`decide` as a state machine: single facts first, then any sequence of facts that hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.deploy.decide import asked_share, decide, percent, start
from ops.deploy.model import Action, Cause, Do, Facts, Phase, Pipeline, Round, State, Verdict, processes_for
from ops.deploy.pipeline import read_pipeline

PIPELINE = read_pipeline(Path(__file__).resolve().parents[2] / "pipelines" / "canary.yaml")
GATEWAYS = 2
P, F, I = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE  # noqa: E741
ACTIVE = (Phase.STARTING, Phase.CHECKING)


def round_of(verdict: Verdict) -> Round:
    return Round(verdict, (), 0, 0, 5.0)


def facts_for(state: State, **changed: object) -> Facts:
    """What a healthy moment looks like in `state`."""
    healthy = Facts(
        now_s=state.since_s + 1.0,
        ready=GATEWAYS,
        alive=GATEWAYS,
        share=asked_share(PIPELINE, state),
        splitter_restarted=False,
        canary_requests=state.requests_before + PIPELINE.min_requests_step,
        lease_held=True,
    )
    return replace(healthy, **changed)


def checking(step: int = 0, **changed: object) -> State:
    return replace(State(Phase.CHECKING, step, since_s=100.0, conclusive_s=100.0), **changed)


def starting(step: int, **changed: object) -> State:
    return replace(State(Phase.STARTING, step, since_s=100.0, conclusive_s=100.0, last=P), **changed)


def fed(state: State, verdicts: str) -> State:
    """After one round for each letter, five seconds apart, with too few requests for a step to end."""
    for number, letter in enumerate(verdicts, 1):
        seen = facts_for(state, now_s=100.0 + 5.0 * number, round=round_of({"P": P, "F": F, "I": I}[letter]), canary_requests=0)
        state, _ = decide(PIPELINE, GATEWAYS, state, seen)
    return state


@pytest.mark.parametrize(
    ("verdicts", "rolls_back"),
    [
        ("F", False),
        ("FF", False),
        ("FFF", True),
        ("FFPFP", False),
        ("FFPFF", False),
        ("FFPFFPFFPFF", False),
        ("FFPFFF", True),
        ("FIFIF", True),
        ("IIFFIF", True),
        ("FIIIIIIF", False),
        ("PPPPFFF", True),
    ],
)
def test_three_fails_in_a_row_roll_back_and_nothing_less(verdicts: str, rolls_back: bool) -> None:
    after = fed(checking(), verdicts)
    assert (after.phase is Phase.ROLLING_BACK) is rolls_back
    assert after.cause is (Cause.CHECKS_FAILED if rolls_back else None)


def test_both_counts_are_kept() -> None:
    after = fed(checking(), "FFPFIF")
    assert (after.fails_in_row, after.fails_total) == (2, 4)


def test_fails_in_a_row_are_counted_while_the_next_step_is_being_started() -> None:
    assert fed(starting(2), "FFF").cause is Cause.CHECKS_FAILED


def test_the_first_fail_while_starting_is_part_of_the_row() -> None:
    state = fed(starting(1), "FF")
    assert state.phase is Phase.STARTING
    assert fed(state, "F").cause is Cause.CHECKS_FAILED


def test_a_step_ends_on_enough_passes_and_requests() -> None:
    state = checking(passes=PIPELINE.passes - 1)
    following, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, round=round_of(P)))
    assert (following.phase, following.step, following.passes) == (Phase.STARTING, 1, 0)
    assert actions == (Action(Do.SCALE, count=1),)


def test_passes_before_a_round_without_evidence_still_count() -> None:
    """A canary with half the requests per interval that a verdict needs passes in every second round."""
    state = fed(checking(), "PI")
    following, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, round=round_of(P), now_s=115.0))
    assert (following.phase, [a.do for a in actions]) == (Phase.STARTING, [Do.SCALE])


def test_a_fail_takes_the_passes_back() -> None:
    assert fed(checking(), "PF").passes == 0


@pytest.mark.parametrize(
    "short",
    [
        {"canary_requests": PIPELINE.min_requests_step - 1},
        {"round": round_of(I)},
        {"round": round_of(F)},
        {"round": None},
        {"alive": None},
        {"share": None},
    ],
)
def test_a_step_does_not_end_when_anything_is_short(short: dict[str, object]) -> None:
    state = checking(passes=PIPELINE.passes + 3, last=P)
    seen = facts_for(state, **{"round": round_of(P), **short})
    after, actions = decide(PIPELINE, GATEWAYS, state, seen)
    assert (after.phase, actions) == (Phase.CHECKING, ())


def test_the_last_step_does_not_end_with_half_of_its_processes() -> None:
    state = checking(len(PIPELINE.steps) - 1, passes=9)
    after, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, alive=1, round=round_of(P)))
    assert (after.phase, actions) == (Phase.CHECKING, ())


def test_the_last_step_ends_in_the_promotion() -> None:
    state = checking(len(PIPELINE.steps) - 1, passes=PIPELINE.passes)
    after, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, round=round_of(P)))
    assert (after.phase, actions) == (Phase.PROMOTING, (Action(Do.PROMOTE),))


@pytest.mark.parametrize("missing", [{"ready": 0}, {"alive": None}, {"share": None}])
@pytest.mark.parametrize("step", [0, 3])
def test_the_weight_is_not_raised_on_something_unknown(step: int, missing: dict[str, object]) -> None:
    state = starting(step, last=None if step == 0 else P)
    assert decide(PIPELINE, GATEWAYS, state, facts_for(state, **missing)) == (state, ())


@pytest.mark.parametrize("last", [F, I])
def test_ready_processes_wait_for_a_pass(last: Verdict) -> None:
    state = starting(2, last=last)
    assert decide(PIPELINE, GATEWAYS, state, facts_for(state)) == (state, ())
    after, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, round=round_of(P)))
    assert (after.phase, actions) == (Phase.CHECKING, (Action(Do.SHIFT, PIPELINE.steps[2]),))


def test_blind_with_ready_processes_is_called_blind_not_never_ready() -> None:
    state = starting(2, last=I)
    at_ready_limit = facts_for(state, now_s=100.0 + PIPELINE.ready_timeout_s, round=round_of(I))
    assert decide(PIPELINE, GATEWAYS, state, at_ready_limit)[0].phase is Phase.STARTING
    at_blind_limit = facts_for(state, now_s=100.0 + PIPELINE.blind_after_s, round=round_of(I))
    assert decide(PIPELINE, GATEWAYS, state, at_blind_limit)[0].cause is Cause.BLIND


@pytest.mark.parametrize("step", range(len(PIPELINE.steps)))
def test_processes_that_never_become_ready_end_the_release(step: int) -> None:
    state = starting(step)
    late = facts_for(state, now_s=100.0 + PIPELINE.ready_timeout_s, ready=0)
    assert decide(PIPELINE, GATEWAYS, state, late)[0].cause is Cause.NEVER_READY


def test_inconclusive_alone_is_blind_at_its_bound_and_not_before() -> None:
    before = checking(conclusive_s=100.0)
    early = facts_for(before, now_s=100.0 + PIPELINE.blind_after_s - 0.1, round=round_of(I))
    assert decide(PIPELINE, GATEWAYS, before, early)[0].phase is Phase.CHECKING
    late = facts_for(before, now_s=100.0 + PIPELINE.blind_after_s, round=round_of(I))
    assert decide(PIPELINE, GATEWAYS, before, late)[0].cause is Cause.BLIND


def test_a_conclusive_verdict_starts_the_blind_clock_anew() -> None:
    state = fed(checking(), "IIIP")
    late = facts_for(state, now_s=120.0 + PIPELINE.blind_after_s - 0.1, canary_requests=0)
    assert decide(PIPELINE, GATEWAYS, state, late)[0].phase is Phase.CHECKING


def test_a_flapping_step_ends_at_its_deadline() -> None:
    state = checking(conclusive_s=100.0 + PIPELINE.step_timeout_s - 1)
    late = facts_for(state, now_s=100.0 + PIPELINE.step_timeout_s, canary_requests=0)
    assert decide(PIPELINE, GATEWAYS, state, late)[0].cause is Cause.STUCK


ALARMS = [
    ({"abort": "asked by bob: stale quotes"}, Cause.ABORTED),
    ({"lease_held": False}, Cause.LEASE_LOST),
    ({"alive": 0}, Cause.CANARY_DEAD),
    ({"share": Fraction(77, 100)}, Cause.FOREIGN_WEIGHT),
]


@pytest.mark.parametrize(("alarm", "cause"), ALARMS)
@pytest.mark.parametrize("phase", ACTIVE)
@pytest.mark.parametrize("step", range(len(PIPELINE.steps)))
def test_an_alarm_rolls_back_at_once_from_every_state(step: int, phase: Phase, alarm: dict[str, object], cause: Cause) -> None:
    state = State(phase, step, since_s=100.0, conclusive_s=100.0, passes=9, last=P)
    after, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, round=round_of(P), **alarm))
    if cause is Cause.CANARY_DEAD and asked_share(PIPELINE, state) == 0:
        assert after.phase is not Phase.ROLLING_BACK, "no user is on it yet"
        return
    assert (after.phase, after.cause, actions) == (Phase.ROLLING_BACK, cause, (Action(Do.ROLLBACK),))
    assert after.reason


def test_a_weight_that_somebody_took_to_zero_is_not_set_again() -> None:
    state = checking(2)
    after, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, share=Fraction(0)))
    assert (after.cause, [a.do for a in actions]) == (Cause.FOREIGN_WEIGHT, [Do.ROLLBACK])


@pytest.mark.parametrize("state", [checking(2), starting(2)])
def test_a_restarted_splitter_is_given_the_weight_asked_before_it_and_no_more(state: State) -> None:
    after, actions = decide(PIPELINE, GATEWAYS, state, facts_for(state, share=Fraction(0), splitter_restarted=True))
    assert actions == (Action(Do.SHIFT, asked_share(PIPELINE, state)),)
    assert after == state


# --- any facts at all

shares = st.sampled_from([None, Fraction(0), Fraction(1, 3), *PIPELINE.steps])
facts_at_all = st.builds(
    Facts,
    now_s=st.floats(0, 1e6),
    ready=st.integers(0, 5),
    alive=st.none() | st.integers(0, 5),
    share=shares,
    splitter_restarted=st.booleans(),
    canary_requests=st.integers(0, 10**9),
    lease_held=st.booleans(),
    round=st.none() | st.sampled_from(list(Verdict)).map(round_of),
    abort=st.sampled_from(["", "", "", "asked"]),
)
states_at_all = st.builds(
    State,
    phase=st.sampled_from(list(Phase)),
    step=st.integers(0, len(PIPELINE.steps) - 1),
    since_s=st.floats(0, 1e6),
    conclusive_s=st.floats(0, 1e6),
    passes=st.integers(0, 5),
    fails_in_row=st.integers(0, 5),
    fails_total=st.integers(0, 9),
    last=st.none() | st.sampled_from(list(Verdict)),
    requests_before=st.integers(0, 10**9),
)


@given(states_at_all, facts_at_all)
def test_every_state_and_every_fact_has_an_answer(state: State, facts: Facts) -> None:
    after, actions = decide(PIPELINE, GATEWAYS, state, facts)
    assert len(actions) <= 1
    assert after.step in (state.step, state.step + 1)
    assert all(0 <= a.share <= 1 for a in actions)
    if after.phase is Phase.ROLLING_BACK and state.phase in ACTIVE:
        assert actions == (Action(Do.ROLLBACK),)
        assert after.cause is not None
        assert after.reason


@given(st.sampled_from([Phase.PROMOTING, Phase.ROLLING_BACK]), states_at_all, facts_at_all)
def test_nothing_happens_after_the_decision_to_end(phase: Phase, state: State, facts: Facts) -> None:
    ended = replace(state, phase=phase)
    assert decide(PIPELINE, GATEWAYS, ended, facts) == (ended, ())


@given(states_at_all, facts_at_all)
def test_the_weight_is_raised_only_on_a_pass_with_everything_known(state: State, facts: Facts) -> None:
    after, actions = decide(PIPELINE, GATEWAYS, state, facts)
    for action in actions:
        if action.do is not Do.SHIFT or action.share <= asked_share(PIPELINE, state):
            continue
        assert state.phase is Phase.STARTING
        assert action.share == PIPELINE.steps[state.step] == asked_share(PIPELINE, after)
        assert facts.share == asked_share(PIPELINE, state), "the weight below it is in force"
        assert facts.alive is not None
        assert facts.ready >= processes_for(action.share, GATEWAYS)
        assert facts.lease_held
        assert not facts.abort
        newest = facts.round.verdict if facts.round else state.last
        assert newest is P or state.step == 0


@given(states_at_all, facts_at_all)
def test_a_step_is_left_upwards_only_by_a_fresh_pass_with_enough_of_everything(state: State, facts: Facts) -> None:
    after, _ = decide(PIPELINE, GATEWAYS, state, facts)
    if state.phase is Phase.CHECKING and (after.phase is Phase.PROMOTING or after.step > state.step):
        assert facts.round is not None
        assert facts.round.verdict is P
        assert state.passes + 1 >= PIPELINE.passes
        assert facts.canary_requests - state.requests_before >= PIPELINE.min_requests_step
        assert facts.share == PIPELINE.steps[state.step]
        assert facts.alive is not None
        assert facts.alive >= processes_for(PIPELINE.steps[state.step], GATEWAYS)


@given(states_at_all, facts_at_all, st.sampled_from(ALARMS))
def test_alarms_win_over_everything_else(state: State, facts: Facts, alarm: tuple[dict[str, object], Cause]) -> None:
    changed = replace(facts, splitter_restarted=False, **alarm[0])
    after, _ = decide(PIPELINE, GATEWAYS, state, changed)
    if state.phase in ACTIVE and (alarm[1] is not Cause.CANARY_DEAD or asked_share(PIPELINE, state) > 0):
        assert after.phase is Phase.ROLLING_BACK


@given(states_at_all, st.lists(facts_at_all, min_size=1, max_size=3))
def test_time_alone_never_promotes(state: State, moments: list[Facts]) -> None:
    """Without a PASS no share above the one in force is ever asked for, however much time goes by."""
    if state.phase not in ACTIVE or state.last is P or (state.phase is Phase.STARTING and state.step == 0):
        return
    highest = asked_share(PIPELINE, state)
    for facts in moments:
        silent = facts.round if facts.round and facts.round.verdict is not P else None
        state, actions = decide(PIPELINE, GATEWAYS, state, replace(facts, round=silent))
        assert all(a.share <= highest for a in actions if a.do is Do.SHIFT)
        assert state.phase is not Phase.PROMOTING


@settings(max_examples=60)
@given(st.data())
def test_every_state_has_an_exit_in_bounded_time(data: st.DataObject) -> None:
    """Whatever is seen, each phase of a step ends, promoted or rolled back, by its own deadlines."""
    state, now_s = start(0.0), 0.0
    longest = PIPELINE.ready_timeout_s + PIPELINE.step_timeout_s + 1
    bound_s = longest * len(PIPELINE.steps)
    while state.phase in ACTIVE:
        now_s += data.draw(st.sampled_from([1.0, 30.0, 200.0]))
        asked = asked_share(PIPELINE, state)
        seen = Facts(
            now_s=now_s,
            ready=data.draw(st.sampled_from([0, 2])),
            alive=data.draw(st.sampled_from([None, 1, 2])),
            share=data.draw(st.sampled_from([None, asked])),
            splitter_restarted=data.draw(st.booleans()),
            canary_requests=int(now_s * data.draw(st.sampled_from([0, 20]))),
            lease_held=True,
            round=data.draw(st.sampled_from([None, round_of(P), round_of(F), round_of(I)])),
        )
        state, _ = decide(PIPELINE, GATEWAYS, state, seen)
        assert now_s <= bound_s + 200.0 * 2 * len(PIPELINE.steps)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("PFI"), st.integers(0, 60)), max_size=60))
def test_the_weight_never_rises_while_the_last_verdict_is_not_a_pass(rounds: list[tuple[str, int]]) -> None:
    """A whole run with healthy processes: the share in force after each round, against the last verdict."""
    state, requests, share, now_s = start(0.0), 0, Fraction(0), 0.0
    last: Verdict | None = None
    for letter, served in [("", 0), *rounds]:
        requests += served
        for round_ in (None, round_of({"P": P, "F": F, "I": I}[letter]) if letter else None, None):
            now_s += 1.0
            last = round_.verdict if round_ else last
            seen = Facts(now_s, GATEWAYS, GATEWAYS, share, False, requests, True, round_ if share else None)
            state, actions = decide(PIPELINE, GATEWAYS, state, seen)
            for action in actions:
                if action.do is Do.SHIFT:
                    assert action.share <= share or last in (None, P)
                    share = action.share
                if action.do is Do.ROLLBACK:
                    return


@pytest.mark.parametrize(("share", "said"), [(Fraction(1, 100), "1%"), (Fraction(1, 1000), "0.1%"), (Fraction(1), "100%")])
def test_shares_are_told_as_percentages(share: Fraction, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(("share", "gateways", "count"), [("1/1000", 2, 1), ("1/2", 2, 1), ("51/100", 2, 2), ("1", 2, 2), ("1/4", 8, 2)])
def test_a_share_gets_its_part_of_the_gateways(share: str, gateways: int, count: int) -> None:
    assert processes_for(Fraction(share), gateways) == count


def test_the_pipeline_is_the_one_that_ships() -> None:
    assert isinstance(PIPELINE, Pipeline)
    assert PIPELINE.fails == 3
