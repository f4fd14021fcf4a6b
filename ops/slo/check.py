"""All that can be said of SLOs without a Prometheus: `opsctl slo check`. Pure but for reading the declared files.

First each spec as it stands, then its numbers (factors), then what would be generated from it: a rule that loads can still be silent for
ever, and only the rules together show that. `--live` adds what only the Prometheus knows (check_live.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine import conventions as venue
from ops import conventions as names
from ops.session import Zone
from ops.slo import factors, parse, promql
from ops.slo.findings import Finding, Level, error, of_error, warning
from ops.slo.model import Events, Freshness, Latency, Probe, Raw, Selector, Severity, Slo, Spec, Threshold
from ops.slo.rulefile import RuleFile

if TYPE_CHECKING:
    from ops.slo.check_rules import Located

DAY_S = 86400
BUCKETS = {venue.ORDER_ACK_SECONDS: venue.ORDER_ACK_BUCKETS_S, venue.MARKET_DATA_AGE_SECONDS: venue.MARKET_DATA_AGE_BUCKETS_S}
"""Of the histograms that this toolkit's venue shows; those of others are looked at by `--live`."""
_RISKY = re.compile(r'(?:=~|!~)\s*"(?:[^"\\\n]|\\.)*"|(?:!=|=)\s*"[^"\\\n]*\\(?:[^"\\\n]|\\.)*"')
"""Matchers that can be wrong although they look right: regular expressions, and escapes that PromQL does not know."""
Rules = Callable[[Spec], tuple[RuleFile, ...]]


