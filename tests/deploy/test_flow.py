"""Whole releases in simulated time: what users get, in which order things are done, and what is left when something breaks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from ops.adapters.fakes import Later, Lie, at_once
from ops.adapters.fakes_base import Effect
from ops.conventions import ExitCode, Pool, Track
from ops.deploy import flow, journal
from ops.deploy.model import Cause, Verdict
from ops.errors import Refused, StoreCorrupt, TrafficUnavailable, Unavailable
from ops.ports import Roles, Split

BAD = 0.5
STEPS = [Fraction(s) for s in ("1/100", "1/20", "1/4", "1/2", "1")]
FIRST = STEPS[0]
WAY_BACK = ["weight green 0", "sessions green", "stop green", "targets blue stable 1.0.0", "lease released 1"]


def doings(world: Any) -> list[str]:
    return [e for e in world.diary.told() if not e.startswith("journal")]


def assert_back_on_stable(world: Any) -> None:
    assert world.share == 0
    assert world.roles.roles.stable is Pool.BLUE
    assert world.cluster.up(Pool.BLUE) == 2
    assert world.cluster.processes(Pool.GREEN) == ()
    assert world.lease.current() is None
    assert not world.ports.lock.held()
    assert world.kinds()[-1] == journal.ENDED
    assert world.kinds().count(journal.ENDED) == 1


# --- the two ends


def test_a_good_release_is_promoted_step_by_step(world: Any, names: SimpleNamespace) -> None:
    outcome = world.deploy()
    assert (outcome.promoted, outcome.cause, outcome.exit_code) == (True, None, ExitCode.OK)
    assert world.weights() == STEPS
    assert doings(world) == [
        "lease taken 1",
        "targets blue stable 1.0.0, green canary 1.1.0",
        "start green 1.1.0 x1",
        "weight green 1/100",
        "start green 1.1.0 x1",
        "weight green 1/20",
        "start green 1.1.0 x1",
        "weight green 1/4",
        "start green 1.1.0 x1",
        "weight green 1/2",
        "start green 1.1.0 x2",
        "weight green 1",
        "roles stable green 1.1.0",
        "lease released 1",
        "targets blue warm 1.0.0, green stable 1.1.0",
    ]
    assert world.roles.roles == Roles(Pool.GREEN, {Pool.GREEN: names.new, Pool.BLUE: names.old})
    assert world.cluster.up(Pool.BLUE) == 2, "N-1 stays warm"
    assert not world.ports.lock.held()
    assert outcome.canary_errors == 0


def test_the_journal_tells_the_whole_release_before_each_of_its_acts(world: Any) -> None:
    world.deploy()
    told = [k for k in world.kinds() if k != journal.CHECK]
    step = [journal.PROCESSES, journal.WEIGHT_ASKED, journal.WEIGHT_APPLIED]
    assert told == [journal.STARTED, *step * 5, journal.PROMOTE, journal.ENDED]
    before = {"weight": journal.WEIGHT_ASKED, "start": journal.PROCESSES, "roles": journal.PROMOTE}
    effects = world.diary.effects
    for index, effect in enumerate(effects):
        if effect.kind in before:
            assert effects[index - 1].detail == before[effect.kind]


def test_every_step_saw_its_passes_and_requests(world: Any) -> None:
    world.deploy()
    checks = world.events(journal.CHECK)
    for share in STEPS:
        of_step = [c.data for c in checks if c.data["share"] == float(share)]
        assert sum(c["verdict"] == Verdict.PASS for c in of_step) >= world.pipeline.passes
        assert sum(c["canary_requests"] for c in of_step) >= world.pipeline.min_requests_step


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.2])
def test_a_bad_release_is_rolled_back_by_three_fails_at_the_first_step(world: Any, names: SimpleNamespace, ratio: float) -> None:
    world.load.error_ratio[names.new] = ratio
    world.traffic.sessions[Pool.GREEN] = 7
    outcome = world.deploy()
    assert (outcome.promoted, outcome.cause, outcome.exit_code) == (False, Cause.CHECKS_FAILED, ExitCode.ROLLED_BACK)
    assert world.verdicts()[-3:] == [Verdict.FAIL] * 3
    assert world.verdicts().count(Verdict.FAIL) == 3
    assert world.weights() == [FIRST, 0]
    assert doings(world)[-5:] == WAY_BACK
    assert outcome.sessions_closed == 7
    assert outcome.canary_errors <= 30 * ratio, "three rounds of ten requests"
    assert outcome.served_after_zero == 0
    assert_back_on_stable(world)


def test_the_way_back_is_one_moment_with_the_third_fail(world: Any, names: SimpleNamespace) -> None:
    world.load.error_ratio[names.new] = BAD
    outcome = world.deploy()
    third = world.events(journal.CHECK)[-1].at_s
    assert next(e.at_s for e in world.events(journal.ROLLBACK)) == third
    assert outcome.zero_after_s == 0.0


def test_requests_after_weight_zero_are_counted_and_told(world: Any, names: SimpleNamespace) -> None:
    world.load.error_ratio[names.new] = BAD
    world.traffic.after_zero = 50.0

    def slow_close(effect: Effect, done: bool) -> None:
        if effect.kind == "sessions" and not done:
            world.clock.sleep(2.0)

    world.diary.interrupt = slow_close
    outcome = world.deploy()
    assert outcome.served_after_zero == 100
    assert world.events(journal.ENDED)[0].data["served_after_zero"] == 100


def test_slow_orders_roll_back_as_well(world: Any, names: SimpleNamespace) -> None:
    world.load.slow_ratio[names.new] = 0.5
    outcome = world.deploy()
    assert outcome.cause is Cause.CHECKS_FAILED
    assert "longer than 0.5 s" in outcome.reason
    assert world.weights() == [FIRST, 0]


def test_a_canary_that_turns_bad_at_half_of_the_traffic_is_rolled_back(world: Any, names: SimpleNamespace) -> None:
    world.when_share("1/2", lambda: world.load.error_ratio.update({names.new: BAD}))
    assert world.deploy().cause is Cause.CHECKS_FAILED
    assert world.weights() == [*STEPS[:4], 0]
    assert_back_on_stable(world)


# --- processes


def test_a_canary_that_never_becomes_ready_gets_no_request(world: Any, names: SimpleNamespace) -> None:
    world.cluster.ready_after_s[names.new] = math.inf
    outcome = world.deploy()
    assert (outcome.cause, outcome.canary_requests) == (Cause.NEVER_READY, 0)
    assert world.weights() == [0]
    assert_back_on_stable(world)


def test_a_slow_starter_is_waited_for(world: Any, names: SimpleNamespace) -> None:
    world.cluster.ready_after_s[names.new] = 25.0
    assert world.deploy().promoted


def test_a_canary_that_dies_at_a_quarter_has_no_weight_in_the_same_tick(world: Any) -> None:
    died_s = []

    def die() -> None:
        died_s.append(world.clock.monotonic_s())
        world.cluster.die(Pool.GREEN)

    world.when_share("1/4", die, after_s=2.03)
    outcome = world.deploy()
    assert outcome.cause is Cause.CANARY_DEAD
    zero = next(e for e in world.diary.effects if str(e) == "weight green 0")
    assert zero.at_s - died_s[0] <= 0.1 + 1e-6
    assert_back_on_stable(world)


def test_a_restarted_canary_is_not_the_one_that_became_ready(world: Any) -> None:
    world.when_share("1/4", lambda: world.cluster.die(Pool.GREEN, restart_after_s=0.01), after_s=2.0)
    assert world.deploy().cause is Cause.CANARY_DEAD


def test_one_of_two_processes_that_dies_counts_as_a_fail_and_holds_the_promotion(world: Any) -> None:
    world.when_share("1", lambda: world.cluster.die(Pool.GREEN, 1), after_s=2.0)
    outcome = world.deploy(step_timeout_s=300.0)
    assert world.verdicts().count(Verdict.FAIL) == 1
    assert "1 canary process died" in next(e.data["reason"] for e in world.events(journal.CHECK) if e.data["verdict"] == "FAIL")
    assert outcome.cause is Cause.STUCK, "half of the processes is never stable"


def test_one_of_two_processes_that_comes_back_lets_the_release_go_on(world: Any) -> None:
    world.when_share("1", lambda: world.cluster.die(Pool.GREEN, 1, restart_after_s=1.0), after_s=2.0)
    outcome = world.deploy()
    assert outcome.promoted
    assert world.verdicts().count(Verdict.FAIL) == 1
    assert world.cluster.up(Pool.GREEN) == 2


def test_a_process_that_crashes_again_and_again_is_rolled_back(world: Any) -> None:
    def crash() -> None:
        if world.share == 1:
            world.cluster.die(Pool.GREEN, 1, restart_after_s=0.5)
            world.at(4.0, crash)

    world.when_share("1", crash, after_s=1.0)
    assert world.deploy().cause is Cause.CHECKS_FAILED


def test_a_supervisor_that_does_not_answer_holds_the_step(world: Any) -> None:
    world.when_share("1/4", lambda: setattr(world.cluster, "away", True))
    world.when_share("1/4", lambda: setattr(world.cluster, "away", False), after_s=300.0)
    outcome = world.deploy()
    assert outcome.promoted
    at_quarter = [c for c in world.events(journal.CHECK) if c.data["share"] == 0.25]
    assert len(at_quarter) > 40


# --- the splitter


@pytest.mark.parametrize("lost", [None, {Pool.BLUE: 100, Pool.GREEN: 0}, {Pool.BLUE: 0, Pool.GREEN: 100}])
def test_a_splitter_that_restarts_is_set_again_and_the_release_goes_on(world: Any, lost: dict[Pool, int] | None) -> None:
    world.when_share("1/4", lambda: world.traffic.restart(lost), after_s=2.0)
    outcome = world.deploy()
    assert outcome.promoted
    assert len(world.events(journal.SPLITTER_RESTARTED)) == 1
    quarter = Fraction(1, 4)
    assert world.weights().count(quarter) == (2 if lost else 1)
    assert outcome.canary_requests > 400, "counted over the restart"


def test_a_restart_while_the_next_processes_start_sets_the_old_weight(world: Any, names: SimpleNamespace) -> None:
    world.when_share("1/2", lambda: world.cluster.ready_after_s.update({names.new: 10.0}))
    seen = []

    def restart(effect: Effect, done: bool) -> None:
        if str(effect) == "start green 1.1.0 x2" and done and not seen:
            seen.append(effect)
            world.at(3.0, lambda: world.traffic.restart({Pool.BLUE: 100, Pool.GREEN: 0}))

    world.diary.interrupt = restart
    assert world.deploy().promoted
    assert world.weights() == [*STEPS[:4], STEPS[3], STEPS[4]]


def test_a_splitter_away_for_a_moment_holds_the_release(world: Any) -> None:
    world.when_share("1/4", lambda: setattr(world.traffic, "away", True), after_s=1.0)
    world.when_share("1/4", lambda: setattr(world.traffic, "away", False), after_s=31.0)
    assert world.deploy().promoted
    assert world.weights() == STEPS


def test_a_splitter_away_for_long_ends_blind_and_users_are_not_claimed_to_be_back(world: Any) -> None:
    world.when_share("1/4", lambda: setattr(world.traffic, "away", True), after_s=1.0)
    outcome = world.deploy()
    assert (outcome.cause, outcome.exit_code) == (Cause.BLIND, ExitCode.ROLLBACK_INCOMPLETE)
    assert "could not be proved" in outcome.reason
    assert journal.ENDED not in world.kinds()
    world.traffic.away = False
    world.clock.sleep(1.0)
    assert world.guard()
    assert world.share == 0
    assert world.recover().cause is Cause.OWNER_DIED
    assert_back_on_stable(world)


def test_a_splitter_that_takes_weights_and_does_not_apply_them_is_found_out(world: Any) -> None:
    world.traffic.deaf = True
    outcome = world.deploy()
    assert outcome.cause is Cause.ERROR
    assert "shows 0%" in outcome.reason
    assert world.share == 0


def test_a_rollback_that_is_not_applied_is_incomplete(world: Any, names: SimpleNamespace) -> None:
    world.load.error_ratio[names.new] = BAD
    world.when_share(FIRST, lambda: setattr(world.traffic, "deaf", True), after_s=1.0)
    outcome = world.deploy()
    assert outcome.exit_code is ExitCode.ROLLBACK_INCOMPLETE
    assert "stop green" not in world.diary.told(), "its processes serve users still"


@pytest.mark.parametrize("moved", ["0", "9/10"])
def test_a_weight_moved_by_somebody_else_ends_the_release_and_is_never_raised_again(world: Any, moved: str) -> None:
    world.when_share("1/4", lambda: world.traffic.meddle(Split(Pool.BLUE, Fraction(moved))), after_s=1.0)
    assert world.deploy().cause is Cause.FOREIGN_WEIGHT
    assert world.weights() == [*STEPS[:3], 0]
    assert_back_on_stable(world)


def test_a_share_that_the_splitter_cannot_do_is_refused_before_the_start(world: Any) -> None:
    world.traffic.indivisible.add(Fraction(1, 4))
    with pytest.raises(Refused):
        world.deploy()
    assert world.diary.told() == []


# --- Prometheus lies


REFUSED = [lie for lie in Lie if lie.refused]
MUTE = [*REFUSED, Lie.BUG, Lie.ZERO]
NEVER, SLOW = "hangs for ever", "answers after 25 s"


def lie_from(world: Any, lie: Lie | str) -> Callable[..., Any]:
    if isinstance(lie, Lie):
        world.metrics.lie = lie
        return at_once
    return Later(world.clock, math.inf if lie == NEVER else 25.0)


@pytest.mark.parametrize("lie", [*Lie, NEVER, SLOW])
def test_no_lie_gets_a_bad_canary_past_the_first_step(world: Any, names: SimpleNamespace, lie: Lie | str) -> None:
    world.load.error_ratio[names.new] = BAD
    outcome = world.deploy(submit=lie_from(world, lie))
    assert outcome.cause is Cause.CHECKS_FAILED, "the splitter's own count convicts"
    assert max(world.weights()) == FIRST
    assert_back_on_stable(world)


@pytest.mark.parametrize("lie", [*MUTE, NEVER, SLOW])
def test_no_lie_gets_a_slow_canary_past_the_first_step(world: Any, names: SimpleNamespace, lie: Lie | str) -> None:
    """Nobody but Prometheus knows of slow orders: without it the release is blind."""
    world.load.slow_ratio[names.new] = 1.0
    outcome = world.deploy(submit=lie_from(world, lie))
    assert (outcome.cause, outcome.exit_code) == (Cause.BLIND, ExitCode.ROLLED_BACK_BLIND)
    assert max(world.weights()) == FIRST
    assert_back_on_stable(world)


def test_ten_times_the_requests_that_the_splitter_counts_are_not_believed(world: Any) -> None:
    world.metrics.lie = Lie.HEALTHY
    assert world.deploy().cause is Cause.BLIND
    assert max(world.weights()) == FIRST


@pytest.mark.parametrize("lie", [*MUTE, NEVER, SLOW])
def test_a_good_canary_is_rolled_back_blind_at_its_bound(world: Any, lie: Lie | str) -> None:
    outcome = world.deploy(submit=lie_from(world, lie))
    assert outcome.exit_code is ExitCode.ROLLED_BACK_BLIND
    first = next(e.at_s for e in world.events(journal.WEIGHT_APPLIED))
    back = next(e.at_s for e in world.events(journal.ROLLBACK))
    assert world.pipeline.blind_after_s <= back - first <= world.pipeline.blind_after_s + 0.2
    assert set(world.verdicts()) == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("lie", MUTE)
def test_a_lie_that_ends_in_time_costs_nothing_but_time(world: Any, lie: Lie) -> None:
    world.when_share("1/4", lambda: setattr(world.metrics, "lie", lie))
    world.when_share("1/4", lambda: setattr(world.metrics, "lie", None), after_s=90.0)
    assert world.deploy().promoted
    assert world.weights() == STEPS


def test_a_lie_while_the_next_processes_start_holds_the_weight_and_ends_blind(world: Any) -> None:
    def lie(effect: Effect, done: bool) -> None:
        if str(effect) == "start green 1.1.0 x2" and done:
            world.metrics.lie = Lie.EMPTY

    world.cluster.ready_after_s["1.1.0"] = 6.0
    world.diary.interrupt = lie
    outcome = world.deploy()
    assert outcome.exit_code is ExitCode.ROLLED_BACK_BLIND
    assert max(world.weights()) == STEPS[3]


def test_no_more_than_two_questions_hang_at_a_time(world: Any) -> None:
    submit = Later(world.clock, math.inf)
    world.deploy(submit=submit)
    assert submit.hanging == 2


def test_an_answer_within_its_limit_is_used(world: Any) -> None:
    assert world.deploy(submit=Later(world.clock, 3.0)).promoted


def test_an_answer_of_the_step_before_is_no_pass_of_this_step(world: Any) -> None:
    """A question asked just before a raise is answered after it."""
    submit = Later(world.clock, 0.0)
    world.cluster.ready_after_s["1.1.0"] = 5.5

    def slow_down(effect: Effect, done: bool) -> None:
        if str(effect) == "start green 1.1.0 x2" and done:
            submit.delay_s = 3.0

    world.diary.interrupt = slow_down
    assert world.deploy(submit=submit).promoted
    applied = {e.data["share"]: e.at_s for e in world.events(journal.WEIGHT_APPLIED)}
    for check in world.events(journal.CHECK):
        asked_s = check.at_s - applied[check.data["share"]]
        assert asked_s >= world.pipeline.interval_s - 1e-6


@pytest.mark.parametrize("hidden", list(Track)[:2])
def test_a_track_left_out_of_the_answer_is_no_evidence(world: Any, hidden: Track) -> None:
    world.metrics.hidden = {hidden}
    assert world.deploy().cause is Cause.BLIND
    assert max(world.weights()) == FIRST


# --- little traffic, flapping


def test_one_request_a_second_is_never_promoted_below_the_least_requests(make_world: Any) -> None:
    world = make_world(rate=1.0)
    outcome = world.deploy()
    assert outcome.exit_code is ExitCode.ROLLED_BACK_BLIND
    assert max(world.weights()) == FIRST
    assert set(world.verdicts()) == {Verdict.INCONCLUSIVE}
    assert "of the 20 canary requests that a verdict needs" in outcome.reason


def test_few_requests_are_promoted_when_given_the_time(make_world: Any) -> None:
    world = make_world(rate=10.0)
    patient = {"blind_after_s": 5000.0, "max_window_s": 5000.0, "step_timeout_s": 20_000.0}
    assert world.deploy(**patient).promoted
    served = sum(c.data["canary_requests"] for c in world.events(journal.CHECK) if c.data["share"] == 0.01 and c.data["verdict"] == "PASS")
    assert served >= world.pipeline.min_requests_step


def test_half_the_requests_that_a_verdict_needs_per_interval_gets_on(make_world: Any) -> None:
    """Every second round is INCONCLUSIVE, and the release is promoted all the same."""
    world = make_world(rate=300.0)
    assert world.deploy().promoted


def test_flapping_does_not_roll_back_and_three_in_a_row_do(world: Any, names: SimpleNamespace) -> None:
    """Checks every 5 s at 1 %: F F P F F P ..., and the weight stays."""
    letters = iter("FFPFFPFFP")
    world.load.requests_per_s = 20_000.0

    def turn(_effect: Effect, done: bool) -> None:
        if _effect.kind == "journal" and _effect.detail in (journal.WEIGHT_APPLIED, journal.CHECK) and done:
            world.load.error_ratio[names.new] = BAD if next(letters, "P") == "F" else 0.0

    world.diary.interrupt = turn
    outcome = world.deploy()
    assert [v.value[0] for v in world.verdicts()[:9]] == list("FFPFFPFFP")
    assert outcome.promoted
    assert max(c.data["fails_in_row"] for c in world.events(journal.CHECK)) == 2
    assert world.events(journal.CHECK)[8].data["fails_total"] == 6


def test_a_canary_that_flaps_for_ever_ends_at_the_steps_deadline(world: Any, names: SimpleNamespace) -> None:
    world.load.requests_per_s = 20_000.0
    turns = []

    def turn(effect: Effect, done: bool) -> None:
        if effect.kind == "journal" and effect.detail in (journal.WEIGHT_APPLIED, journal.CHECK) and done:
            turns.append(effect)
            world.load.error_ratio[names.new] = BAD if len(turns) % 2 else 0.0

    world.diary.interrupt = turn
    outcome = world.deploy(step_timeout_s=120.0)
    assert outcome.cause is Cause.STUCK
    assert max(world.weights()) == FIRST


# --- people


def test_an_abort_asked_by_another_command_ends_the_release(world: Any) -> None:
    events = []

    def ask() -> None:
        world.store.append("release-1", journal.ABORT, {"by": "bob", "reason": "stale quotes"}, world.clock.wall_s())
        events.append(world.clock.monotonic_s())

    world.when_share("1/4", ask, after_s=1.0)
    outcome = world.deploy()
    assert (outcome.cause, outcome.exit_code) == (Cause.ABORTED, ExitCode.ABORTED)
    assert "bob: stale quotes" in outcome.reason
    zero = next(e for e in world.diary.effects if str(e) == "weight green 0")
    assert zero.at_s - events[0] <= 0.1 + 1e-6
    assert_back_on_stable(world)


def test_an_abort_in_the_first_instant_is_seen(world: Any) -> None:
    def ask(effect: Effect, done: bool) -> None:
        if str(effect) == f"journal {journal.STARTED}" and done:
            world.store.append("release-1", journal.ABORT, {"by": "bob", "reason": "wrong one"}, world.clock.wall_s())

    world.diary.interrupt = ask
    assert world.deploy().cause is Cause.ABORTED
    assert world.weights() == [0]


def test_ctrl_c_rolls_back(world: Any) -> None:
    said: list[str] = []
    world.when_share("1/4", lambda: said.append("ended by a person (SIGINT)"))
    outcome = world.deploy(aborted=lambda: said[0] if said else "")
    assert (outcome.cause, outcome.exit_code) == (Cause.ABORTED, ExitCode.ABORTED)
    assert_back_on_stable(world)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_an_exception_out_of_nowhere_rolls_back_and_is_shown(world: Any, error: type[BaseException]) -> None:
    seen = []

    def strike(effect: Effect, done: bool) -> None:
        if str(effect) == "weight green 1/4" and done and not seen:
            seen.append(effect)
            raise error

    world.diary.interrupt = strike
    with pytest.raises(error):
        world.deploy()
    assert_back_on_stable(world)


def test_a_terminal_that_is_gone_keeps_nobody_on_the_canary(world: Any, names: SimpleNamespace) -> None:
    def closed(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    world.observer.say = world.observer.tick = closed
    world.load.error_ratio[names.new] = BAD
    assert world.deploy().cause is Cause.CHECKS_FAILED
    assert_back_on_stable(world)


def test_one_release_at_a_time(world: Any) -> None:
    refused = []

    def second() -> None:
        with pytest.raises(Refused) as raised:
            world.deploy(version="1.2.0")
        refused.append(raised.value.message)

    world.when_share("1/4", second)
    assert world.deploy().promoted
    assert "opsctl deploy 1.1.0 by tester" in refused[0]


def test_the_stable_version_is_refused(world: Any, names: SimpleNamespace) -> None:
    with pytest.raises(Refused):
        world.deploy(version=names.old)
    assert world.diary.told() == []
    assert not world.ports.lock.held()


def test_without_a_stable_gateway_nothing_is_begun(world: Any) -> None:
    world.cluster.die(Pool.BLUE)
    with pytest.raises(Refused, match="go back to"):
        world.deploy()
    assert world.diary.told() == []


def test_without_a_venue_nothing_is_begun(world: Any) -> None:
    world.roles.roles = None
    with pytest.raises(Unavailable):
        world.deploy()
    assert not world.ports.lock.held()


# --- the journal and the files


def test_a_full_disk_ends_the_release_and_does_not_delay_the_way_back(world: Any) -> None:
    world.when_share("1/4", lambda: setattr(world.store, "full", True))
    outcome = world.deploy()
    assert (outcome.promoted, outcome.cause) == (False, Cause.ERROR)
    assert "could not be recorded" in outcome.reason
    assert world.share == 0
    assert outcome.zero_after_s == 0.0
    assert any("not recorded" in said for said in world.observer.said)


def test_the_cause_is_kept_when_its_check_could_not_be_recorded(world: Any, names: SimpleNamespace) -> None:
    world.load.error_ratio[names.new] = BAD
    checks = []

    def fill(effect: Effect, done: bool) -> None:
        if effect.detail == journal.CHECK and not done:
            checks.append(effect)
            if len(checks) == 3:
                world.store.full = True
                raise Unavailable("no space left on device")

    world.diary.interrupt = fill
    assert world.deploy().cause is Cause.CHECKS_FAILED
    assert world.share == 0


@pytest.mark.parametrize("broken", ["targets", "lease"])
def test_what_breaks_after_the_promotion_does_not_undo_it(world: Any, broken: str) -> None:
    def strike(effect: Effect, done: bool) -> None:
        past = world.roles.roles.stable is Pool.GREEN
        if past and effect.kind == broken and not done:
            raise Unavailable(f"the {broken} cannot be written")

    world.diary.interrupt = strike
    outcome = world.deploy()
    assert outcome.promoted
    assert world.share == 1
    assert "stop green" not in world.diary.told()
    assert any("cannot be written" in said for said in world.observer.said)


def test_a_write_of_the_roles_that_fails_after_it_took_place_is_a_promotion(world: Any) -> None:
    """Such as a folder that cannot be synced: users and roles are on the new version, and stay there together."""

    def strike(effect: Effect, done: bool) -> None:
        if effect.kind == "roles" and done:
            raise Unavailable("the folder cannot be synced")

    world.diary.interrupt = strike
    assert world.deploy().promoted
    assert world.share == 1
    assert "stop green" not in world.diary.told()


def test_ctrl_c_in_the_moment_of_promotion_does_not_undo_half_of_it(world: Any) -> None:
    def strike(effect: Effect, done: bool) -> None:
        if effect.kind == "roles" and done:
            raise KeyboardInterrupt

    world.diary.interrupt = strike
    with pytest.raises(KeyboardInterrupt):
        world.deploy()
    assert world.share == 1
    assert world.recover().promoted
    assert world.cluster.up(Pool.GREEN) == 2


def test_a_rollback_when_stable_fell_too_starts_stable_first(world: Any, names: SimpleNamespace) -> None:
    def fall() -> None:
        world.cluster.die(Pool.BLUE)
        world.load.error_ratio[names.new] = 1.0

    world.when_share("1/4", fall)
    assert world.deploy().cause is Cause.CHECKS_FAILED
    told = doings(world)
    assert told.index("start blue 1.0.0 x2") < told.index("weight green 0")
    assert_back_on_stable(world)


def test_users_are_not_sent_to_an_empty_pool(world: Any, names: SimpleNamespace) -> None:
    def fall() -> None:
        world.cluster.die(Pool.BLUE)
        world.cluster.ready_after_s[names.old] = math.inf
        world.load.error_ratio[names.new] = BAD

    world.when_share("1/4", fall)
    outcome = world.deploy()
    assert outcome.exit_code is ExitCode.ROLLBACK_INCOMPLETE
    assert world.share == Fraction(1, 4)
    assert "stop green" not in world.diary.told()


# --- a deploy that was stopped and wakes up


def test_a_deploy_that_slept_over_its_lease_raises_nothing(world: Any) -> None:
    """SIGSTOP for a minute between the journal and the weight: the guardian has been there."""
    slept = []

    def sleep_there(effect: Effect, done: bool) -> None:
        if effect.detail == journal.WEIGHT_ASKED and done and world.share == Fraction(1, 20) and not slept:
            slept.append(effect)
            world.clock.sleep(60.0)
            assert world.guard()

    world.diary.interrupt = sleep_there
    outcome = world.deploy()
    assert outcome.cause in (Cause.LEASE_LOST, Cause.FOREIGN_WEIGHT)
    assert max(world.weights()) == Fraction(1, 20)
    assert_back_on_stable(world)


def test_a_deploy_that_slept_before_its_promotion_does_not_promote(world: Any) -> None:
    def sleep_there(effect: Effect, done: bool) -> None:
        if effect.detail == journal.PROMOTE and done:
            world.clock.sleep(60.0)
            world.guard()

    world.diary.interrupt = sleep_there
    outcome = world.deploy()
    assert outcome.cause is Cause.LEASE_LOST
    assert_back_on_stable(world)


def test_a_deploy_that_did_not_react_to_an_abort_cannot_raise_the_weight_when_it_wakes(world: Any) -> None:
    """It sleeps less long than its lease, but a person took the weight away over its head."""
    slept = []

    def sleep_there(effect: Effect, done: bool) -> None:
        if effect.detail == journal.WEIGHT_ASKED and done and world.share == Fraction(1, 20) and not slept:
            slept.append(world.go_back())

    world.diary.interrupt = sleep_there
    outcome = world.deploy()
    assert slept[0].exit_code is ExitCode.ABORTED
    assert "did not react" in slept[0].reason
    assert not outcome.promoted
    assert max(world.weights()) == Fraction(1, 20)
    assert_back_on_stable(world)


# --- going back after the promotion


def test_going_back_after_a_promotion_is_one_switch(world: Any, names: SimpleNamespace) -> None:
    world.deploy()
    world.diary.effects.clear()
    world.traffic.sessions[Pool.GREEN] = 3
    outcome = world.go_back()
    assert (outcome.exit_code, outcome.version, outcome.stable_version) == (ExitCode.OK, names.new, names.old)
    assert [e for e in doings(world) if not e.startswith("lease")] == [
        "roles stable blue 1.0.0",
        "weight green 0",
        "sessions green",
        "targets blue stable 1.0.0",
        "stop green",
    ]
    assert (outcome.zero_after_s, outcome.served_after_zero, outcome.sessions_closed) == (0.0, 0, 3)
    assert world.traffic.share(Pool.BLUE) == 1
    assert world.roles.roles.stable_version == names.old
    assert world.roles.roles.other_version == ""
    assert world.lease.current() is None
    assert world.guard() == ""


def test_going_back_twice_is_refused(world: Any) -> None:
    world.deploy()
    world.go_back()
    with pytest.raises(Refused, match="no version before"):
        world.go_back()


def test_going_back_to_what_is_not_warm_starts_it_first(world: Any) -> None:
    world.deploy()
    world.cluster.stop(Pool.BLUE)
    world.diary.effects.clear()
    assert world.go_back().exit_code is ExitCode.OK
    told = doings(world)
    assert told[0] == "start blue 1.0.0 x2"
    assert world.traffic.share(Pool.BLUE) == 1
    assert world.traffic.unserved == 0


def test_going_back_to_what_does_not_come_up_is_refused_and_moves_nobody(world: Any, names: SimpleNamespace) -> None:
    world.deploy()
    world.cluster.stop(Pool.BLUE)
    world.cluster.ready_after_s[names.old] = math.inf
    with pytest.raises(Refused, match="cannot take users"):
        world.go_back()
    assert world.traffic.share(Pool.GREEN) == 1
    assert not world.ports.lock.held()


def test_a_full_disk_does_not_keep_users_on_the_new_version(world: Any) -> None:
    world.deploy()
    world.store.full = True
    assert world.go_back().exit_code is ExitCode.OK
    assert world.traffic.share(Pool.BLUE) == 1


def test_a_full_disk_does_not_stop_the_abort_of_a_running_release(world: Any) -> None:
    back = []

    def ask(effect: Effect, done: bool) -> None:
        if str(effect) == "weight green 1/4" and done and not back:
            world.store.full = True
            back.append(world.go_back())

    world.diary.interrupt = ask
    world.deploy()
    assert back[0].exit_code is ExitCode.ABORTED
    assert world.share == 0


def test_rollback_asked_at_the_moment_of_promotion_goes_back(world: Any, names: SimpleNamespace) -> None:
    """`deploy` decided to promote before it could see the request: the person still gets the old version."""
    world.deploy()
    promoted = world.events(journal.ENDED)[0].data
    world.store.append("release-2", journal.STARTED, world.events(journal.STARTED)[0].data, world.clock.wall_s())
    running = world.process()
    running.lock.acquire("opsctl deploy")

    def finish() -> None:
        world.store.append("release-2", journal.ENDED, promoted, world.clock.wall_s())
        running.lock.release()

    world.at(0.5, finish)
    outcome = world.go_back()
    assert outcome.stable_version == names.old
    assert world.roles.roles.stable_version == names.old


def test_rollback_after_a_deploy_died_in_its_promotion_goes_back(world: Any, names: SimpleNamespace) -> None:
    def die(effect: Effect, done: bool) -> None:
        if effect.kind == "lease" and world.roles.roles.stable is Pool.GREEN:
            raise names.death

    world.diary.interrupt = die
    with pytest.raises(names.death):
        world.deploy()
    world.end_process()
    assert world.go_back().stable_version == names.old
    assert world.traffic.share(Pool.BLUE) == 1
    assert world.events(journal.ENDED)[0].data["promoted"] is True


def test_a_switch_that_the_splitter_does_not_take_is_finished_by_the_guardian(world: Any, names: SimpleNamespace) -> None:
    world.deploy()
    world.traffic.deaf = True
    with pytest.raises(Unavailable):
        world.go_back()
    assert (world.roles.roles.stable_version, world.lease.current()) == (names.old, None)
    world.traffic.deaf = False
    assert "nobody holds a lease" in world.guard()
    assert world.traffic.share(Pool.BLUE) == 1, "users are where the person wanted them"


def test_the_history_tells_of_a_switch_back(world: Any, names: SimpleNamespace) -> None:
    world.deploy()
    world.go_back()
    (one,) = journal.records(world.store)
    assert one.outcome.startswith("promoted, then switched back by ")


# --- death at every point


def run_to_death(world: Any, names: SimpleNamespace, number: int, *, after: bool) -> str:
    """Where the deploy died; "" when it lived to its end."""
    died = world.die_at(number, after=after)
    with suppress(names.death):
        world.deploy()
    world.end_process()
    return str(died[0]) if died else ""


def assert_consistent_after(world: Any, names: SimpleNamespace, where: str) -> None:
    highest = max((Fraction(e.data["share"]).limit_denominator(1000) for e in world.events(journal.WEIGHT_ASKED)), default=Fraction(0))
    assert max(world.weights(), default=Fraction(0)) <= highest, where
    world.clock.sleep(world.pipeline.lease_s + 1)
    world.guard()
    turned = world.roles.roles.stable is Pool.GREEN
    assert world.share == (1 if turned else 0), f"{where}: the guardian leaves users on {world.roles.roles.stable}"
    world.recover()
    assert world.recover() is None, f"{where}: nothing is finished twice"
    told = world.diary.told()
    assert world.kinds().count(journal.ENDED) <= 1, where
    assert sum(t.startswith("roles") for t in told) == (1 if turned else 0), where
    if turned:
        assert world.roles.roles.versions == {Pool.GREEN: names.new, Pool.BLUE: names.old}
        assert world.targets.tracks == {Pool.GREEN: (Track.STABLE, names.new), Pool.BLUE: (Track.WARM, names.old)}
        assert world.cluster.up(Pool.GREEN) == 2
    else:
        assert world.roles.roles.stable_version == names.old
        assert world.cluster.processes(Pool.GREEN) == (), where
    assert world.lease.current() is None, where
    assert world.guard() == "", where
    unserved = world.traffic.unserved
    world.clock.sleep(5.0)
    assert world.traffic.unserved == unserved, f"{where}: users are served"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error_ratio", [0.0, BAD], ids=["good", "bad"])
def test_death_at_every_side_effect_ends_in_order(make_world: Any, names: SimpleNamespace, error_ratio: float, after: bool) -> None:
    """Every journal entry and every act on the outside, one release each."""
    number, where = 0, "start"
    while where:
        world = make_world()
        world.load.error_ratio[names.new] = error_ratio
        where = run_to_death(world, names, number, after=after)
        assert_consistent_after(world, names, where or "the end")
        number += 1
    assert number > (20 if error_ratio else 45)


def test_death_in_the_recovery_is_recovered_from(make_world: Any, names: SimpleNamespace) -> None:
    for number in range(60):
        world = make_world()
        assert run_to_death(world, names, 24, after=True)
        died = world.die_at(number, after=True)
        try:
            world.recover()
        except names.death:
            world.end_process()
        if not died:
            assert number > 5
            return
        assert_consistent_after(world, names, f"recovery at {died[0]}")
    pytest.fail("the recovery never came to its end")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_death_anywhere_in_the_switch_back_leaves_roles_and_weights_of_one_mind(
    make_world: Any, names: SimpleNamespace, after: bool
) -> None:
    for number in range(40):
        world = make_world()
        world.deploy()
        died = world.die_at(number, after=after)
        try:
            world.go_back()
        except names.death:
            world.end_process()
        world.end_process()
        world.clock.sleep(30.0)
        world.guard()
        stable = world.roles.roles.stable
        assert world.traffic.share(stable) == 1, str(died)
        assert world.cluster.up(stable) == 2, str(died)
        if not died:
            assert number > 8
            return
    pytest.fail("the switch never came to its end")


def test_the_next_deploy_finishes_what_a_dead_one_left(world: Any, names: SimpleNamespace) -> None:
    assert run_to_death(world, names, 14, after=True)
    world.clock.sleep(1.0)
    assert world.deploy(version="1.2.0").promoted
    first, second = (world.kinds(f"release-{n}") for n in (1, 2))
    assert first[-1] == second[-1] == journal.ENDED
    assert world.events(journal.ENDED)[0].data["cause"] == Cause.OWNER_DIED
    assert world.roles.roles.stable_version == "1.2.0"


def test_rollback_by_hand_finishes_what_a_dead_one_left(world: Any, names: SimpleNamespace) -> None:
    assert run_to_death(world, names, 14, after=True)
    assert world.go_back().cause is Cause.OWNER_DIED
    assert_back_on_stable(world)


def test_recovery_waits_for_the_splitter_rather_than_claim_to_be_done(world: Any, names: SimpleNamespace) -> None:
    assert run_to_death(world, names, 14, after=True)
    world.traffic.away = True
    with pytest.raises((TrafficUnavailable, Unavailable)):
        world.recover()
    assert journal.ENDED not in world.kinds()
    world.traffic.away = False
    assert world.recover().cause is Cause.OWNER_DIED


def test_nothing_left_is_nothing_to_recover(world: Any) -> None:
    assert world.recover() is None
    world.deploy()
    assert world.recover() is None


# --- what every command does first


def test_any_command_finishes_what_a_dead_deploy_left(world: Any, names: SimpleNamespace) -> None:
    assert run_to_death(world, names, 14, after=True)
    flow.finish_left(world.process(), world.observer)
    assert_back_on_stable(world)


def test_a_running_release_is_left_alone_by_other_commands(world: Any) -> None:
    world.when_share("1/4", lambda: flow.finish_left(world.process(), world.observer))
    assert world.deploy().promoted


def test_a_venue_that_is_down_is_no_reason_to_fail_a_look(world: Any, names: SimpleNamespace) -> None:
    assert run_to_death(world, names, 14, after=True)
    world.traffic.away = True
    flow.finish_left(world.process(), world.observer)
    assert "release-1 (1.1.0) is unfinished" in world.observer.said[-1]
    assert not world.ports.lock.held()


def test_a_rollback_that_cannot_be_finished_does_not_fail_a_look(world: Any, names: SimpleNamespace) -> None:
    assert run_to_death(world, names, 14, after=True)
    world.traffic.deaf = True
    flow.finish_left(world.process(), world.observer)
    assert "could not be finished" in world.observer.said[-1]
    assert not world.ports.lock.held()


def test_a_journal_that_cannot_be_read_does_not_fail_a_look(world: Any) -> None:
    def corrupt(*_args: object) -> Any:
        raise StoreCorrupt("the chain breaks at event 1")

    world.store.events = corrupt
    flow.finish_left(world.process(), world.observer)
    assert "cannot be told" in world.observer.said[-1]


# --- a journal that cannot be read


def corrupt(world: Any) -> None:
    def broken(*_args: object) -> Any:
        raise StoreCorrupt("the chain breaks at event 1")

    world.store.events = broken


def test_a_running_release_rolls_back_when_its_journal_breaks(world: Any) -> None:
    world.when_share("1/4", lambda: corrupt(world))
    outcome = world.deploy()
    assert (outcome.promoted, outcome.cause) == (False, Cause.ERROR)
    assert world.share == 0


def test_rollback_takes_a_running_canary_off_without_the_journal(world: Any) -> None:
    back = []

    def ask(effect: Effect, done: bool) -> None:
        if str(effect) == "weight green 1/4" and done and not back:
            corrupt(world)
            back.append(world.go_back())
            assert world.share == 0
            assert world.lease.current() is None

    world.diary.interrupt = ask
    outcome = world.deploy()
    assert back[0].exit_code is ExitCode.ABORTED
    assert "not recorded" in back[0].reason
    assert not outcome.promoted
    assert max(world.weights()) == Fraction(1, 4)


def test_rollback_after_a_promotion_switches_back_without_the_journal(world: Any, names: SimpleNamespace) -> None:
    world.deploy()
    corrupt(world)
    assert world.go_back().stable_version == names.old
    assert world.traffic.share(Pool.BLUE) == 1


def test_no_release_is_begun_on_a_journal_that_cannot_be_read(world: Any) -> None:
    corrupt(world)
    with pytest.raises(StoreCorrupt):
        world.deploy()
    assert world.diary.told() == []
    assert not world.ports.lock.held()
