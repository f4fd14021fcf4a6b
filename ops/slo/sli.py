"""From an SLO to PromQL: the badness (0..1) of its last slice, judged every 20 s.

The obvious `errors / total` is wrong in six ways, each of which has its test:

- A bad counter that never counted has no series: none bad, not all bad. A good counter without series is the reverse: all bad.
- No traffic is not missing data. `idle` is decided by the total's series being there with too few events, `no_data` by their absence.
  A series that is there for the first time cannot be measured yet (an increase wants two samples); it is idle, not missing, so that a
  change of labels at a promotion opens no page.
- A Prometheus that was away for a few minutes has nothing in its range, and looks back at series that are there: nothing to be judged.
- A range outlives its target: `[1m]` shows a dead exporter's events for another minute. The series' presence now (`and sum(...)`) ends that
  with the first failed scrape.
- One of several groups that vanishes leaves the rest, and nothing is empty. Whatever was there within ten minutes is expected now.
- NaN compares as false. Bounds are written as `1 - (x <= bool bound)`, so what is not a number is bad; a ratio that is NaN is recorded as
  NaN and counted as bad where slices are made (rules.py): it pages by the burn rate, a minute after the spike would have.

A window longer than a minute still reaches into the hours before the open; until it does not, the SLI is held at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ops import conventions as c
from ops.slo import promql
from ops.slo.model import Events, Freshness, Idle, Latency, NoData, Probe, Raw, Selector, Sli, Slo, Threshold
from ops.slo.rulefile import duration

REMEMBERED_S = 600
"""How long a group that vanished is expected back."""
WINDOW_PLACEHOLDER = "{{window}}"


def bad_ratio(slo: Slo, exchange: str, scrape_interval_s: int) -> str:
    """The expression, with the labels of `slo.group_by` only. `scrape_interval_s`: a slice holds four scrapes (parse.py)."""
    assert slo.slice_s >= 4 * scrape_interval_s, (slo.name, slo.slice_s, scrape_interval_s)
    return _one_session_only(slo, exchange, "\nor ".join(_alternatives(slo, exchange)))


def present(slo: Slo, exchange: str) -> str:
    """The series by whose presence data is not missing; '' for a raw SLI, which only knows itself."""
    match slo.sli:
        case Events(total=total):
            return _select(total, exchange)
        case Latency(histogram=histogram):
            return _select(_suffixed(histogram, "_count"), exchange)
        case Freshness(timestamp=metric) | Probe(metric=metric) | Threshold(metric=metric):
            return _select(metric, exchange)
        case Raw():
            return ""


def bad_events(slo: Slo, exchange: str, label: str, window_s: int, own: str = "") -> str:
    """What went wrong within `window_s`, per value of `label`: who is the worst. '' where the SLI cannot say. `own`: further matchers."""
    window = duration(window_s)
    match _narrowed(slo.sli, own):
        case Events(total=total, bad=bad, good=good):
            if bad is not None:
                return f"sum by ({label}) (increase({_select(bad, exchange)}[{window}])) > 0"
            assert good is not None, slo.name
            return _shortfall(_select(total, exchange), _select(good, exchange), label, window)
        case Latency() as latency:
            return _shortfall(*_latency(latency, exchange), label, window)
        case Raw():
            return ""
        case gauge:
            return _badness_of_gauge(gauge, exchange, label, window)


def _narrowed(sli: Sli, own: str) -> Sli:
    def within(selector: Selector) -> Selector:
        return Selector(selector.metric, ",".join(part for part in (selector.where, own) if part))

    match sli:
        case Events(total=total, bad=bad, good=good):
            return Events(within(total), bad and within(bad), good and within(good))
        case Latency(histogram=histogram):
            return replace(sli, histogram=within(histogram))
        case Freshness(timestamp=metric):
            return replace(sli, timestamp=within(metric))
        case Probe(metric=metric) | Threshold(metric=metric):
            return replace(sli, metric=within(metric))
        case Raw():
            return sli


def _badness_of_gauge(gauge: Freshness | Probe | Threshold, exchange: str, label: str, window: str) -> str:
    match gauge:
        case Freshness(timestamp=metric):
            return f"scalar({c.SERIES_CLOCK}) - max by ({label}) ({_select(metric, exchange)})"
        case Probe(metric=metric):
            return f"1 - avg by ({label}) (avg_over_time({_select(metric, exchange)}[{window}]))"
        case Threshold(metric=metric, above=above):
            return f"max by ({label}) ({'-' if above is None else ''}{_select(metric, exchange)})"


def _shortfall(total: str, good: str, label: str, window: str) -> str:
    counted = f"sum by ({label}) (increase({total}[{window}]))"
    return f"{counted} - (sum by ({label}) (increase({good}[{window}])) or 0 * {counted}) > 0"


def _alternatives(slo: Slo, exchange: str) -> list[str]:
    """Operands of `or`, first wins: the measurement, what idle is worth, what missing data is worth."""
    window = duration(slo.slice_s)
    match slo.sli:
        case Events(total=total, bad=bad, good=good):
            part = bad or good
            assert part is not None, slo.name
            measured = _ratio(slo, _select(total, exchange), _select(part, exchange), good=bad is None)
        case Latency() as sli:
            measured = _ratio(slo, *_latency(sli, exchange), good=True)
        case Freshness(timestamp=metric, threshold_s=bound):
            age = f"scalar({c.SERIES_CLOCK}) - {_aggregate('max', slo.group_by, _select(metric, exchange))}"
            seen = _aggregate("sum", slo.group_by, f"count_over_time({_select(metric, exchange)}[{window}])")
            measured = [f"1 - ({age} <= bool {promql.decimal(bound)}) and {seen}", _unseen(slo, metric, exchange)]
        case Probe(metric=metric):
            series = _select(metric, exchange)
            share = f"clamp(avg_over_time({series}[{window}]), 0, 1)"
            measured = ["1 - " + _aggregate("avg", slo.group_by, f"{share} and {series}"), _unseen(slo, metric, exchange)]
        case Threshold() as sli:
            measured = [_aggregate("max", slo.group_by, _beyond(sli, exchange, window)), _unseen(slo, sli.metric, exchange)]
        case Raw(bad_ratio=expr):
            measured = [_aggregate("max", slo.group_by, f"clamp({expr.replace(WINDOW_PLACEHOLDER, window)}, 0, 1)")]
    return measured + _missing(slo, exchange)


def _unseen(slo: Slo, metric: Selector, exchange: str) -> str:
    """Good, like the idle slices of a counter, while the series is there and has no sample in the slice: Prometheus itself was away."""
    return f"0 * {_aggregate('max', slo.group_by, _select(metric, exchange))}"


def _ratio(slo: Slo, total: str, part: str, *, good: bool) -> list[str]:
    """Of counters. Presence is cheap: one sample a series, where an increase reads the whole slice."""
    window, groups = duration(slo.slice_s), slo.group_by
    present_now = _aggregate("sum", groups, total)
    none = f"0 * {present_now}" if groups else "vector(0)"
    counted = _aggregate("sum", groups, f"increase({total}[{window}])")
    enough = f"{counted} >= {slo.minimum_events}" if slo.minimum_events else f"{counted} > 0"
    number = _aggregate("sum", groups, f"increase({part}[{window}])")
    if not good and slo.idle is Idle.GOOD:
        share = f"clamp({number} / ({enough}), 0, 1)"  # without bad series this is nothing, and falls to `idle`, which is worth the same
    else:
        share = f"clamp(({number} or {none}) / ({enough}), 0, 1)"
    share = f"1 - {share}" if good else share
    if slo.idle is Idle.IGNORE:
        return [f"{share} and {present_now}"]
    if groups:
        idle = none if slo.idle is Idle.GOOD else _aggregate("group", groups, total)
        return [f"{share} and {present_now}", idle]
    return [f"({share} or vector({int(slo.idle is Idle.BAD)})) + 0 * {present_now}"]


def _beyond(sli: Threshold, exchange: str, window: str) -> str:
    series = _select(sli.metric, exchange)
    extreme, compare, bound = ("max", "<=", sli.above) if sli.above is not None else ("min", ">=", sli.below)
    assert bound is not None, sli
    # An extreme skips NaN, a sum does not: 0 times it carries a NaN of the slice into the comparison.
    worst = f"{extreme}_over_time({series}[{window}]) + 0 * sum_over_time({series}[{window}])"
    return f"1 - ({worst} {compare} bool {promql.decimal(bound)}) and {series}"


def _missing(slo: Slo, exchange: str) -> list[str]:
    if slo.no_data is NoData.IGNORE:
        return []
    series, worth = present(slo, exchange), 1 if slo.no_data is NoData.BAD else 0
    matching = "on () " if slo.group_by else ""
    stopped = series and slo.idle is Idle.IGNORE and isinstance(slo.sli, Events | Latency)
    missing = []
    if slo.group_by and series and slo.no_data is NoData.BAD:
        seen = _aggregate("group", slo.group_by, f"last_over_time({series}[{duration(REMEMBERED_S)}])")
        missing.append(f"({seen} unless {_aggregate('group', slo.group_by, series)})" if stopped else seen)
    fallback = f"vector({worth})"
    return [*missing, f"{matching}({fallback} unless on () {series})" if stopped else matching + fallback]


def _one_session_only(slo: Slo, exchange: str, expr: str) -> str:
    """A slice that is longer than a minute counts once it lies in the present hours as a whole."""
    if slo.slice_s <= 60:
        return expr
    zone = promql.selector(c.SERIES_ZONE_SLICE, exchange=exchange)
    same = f"group({zone} and on (exchange, hours) {zone} offset {duration(slo.slice_s - 60)})"
    return f"(\n{expr}\n) * scalar({same} or vector(0))"


def _latency(sli: Latency, exchange: str) -> tuple[str, str]:
    """The count, and the bucket of the threshold. A whole number is written `1` by some clients and `1.0` by others."""
    text = promql.decimal(sli.threshold_s)
    le = f'le="{text}"' if sli.threshold_s.denominator > 1 else f'le=~"{text}|{text}\\\\.0"'
    buckets = _suffixed(sli.histogram, "_bucket")
    where = ",".join(part for part in (buckets.where, le) if part)
    return _select(_suffixed(sli.histogram, "_count"), exchange), _select(Selector(buckets.metric, where), exchange)


def _suffixed(selector: Selector, suffix: str) -> Selector:
    return Selector(selector.metric + suffix, selector.where)


def _select(selector: Selector, exchange: str) -> str:
    return promql.selector(selector.metric, selector.where, exchange=exchange)


def _aggregate(operation: str, groups: Sequence[str], expr: str) -> str:
    return f"{operation} by ({', '.join(groups)}) ({expr})" if groups else f"{operation}({expr})"
