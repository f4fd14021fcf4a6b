"""Verdicts from figures: what convicts, what acquits, and what is no evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.deploy.judge import judge, judge_blind, quantile, slower_than, worst
from ops.deploy.model import Round, TrackFigures, Verdict
from ops.deploy.pipeline import read_pipeline

PIPELINE = read_pipeline(Path(__file__).resolve().parents[2] / "pipelines" / "canary.yaml")
NEED = PIPELINE.min_requests_check
BOUNDS = (0.001, 0.005, 0.05, 0.5, 1.0, math.inf)
P, F, I = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE  # noqa: E741


def buckets(n: int, slow: int = 0, *, fast_s: float = 0.004, slow_s: float = 0.9) -> tuple[tuple[float, int], ...]:
    """`slow` of `n` orders take `slow_s`, the others `fast_s`."""
    return tuple((le, (n - slow if fast_s <= le else 0) + (slow if slow_s <= le else 0)) for le in BOUNDS) if n else ()


def figures(n: int, errors: int = 0, slow: int = 0, **changed: object) -> TrackFigures:
    """Both witnesses agree."""
    return replace(TrackFigures(n, errors, buckets(n, slow), n, errors), **changed)


def verdict(canary: TrackFigures, stable: TrackFigures | None = None, *, lost: int = 0, stable_serves: bool = True) -> Round:
    return judge(PIPELINE, canary, stable or figures(2000), 5.0, lost, stable_serves)


def by_name(round_: Round, name: str) -> Verdict:
    return next(r.verdict for r in round_.results if r.name == name)


@given(st.integers(0, NEED - 1))
def test_few_requests_never_pass(n: int) -> None:
    assert verdict(figures(n)).verdict is I


def test_enough_clean_requests_pass() -> None:
    assert verdict(figures(NEED)).verdict is P


def test_five_of_five_errors_convict_though_they_are_few() -> None:
    assert verdict(figures(5, 5)).verdict is F


def test_one_error_of_twenty_is_no_evidence_either_way() -> None:
    """Above the bound, and yet one in six good releases would show it."""
    round_ = verdict(figures(20, 1), figures(2000, 10))
    assert round_.verdict is I
    assert "too few to tell" in round_.reason


@pytest.mark.parametrize(("n", "errors", "expected"), [(200, 1, P), (200, 2, P), (200, 7, F), (20, 4, F), (2000, 40, F), (2000, 19, P)])
def test_the_error_ratio_against_its_bound(n: int, errors: int, expected: Verdict) -> None:
    assert by_name(verdict(figures(n, errors), figures(20_000, 180)), "error-ratio") is expected


def test_worse_than_stable_convicts_below_the_bound() -> None:
    round_ = verdict(figures(10_000, 70), figures(100_000, 50))
    assert by_name(round_, "error-ratio") is F
    assert "worse by more than" in round_.reason


def test_significantly_worse_by_next_to_nothing_is_fine() -> None:
    assert verdict(figures(100_000, 300), figures(1_000_000, 1000)).verdict is P


def test_as_bad_as_stable_and_above_the_bound_is_still_a_fail() -> None:
    assert verdict(figures(1000, 200), figures(10_000, 2000)).verdict is F


def test_the_splitters_errors_convict_when_prometheus_tells_of_none() -> None:
    assert verdict(figures(100, 0, witness_errors=20)).verdict is F


def test_the_splitters_errors_convict_when_prometheus_tells_of_no_request() -> None:
    lie = TrackFigures(0, 0, (), witness_requests=100, witness_errors=20)
    assert verdict(lie).verdict is F


def test_zero_requests_told_and_a_clean_splitter_is_no_evidence() -> None:
    assert verdict(TrackFigures(0, 0, (), witness_requests=100, witness_errors=0)).verdict is I


@pytest.mark.parametrize(("told", "seen"), [(1000, 0), (0, 1000), (1000, 400), (400, 1000), (10_000, 100), (41, 20)])
def test_witnesses_that_contradict_each_other_never_acquit(told: int, seen: int) -> None:
    round_ = verdict(figures(told, witness_requests=seen))
    assert round_.verdict is I
    assert told < NEED or "not believed" in round_.reason


@pytest.mark.parametrize(("told", "seen"), [(100, 80), (80, 100), (25, 40), (1000, 600)])
def test_witnesses_two_scrapes_apart_are_believed(told: int, seen: int) -> None:
    assert verdict(figures(told, witness_requests=seen)).verdict is P


def test_stable_without_figures_is_no_acquittal_but_no_alibi() -> None:
    silent = TrackFigures(0, 0, (), 0, 0)
    assert verdict(figures(1000), silent).verdict is I
    assert "stable has no figures" in verdict(figures(1000), silent).reason
    assert {r.verdict for r in verdict(figures(1000), silent).results} == {I}
    assert verdict(figures(1000, 200), silent).verdict is F


def test_at_all_traffic_on_the_canary_stable_is_not_asked_for() -> None:
    assert verdict(figures(1000), TrackFigures(0, 0, (), 0, 0), stable_serves=False).verdict is P


def test_slow_orders_convict() -> None:
    round_ = verdict(figures(100, slow=10))
    assert by_name(round_, "order-to-ack-p99") is F
    assert by_name(round_, "error-ratio") is P
    assert "10 of 100 orders took longer than 0.5 s" in round_.reason


def test_three_times_stables_quantile_convicts_within_the_absolute_bound() -> None:
    canary = figures(1000, buckets=buckets(1000, fast_s=0.4))
    round_ = verdict(canary, figures(2000))
    assert by_name(round_, "order-to-ack-p99") is F
    assert "stable 5 ms" in round_.reason


def test_slower_than_stable_by_less_than_the_least_that_counts_is_fine() -> None:
    canary = figures(1000, buckets=buckets(1000, fast_s=0.004))
    stable = figures(2000, buckets=buckets(2000, fast_s=0.0005))
    assert verdict(canary, stable).verdict is P


def test_one_slow_order_of_twenty_is_no_evidence() -> None:
    assert by_name(verdict(figures(20, slow=1)), "order-to-ack-p99") is I


def test_requests_without_orders_do_not_acquit_latency() -> None:
    assert by_name(verdict(figures(1000, buckets=())), "order-to-ack-p99") is I


@pytest.mark.parametrize("lost", [1, 2])
def test_a_process_that_died_is_a_fail_beside_perfect_figures(lost: int) -> None:
    round_ = verdict(figures(1000), lost=lost)
    assert round_.verdict is F
    assert "died" in round_.reason


def test_without_prometheus_nothing_passes() -> None:
    assert judge_blind(PIPELINE, "it hangs", figures(1000), figures(9000), 5.0, 0, True).verdict is I


def test_without_prometheus_the_splitter_still_convicts() -> None:
    canary = TrackFigures(0, 0, (), witness_requests=100, witness_errors=30)
    round_ = judge_blind(PIPELINE, "it hangs", canary, figures(9000), 5.0, 0, True)
    assert round_.verdict is F
    assert by_name(round_, "order-to-ack-p99") is I


def test_without_prometheus_a_dead_process_is_a_fail() -> None:
    assert judge_blind(PIPELINE, "it hangs", figures(1000), figures(9000), 5.0, 1, True).verdict is F


def test_no_checks_is_no_evidence() -> None:
    assert worst([]) is I


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1))
def test_the_worst_verdict_speaks(verdicts: list[Verdict]) -> None:
    assert worst(verdicts) is (F if F in verdicts else I if I in verdicts else P)


@pytest.mark.parametrize(("q", "expected"), [(0.5, 0.005), (0.9, 0.005), (0.99, 1.0)])
def test_a_quantile_is_the_upper_bound_of_its_bucket(q: float, expected: float) -> None:
    assert quantile(buckets(100, 5), q) == expected


def test_a_quantile_beyond_the_last_finite_bound_reads_as_that_bound() -> None:
    assert quantile(buckets(10, 10, slow_s=7.0), 0.99) == 1.0


@pytest.mark.parametrize("empty", [(), buckets(0), ((0.5, 0), (math.inf, 0))])
def test_no_orders_have_no_quantile(empty: tuple[tuple[float, int], ...]) -> None:
    assert quantile(empty, 0.99) is None
    assert slower_than(empty, 0.5) == 0


@pytest.mark.parametrize(("bound", "count"), [(0.5, 5), (0.4, 5), (0.9, 0), (99.0, 0), (0.0001, 100)])
def test_slower_than_never_counts_an_order_that_was_in_time(bound: float, count: int) -> None:
    assert slower_than(buckets(100, 5), bound) == count


tracks = st.builds(
    lambda n, errors, slow, wn, we: TrackFigures(n, errors, buckets(n, min(slow, n)), wn, we),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


@given(tracks, tracks, st.integers(0, 3), st.booleans())
def test_any_figures_get_a_verdict_and_a_pass_is_earned(canary: TrackFigures, stable: TrackFigures, lost: int, serves: bool) -> None:
    for round_ in (judge(PIPELINE, canary, stable, 5.0, lost, serves), judge_blind(PIPELINE, "away", canary, stable, 5.0, lost, serves)):
        assert round_.reason
        if round_.verdict is P:
            assert not lost
            assert canary.requests >= NEED or canary.witness_requests >= NEED
            assert canary.errors <= 0.01 * max(canary.requests, 1)
            assert canary.witness_errors <= 0.01 * max(canary.witness_requests, canary.requests, 1)


def test_a_canary_that_refuses_good_orders_fails_though_it_never_errs() -> None:
    """Such a build was promoted once: every second order answered 422, and not one 5xx."""
    found = verdict(figures(40, refused=20), figures(2000, refused=400))
    assert (by_name(found, "refused-ratio"), found.verdict) == (F, F)


def test_members_mistakes_that_both_tracks_see_alike_do_not_convict() -> None:
    assert verdict(figures(100, refused=31), figures(2000, refused=600)).verdict is P


def test_more_refusals_than_stable_on_few_requests_are_no_evidence() -> None:
    assert by_name(verdict(figures(4, refused=2), figures(2000, refused=400)), "refused-ratio") is I
