"""From figures to a verdict, as pure functions.

A quantile is judged as a count: "p99 is under 500 ms" says that at most 1 % of orders take longer, and that is an exact test on two
whole numbers, as sound at 20 orders as at 20 million. Comparing the quantiles themselves would compare two maxima at 20 orders.

FAIL needs evidence (the exact test convicts), PASS needs evidence too (enough canary requests and a figure within its bounds); all
between is INCONCLUSIVE, and the window grows until it is not. So no count of requests is too small to convict a build that answers
nothing but errors, and none is large enough to acquit one on silence.

There are two witnesses. Prometheus tells latency and answers; the splitter counts requests and 5xx by itself. The worse count of errors is
taken, and figures of Prometheus that do not agree with the splitter's about how many requests there were are not believed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from ops.deploy.model import Check, CheckKind, CheckResult, Pipeline, Round, TrackFigures, Verdict
from ops.deploy.stats import binomial_tail, fisher_tail

_Result = Callable[[Verdict, str], CheckResult]

WITNESS_SLACK_REQUESTS = 20
WITNESS_SLACK_RATIO = 0.5
"""The two witnesses see windows that differ by up to two scrapes; beyond this much they contradict each other."""


def judge(pipeline: Pipeline, canary: TrackFigures, stable: TrackFigures, window_s: float, lost: int, stable_serves: bool) -> Round:
    """One round from whole figures. `lost`: canary processes that died since the last round. `stable_serves`: False at 100 %."""
    results = [_check(pipeline, check, canary, stable, stable_serves) for check in pipeline.checks]
    return _round(results, canary, stable, window_s, lost)


def judge_blind(
    pipeline: Pipeline, why: str, canary: TrackFigures, stable: TrackFigures, window_s: float, lost: int, stable_serves: bool
) -> Round:
    """One round without Prometheus: nothing can pass, but the splitter's own count of errors can still convict."""
    results = [CheckResult(c.name, Verdict.INCONCLUSIVE, why) for c in pipeline.checks]
    for check in pipeline.checks:
        if check.kind is CheckKind.ERROR_RATIO:
            result = _error_ratio(pipeline, check, canary, stable, stable_serves)
            if result.verdict is Verdict.FAIL:
                results[pipeline.checks.index(check)] = result
    return _round(results, canary, stable, window_s, lost)


def _round(results: list[CheckResult], canary: TrackFigures, stable: TrackFigures, window_s: float, lost: int) -> Round:
    if lost:
        results.append(CheckResult("processes", Verdict.FAIL, f"{lost} canary process{'es' if lost > 1 else ''} died", canary=float(lost)))
    return Round(worst([r.verdict for r in results]), tuple(results), _seen(canary), _seen(stable), window_s)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """FAIL before INCONCLUSIVE before PASS; no checks at all is no evidence."""
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in verdicts or not verdicts else Verdict.PASS


def _seen(track: TrackFigures) -> int:
    return max(track.requests, track.witness_requests)


def _check(pipeline: Pipeline, check: Check, canary: TrackFigures, stable: TrackFigures, stable_serves: bool) -> CheckResult:
    judged = _JUDGES[check.kind](pipeline, check, canary, stable, stable_serves)
    if judged.verdict is Verdict.PASS and (doubt := _contradiction(canary)):
        return CheckResult(check.name, Verdict.INCONCLUSIVE, doubt, judged.canary, judged.stable, judged.bound)
    return judged


def _contradiction(track: TrackFigures) -> str:
    gap = abs(track.requests - track.witness_requests)
    if gap <= max(WITNESS_SLACK_REQUESTS, WITNESS_SLACK_RATIO * max(track.requests, track.witness_requests)):
        return ""
    return f"Prometheus tells of {track.requests} canary requests, the splitter of {track.witness_requests}: not believed"


def _error_ratio(pipeline: Pipeline, check: Check, canary: TrackFigures, stable: TrackFigures, stable_serves: bool) -> CheckResult:
    n, k = _errors(canary)
    other_n, other_k = _errors(stable)
    ratio, other = _ratio(k, n), _ratio(other_k, other_n)

    def result(verdict: Verdict, reason: str) -> CheckResult:
        return CheckResult(check.name, verdict, reason, ratio, other, check.max)

    doubt = 1.0 - pipeline.confidence
    if n and binomial_tail(k, n, check.max) < doubt:
        return result(Verdict.FAIL, f"{k} of {n} requests failed, above {check.max:.2%}")
    if n and other_n and (ratio or 0) - (other or 0) > check.worse_than_stable and fisher_tail(k, n, other_k, other_n) < doubt:
        said = f"{k} of {n} requests failed, stable {other_k} of {other_n}: worse by more than {check.worse_than_stable:.2%}"
        return result(Verdict.FAIL, said)
    return _acquit(pipeline, result, n, (ratio or 0) <= check.max, f"{k} of {n} requests failed", stable_serves and not other_n)


