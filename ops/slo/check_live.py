"""What only the Prometheus that will load the rules can say (`opsctl slo check --live`): whether the series are there, have the bucket and
the labels, are scraped as often as declared, and whether it keeps them for a whole month."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops import conventions as names
from ops.errors import MetricsUnavailable
from ops.ports import Queries, Series
from ops.slo import check, promql, sli
from ops.slo.check import Cost
from ops.slo.findings import Finding, error, warning
from ops.slo.model import Events, Latency, NoData, Raw, Slo, Spec

RETENTION_TIME = "storage.tsdb.retention.time"
RETENTION_SIZE = "storage.tsdb.retention.size"
DEFAULT_RETENTION_S = 15 * 86400
"""Of a Prometheus that is told neither a time nor a size."""
SCRAPES_S = 600
"""How long scrapes are counted."""
SLOWER = 0.7
"""Fewer scrapes than this share of the declared ones is slower, not luck."""
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def findings(spec: Spec, cost: Cost | None, queries: Queries, at_s: float) -> Iterator[Finding]:
    """Asks a few small queries an SLO. Raises MetricsUnavailable when nothing answers at all."""
    yield from _retention(spec, cost, queries)
    for slo in spec.slos:
        try:
            yield from _slo(spec, slo, queries, at_s)
        except MetricsUnavailable as problem:
            yield error(_place(spec, slo), f"cannot be evaluated: {problem.message}", problem.hint or "mend the SLI, or try again")


def retention_s(flags: dict[str, str]) -> int | None:
    """How long the server keeps samples; None when only a size bounds it."""
    time_s = sum(int(count) * _UNIT_S[unit] for count, unit in re.findall(r"(\d+)([smhdwy])(?!s)", flags.get(RETENTION_TIME, "")))
    if time_s:
        return time_s
    return None if _size(flags) else DEFAULT_RETENTION_S


def _size(flags: dict[str, str]) -> str:
    size = flags.get(RETENTION_SIZE, "0")
    return "" if re.match(r"0\D*$", size) else size


def _retention(spec: Spec, cost: Cost | None, queries: Queries) -> Iterator[Finding]:
    flags = dict(queries.flags())
    kept_s, needed_days = retention_s(flags), cost.retention_days if cost else 34
    if kept_s is not None and kept_s < needed_days * 86400:
        reason = f"this Prometheus keeps {kept_s / 86400:g} days; the month's budget needs {needed_days}, and would look unspent"
        yield error(f"{spec.path}: budget", reason, f"start it with --{RETENTION_TIME}={needed_days}d")
    if _size(flags):
        reason = f"this Prometheus forgets early when it holds {_size(flags)}: the month's budget may look unspent"
        yield warning(f"{spec.path}: budget", reason, f"see that {needed_days} days fit into --{RETENTION_SIZE}")


def _slo(spec: Spec, slo: Slo, queries: Queries, at_s: float) -> Iterator[Finding]:
    missing = False
    for role, selector in _series_of(spec, slo):
        if not queries.instant(f"count({selector})", at_s):
            found = _absent(spec, slo, role, selector)
            missing = missing or found.level == "error"
            yield found
    if missing:
        return
    yield from _scrapes(spec, slo, queries, at_s)
    yield from _answer(spec, slo, queries, at_s)


def _series_of(spec: Spec, slo: Slo) -> Iterator[tuple[str, str]]:
    if isinstance(slo.sli, Latency):
        metric, where = slo.sli.histogram.metric, slo.sli.histogram.where
        bound = promql.decimal(slo.sli.threshold_s).replace(".", "[.]")
        yield "histogram", promql.selector(f"{metric}_count", where, spec.exchange)
        yield "bucket", promql.selector(f"{metric}_bucket", where, spec.exchange, f'le=~"{bound}([.]0+)?"')
        return
    parts = (slo.sli.total, slo.sli.bad, slo.sli.good) if isinstance(slo.sli, Events) else check.selectors(slo)
    for role, selector in zip(("total", "bad", "good"), parts, strict=False):
        if selector is not None:
            yield role, promql.selector(selector.metric, selector.where, spec.exchange)


def _absent(spec: Spec, slo: Slo, role: str, selector: str) -> Finding:
    if role == "bad":
        reason = f"{selector} has no series yet: right if nothing has ever gone wrong"
        return warning(_place(spec, slo), reason, "compare its labels with /metrics of a target")
    if role == "bucket":
        assert isinstance(slo.sli, Latency)
        reason = f"{slo.sli.histogram.metric} has no bucket at {promql.decimal(slo.sli.threshold_s)}s"
        return error(f"{_place(spec, slo)}.latency.threshold", reason, "write the bound of one of its buckets, or add the bucket")
    return error(_place(spec, slo), f"{selector} has no series in this Prometheus", "mend the name or `where`, or start the target")


def _scrapes(spec: Spec, slo: Slo, queries: Queries, at_s: float) -> Iterator[Finding]:
    first = next((selector for _, selector in _series_of(spec, slo)), "")
    if not first:
        return
    most = max((value for value in _values(queries.instant(f"max(count_over_time({first}[{SCRAPES_S}s]))", at_s))), default=0.0)
    if most and most < SLOWER * SCRAPES_S / spec.scrape_interval_s:
        reason = (
            f"{first} was scraped {most:g} times in 10 minutes, where {spec.scrape_interval_s}s mean {SCRAPES_S // spec.scrape_interval_s}"
        )
        yield warning(_place(spec, slo), reason, "write its true scrape_interval, unless the target has only just started")


def _answer(spec: Spec, slo: Slo, queries: Queries, at_s: float) -> Iterator[Finding]:
    """The SLI as the rules will evaluate it: one number from 0 to 1 for each group."""
    answer = queries.instant(_expression(spec, slo), at_s)
    place = _place(spec, slo)
    if not answer and slo.no_data is not NoData.IGNORE:
        yield error(place, "gives nothing at all", "run its expression in Prometheus: opsctl slo explain shows it")
    groups = [tuple(series.labels.get(label, "") for label in slo.group_by) for series in answer]
    if len(set(groups)) != len(groups):
        what = (
            f"several series for one of its groups ({', '.join(slo.group_by)})" if slo.group_by else "several series, but has no group_by"
        )
        yield error(place, f"gives {what}", "aggregate it, or name the labels in group_by")
    for label in slo.group_by:
        if answer and not any(series.labels.get(label) for series in answer):
            yield error(f"{place}.group_by", f"none of its series has the label {label}", "take it out, or mend its name")
    wrong = [value for value in _values(answer) if not 0 <= value <= 1]
    if wrong:
        yield error(place, f"gives {wrong[0]:g}, which is no share", "make it give 0 (all well) to 1")


def _expression(spec: Spec, slo: Slo) -> str:
    """Without series that only the loaded rules record: they may not be loaded yet."""
    if isinstance(slo.sli, Raw):
        return check.raw_expr(slo)
    expr = sli.bad_ratio(slo, spec.exchange, spec.scrape_interval_s)
    body, held, _ = expr.rpartition(f"\n) * scalar(group({names.SERIES_ZONE_SLICE}")
    return (body.removeprefix("(\n") if held else expr).replace(names.SERIES_CLOCK, "vector(time())")


def _values(answer: tuple[Series, ...]) -> list[float]:
    return [value for series in answer for _, value in series.points]


def _place(spec: Spec, slo: Slo) -> str:
    return f"{spec.path}:{slo.line}: {slo.name}.sli"
