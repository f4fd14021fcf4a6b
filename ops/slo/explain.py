"""One SLO in plain words: what is measured, what is promised, what a month allows in minutes and dollars, and when each alert speaks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ops.session import Zone
from ops.slo import factors, promql
from ops.slo.factors import Firing, ZoneBudget, share
from ops.slo.model import Events, Freshness, Idle, Latency, NoData, Probe, Raw, Selector, Severity, Sli, Slo, Spec, Threshold

ZONE_NAMES = {
    Zone.VOLATILE: "trading, volatile",
    Zone.REGULAR: "trading",
    Zone.EXTENDED: "not trading",
    Zone.MAINTENANCE: "maintenance",
}
_MISSING = {
    NoData.BAD: "When its series are missing, the time counts as bad.",
    NoData.GOOD: "When its series are missing, the time counts as good.",
    NoData.IGNORE: "When its series are missing, nothing is counted; coverage shows the gap.",
}
_IDLE = {Idle.GOOD: "counts as good", Idle.BAD: "counts as bad", Idle.IGNORE: "is not counted"}


@dataclass(frozen=True, slots=True)
class Explanation:
    slo: str
    exchange: str
    description: str
    measured: str
    missing: str
    month: str
    """YYYY-MM, local."""
    budgets: tuple[ZoneBudget, ...]
    alerts: tuple[str, ...]
    firings: tuple[Firing, ...]
    first_action: str
    runbook: str


def explain(spec: Spec, slo: Slo, year: int, month: int) -> Explanation:
    """Everything about one SLO in one local calendar month."""
    firings = factors.firings(spec, slo.policy, slo.slice_s)
    return Explanation(
        slo=slo.name,
        exchange=spec.exchange,
        description=slo.description,
        measured=measured(slo),
        missing=missing(slo),
        month=f"{year:04d}-{month:02d}",
        budgets=factors.budgets(spec.calendar, slo.policy, year, month),
        alerts=tuple(sentence(firing, slo) for firing in firings),
        firings=firings,
        first_action=slo.first_action,
        runbook=spec.runbook_base + slo.runbook if slo.runbook and "://" not in slo.runbook else slo.runbook,
    )


def measured(slo: Slo) -> str:
    """'Of each minute, the share of ... is bad.'"""
    apart = f", for each {' and '.join(slo.group_by)} apart" if slo.group_by else ""
    return f"Of each {promql.name_of(slo.slice_s)}, what is bad{apart}: {_what(slo.sli)}."


def missing(slo: Slo) -> str:
    """What no data and too little traffic are worth."""
    told = _MISSING[slo.no_data]
    if slo.minimum_events:
        events = "event" if slo.minimum_events == 1 else "events"
        told += f" A slice with fewer than {slo.minimum_events} {events} {_IDLE[slo.idle]}."
    return told


def sentence(firing: Firing, slo: Slo) -> str:
    """One alert in one zone."""
    what = f"zone {int(firing.zone)} ({ZONE_NAMES[firing.zone]}): {firing.tier.name} {_verb(firing.severity)}"
    if firing.tier.bad_share is not None:
        when = f"when {share(firing.factor)} of the last {promql.name_of(slo.slice_s)} is bad"
    else:
        long, short = promql.name_of(firing.tier.long_s), promql.name_of(firing.tier.short_s)
        when = f"when the budget burns {_short(firing.factor)} times too fast over {long} and over {short}"
    return f"{what} {when}; after a total outage of {duration(firing.earliest_s)}, at the latest {duration(firing.latest_s)}."


def duration(seconds: Fraction) -> str:
    """To the second, upwards: 50.4 -> '51s', 3661 -> '1h1m1s'."""
    whole = -(-seconds.numerator // seconds.denominator)
    return promql.name_of(whole) if whole else "0s"


def _verb(severity: Severity) -> str:
    return {Severity.PAGE: "pages", Severity.TICKET: "opens a ticket"}.get(severity, "is silent")


def _short(value: Fraction) -> str:
    return f"{float(value):.4g}"


def _what(indicator: Sli) -> str:
    return _counted(indicator) if isinstance(indicator, Events | Latency) else _seen(indicator)


def _counted(indicator: Events | Latency) -> str:
    if isinstance(indicator, Latency):
        return f"the share of observations of {_series(indicator.histogram)} above {_bound(indicator.threshold_s)}"
    total = f"the share of events of {_series(indicator.total)} that"
    if indicator.bad is not None:
        return f"{total} {_series(indicator.bad)} counts"
    assert indicator.good is not None, indicator
    return f"{total} {_series(indicator.good)} does not count"


def _seen(indicator: Freshness | Probe | Threshold | Raw) -> str:
    match indicator:
        case Freshness(timestamp, threshold_s):
            return f"all of it while {_series(timestamp)} is older than {_bound(threshold_s)}"
        case Probe(metric):
            return f"the share of it in which {_series(metric)} is not 1"
        case Threshold(metric, above, below):
            side, bound = ("below", below) if above is None else ("above", above)
            assert bound is not None, indicator
            return f"all of it when {_series(metric)} was {side} {promql.decimal(bound)} at any time"
        case Raw(bad_ratio):
            return f"the value of {bad_ratio}"


def _series(selector: Selector) -> str:
    return promql.selector(selector.metric, selector.where)


def _bound(seconds: Fraction) -> str:
    return f"{promql.decimal(seconds)} s" if seconds >= 1 else f"{promql.decimal(seconds * 1000)} ms"