def _errors(track: TrackFigures) -> tuple[int, int]:
    """(requests, errors) of the witness that tells more errors; never more errors than requests."""
    if track.witness_errors > track.errors:
        return max(track.witness_requests, track.witness_errors), track.witness_errors
    return max(track.requests, track.errors), track.errors


def _latency(pipeline: Pipeline, check: Check, canary: TrackFigures, stable: TrackFigures, stable_serves: bool) -> CheckResult:
    n, other_n = _total(canary), _total(stable)
    figure, other = quantile(canary.buckets, check.quantile), quantile(stable.buckets, check.quantile)
    allowed, doubt = 1.0 - check.quantile, 1.0 - pipeline.confidence
    name = f"p{check.quantile * 100:g}"

    def result(verdict: Verdict, reason: str) -> CheckResult:
        return CheckResult(check.name, verdict, reason, figure, other, check.max)

    slow = slower_than(canary.buckets, check.max)
    if n and binomial_tail(slow, n, allowed) < doubt:
        return result(Verdict.FAIL, f"{slow} of {n} orders took longer than {check.max:g} s")
    if other is not None and n:
        bound = max(other * check.worse_than_stable, other + check.by_at_least)
        beyond = slower_than(canary.buckets, bound)
        if binomial_tail(beyond, n, allowed) < doubt:
            said = f"{name} {show_ms(figure)}, stable {show_ms(other)}: {beyond} of {n} orders took longer than {bound * 1000:.1f} ms"
            return result(Verdict.FAIL, said)
    within = figure is not None and figure <= bucket_at(canary.buckets, check.max)
    return _acquit(pipeline, result, n, within, f"{name} {show_ms(figure)} over {n} orders", stable_serves and not other_n)


def _refused_ratio(pipeline: Pipeline, check: Check, canary: TrackFigures, stable: TrackFigures, stable_serves: bool) -> CheckResult:
    """Members do send bad orders, so refusals have no absolute bound: only a canary that refuses more than stable does is wrong."""
    n, k, other_n, other_k = canary.requests, canary.refused, stable.requests, stable.refused
    ratio, other = _ratio(k, n), _ratio(other_k, other_n)

    def result(verdict: Verdict, reason: str) -> CheckResult:
        return CheckResult(check.name, verdict, reason, ratio, other, None if other is None else other + check.worse_than_stable)

    said = f"{k} of {n} requests refused, stable {other_k} of {other_n}"
    if n and other_n and (ratio or 0) - (other or 0) > check.worse_than_stable:
        if fisher_tail(min(k, n), n, min(other_k, other_n), other_n) < 1.0 - pipeline.confidence:
            return result(Verdict.FAIL, f"{said}: worse by more than {check.worse_than_stable:.2%}")
        if n < pipeline.min_requests_check:
            return result(Verdict.INCONCLUSIVE, f"{said}: too few to tell")
    return _acquit(pipeline, result, n, True, said, stable_serves and not other_n)


def _acquit(pipeline: Pipeline, result: _Result, n: int, within: bool, said: str, no_baseline: bool) -> CheckResult:
    if n < pipeline.min_requests_check:
        return result(Verdict.INCONCLUSIVE, f"{n} of the {pipeline.min_requests_check} canary requests that a verdict needs")
    if no_baseline:
        return result(Verdict.INCONCLUSIVE, "stable has no figures to compare with")
    if not within:
        return result(Verdict.INCONCLUSIVE, f"{said}: outside the bound, too few to tell")
    return result(Verdict.PASS, said)


def _ratio(k: int, n: int) -> float | None:
    return k / n if n else None


def _total(track: TrackFigures) -> int:
    return track.buckets[-1][1] if track.buckets else 0


def slower_than(buckets: tuple[tuple[float, int], ...], bound_s: float) -> int:
    """How many took longer than the first bucket bound at or above `bound_s`: never counts one that was in time."""
    if not buckets:
        return 0
    index = bisect_left(buckets, (bound_s, 0))
    return buckets[-1][1] - buckets[min(index, len(buckets) - 1)][1]


def bucket_at(buckets: tuple[tuple[float, int], ...], bound_s: float) -> float:
    """The bound as the histogram can tell it: its first bucket bound at or above `bound_s`."""
    return next((le for le, _ in buckets if le >= bound_s), bound_s)


def quantile(buckets: tuple[tuple[float, int], ...], q: float) -> float | None:
    """The upper bound, in seconds, of the bucket that holds the quantile: an honest "at most".

    None without orders; +Inf reads as the last finite bound.
    """
    if not buckets or buckets[-1][1] == 0:
        return None
    rank = q * buckets[-1][1]
    bound = next(le for le, count in buckets if count >= rank)
    finite = [le for le, _ in buckets if le != float("inf")]
    return bound if bound != float("inf") or not finite else finite[-1]


def show_ms(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds * 1000:.3g} ms"


_JUDGES = {CheckKind.ERROR_RATIO: _error_ratio, CheckKind.LATENCY: _latency, CheckKind.REFUSED_RATIO: _refused_ratio}