@dataclass(frozen=True, slots=True)
class Cost:
    """What the generated rules of one venue ask of its Prometheus: an estimate from intervals and windows, per SLO."""

    exchange: str
    slos: int
    rules_per_slo: float
    series_per_slo: float
    samples_per_minute_per_slo: float
    retention_s: int
    """How far back the rules read; the Prometheus must keep a day more."""

    @property
    def retention_days(self) -> int:
        return -(-self.retention_s // DAY_S) + 1


@dataclass(frozen=True, slots=True)
class Report:
    specs: tuple[Spec, ...]
    """Those that could be read."""
    findings: tuple[Finding, ...]
    costs: tuple[Cost, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level is Level.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level is Level.WARNING)


def run(declared: Path, runbooks: Path, rules: Rules | None) -> Report:
    """Everything about the specs of a folder. `rules` gives what would be generated; without it only what people write is looked at, which
    is quick. Raises UsageError when no spec is there."""
    readings = [parse.read(path) for path in parse.paths(declared)]
    specs = tuple(reading.spec for reading in readings if reading.spec is not None)
    found = [of_error(problem) for reading in readings for problem in reading.errors]
    clash = parse.same_venue(specs)
    if clash is not None:
        found.append(of_error(clash))
    costs = []
    if rules is not None:
        from ops.slo import check_rules  # noqa: PLC0415 - only those who read rules pay for it
    for reading in readings:
        spec = reading.spec
        if spec is None:
            continue
        found += in_spec(spec, runbooks, reading.lines)
        if rules is None:
            continue
        located = check_rules.locate(rules(spec))
        found += check_rules.findings(located, known_metrics(spec))
        costs.append(cost(spec, located))
    return Report(specs, tuple(sorted(set(found), key=lambda one: (one.level, one.place, one.reason))), tuple(costs))


def in_spec(spec: Spec, runbooks: Path, lines: Mapping[str, int]) -> Iterator[Finding]:
    """What one spec says that cannot be right, although each setting alone can. `lines` are those of `parse.Reading`."""
    yield from _factors(spec, lines)
    there = {f"runbooks/{path.relative_to(runbooks).as_posix()}" for path in runbooks.glob("**/*.md")}
    for slo in spec.slos:
        yield from _selectors(spec, slo)
        yield from _buckets(spec, slo)
        yield from _runbook(spec, slo, there)
        yield from _words(spec, slo)
    if spec.calendar.volatility is None and spec.default.terms[Zone.VOLATILE] != spec.default.terms[Zone.REGULAR]:
        reason = f"has terms of its own, but the calendar {spec.calendar.name} has no volatility: all trading is zone 2"
        yield warning(
            f"{spec.path}:{lines.get('zones.1', 1)}: zones.1", reason, "write volatility into the calendar, or the terms of zone 2"
        )


def known_metrics(spec: Spec) -> frozenset[str]:
    """Series that no rule records and that are still there: the venue's, the splitter's, and what the SLIs and the calendar declare."""
    own = {value for name, value in vars(venue).items() if name.isupper() and isinstance(value, str) and promql.is_metric(value)}
    found = {"up", names.SERIES_ZONE_OVERRIDE, *own}
    for slo in spec.slos:
        for selector in selectors(slo):
            found.add(selector.metric)
        if isinstance(slo.sli, Latency):
            found.update(f"{slo.sli.histogram.metric}{suffix}" for suffix in ("_bucket", "_count", "_sum"))
        if isinstance(slo.sli, Raw):
            found |= promql.read(raw_expr(slo)).metrics
    if spec.calendar.volatility is not None:
        found.add(spec.calendar.volatility.metric)
    return frozenset(found)


def selectors(slo: Slo) -> tuple[Selector, ...]:
    """What an SLI declares that it reads; () for raw."""
    match slo.sli:
        case Events(total, bad, good):
            return tuple(part for part in (total, bad, good) if part is not None)
        case Latency(histogram):
            return (histogram,)
        case Freshness(timestamp):
            return (timestamp,)
        case Probe(metric) | Threshold(metric):
            return (metric,)
        case Raw():
            return ()


def raw_expr(slo: Slo) -> str:
    """The expression of a raw SLI with the slice as its window."""
    assert isinstance(slo.sli, Raw), slo.name
    return slo.sli.bad_ratio.replace("{{window}}", promql.name_of(slo.slice_s))


def cost(spec: Spec, located: Iterable[Located]) -> Cost:
    """Samples: for each selector its window over the interval at which its series are written, times the series that it meets."""
    rules = tuple(located)
    slos = len(spec.slos)
    written_s = {one.rule.record: one.interval_s for one in rules if one.rule.record}
    samples = sum(
        60 / one.interval_s * _series(spec, ref) * ref.times * max(ref.window_s // written_s.get(ref.metric, spec.scrape_interval_s), 1)
        for one in rules
        for ref in one.reading.references
    )
    series = slos + sum(_named(spec, record) for record in written_s if record != names.SERIES_BAD_NOW)
    back_s = max((one.reading.back_s for one in rules), default=0)
    return Cost(spec.exchange, slos, round(len(rules) / slos, 2), round(series / slos, 1), round(samples / slos), back_s)


def _series(spec: Spec, ref: promql.Reference) -> int:
    """How many series a selector meets at a time, when no SLO is grouped."""
    chosen = next((matcher.value for matcher in ref.matchers if matcher.label == names.LABEL_SLO and matcher.op in ("=", "=~")), None)
    return _named(spec, ref.metric) if chosen is None else chosen.count("|") + 1


def _named(spec: Spec, metric: str) -> int:
    if metric.startswith("slo:"):
        return len(spec.slos) + 1
    return len(spec.policies) * len(Zone) if metric.startswith("slo_policy:") else 1


def _factors(spec: Spec, lines: Mapping[str, int]) -> Iterator[Finding]:
    owners = {slo.name: slo for slo in spec.slos}
    for fault in factors.faults(spec):
        slo, zone = owners.get(fault.policy), int(fault.zone)
        field = slo.name if slo else f"alerts.{fault.tier}" if f"alerts.{fault.tier}" in lines else f"zones.{zone}"
        line = slo.line if slo else lines.get(field, 1)
        yield error(f"{spec.path}:{line}: {field}", f"alert {fault.tier} in zone {zone} {fault.reason}", fault.instead)


def _selectors(spec: Spec, slo: Slo) -> Iterator[Finding]:
    place = f"{spec.path}:{slo.line}: {slo.name}.sli"
    if isinstance(slo.sli, Raw):
        reading = promql.read(raw_expr(slo))
        if reading.error:
            yield error(place, f"bad_ratio is not PromQL: {reading.error}", "mend the expression; {{window}} stands for the slice's length")
        elif any(ref.window_s > slo.slice_s for ref in reading.references):
            yield warning(place, "looks further back than its slice, so that a bad minute counts several times", "write [{{window}}]")
        return
    for selector in selectors(slo):
        for matcher in _RISKY.findall(selector.where):
            if problem := _matcher_error(matcher):
                yield error(place, f"{selector.metric}{{{selector.where}}} is not PromQL: {problem}", "mend `where`")
    if isinstance(slo.sli, Events) and not slo.sli.total.metric.endswith(("_total", "_count", "_bucket")):
        reason = f"{slo.sli.total.metric} does not look like a counter: its increase would mean nothing"
        yield warning(place, reason, "name a counter (_total, _count), or use threshold or probe")


@lru_cache(maxsize=4096)
def _matcher_error(matcher: str) -> str:
    return promql.read(f"x{{a{matcher}}}").error


def _buckets(spec: Spec, slo: Slo) -> Iterator[Finding]:
    if not isinstance(slo.sli, Latency) or slo.sli.histogram.metric not in BUCKETS:
        return
    buckets = BUCKETS[slo.sli.histogram.metric]
    bound = float(slo.sli.threshold_s)
    if bound not in buckets:
        near = min(buckets, key=lambda le: abs(le - bound))
        reason = f"{slo.sli.histogram.metric} has no bucket at {bound:g}s: the SLI would be missing for ever"
        yield error(f"{spec.path}:{slo.line}: {slo.name}.sli.latency.threshold", reason, f"write {near * 1000:g}ms, or add the bucket")


def _runbook(spec: Spec, slo: Slo, there: set[str]) -> Iterator[Finding]:
    if slo.runbook and "://" not in slo.runbook and slo.runbook not in there:
        place = f"{spec.path}:{slo.line}: {slo.name}.runbook"
        yield warning(place, f"{slo.runbook} is not there", "opsctl slo generate writes a stub of it; fill it in")


def _words(spec: Spec, slo: Slo) -> Iterator[Finding]:
    place = f"{spec.path}:{slo.line}: {slo.name}"
    told = any(terms.severity is not Severity.NONE for terms in slo.policy.terms.values())
    for field, value in (("description", slo.description), ("owner", slo.owner)):
        if told and not value:
            yield warning(f"{place}.{field}", "is empty: who is called does not know what is promised, or to whom", f"write {field}")
