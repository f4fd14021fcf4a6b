"""The alerts of a spec. Each is one rule for up to a hundred SLOs: `slo`, the SLO's groups, zone and hours are labels of what fires.

Speeds: the spike looks at the last slice every 20 s and pages within 45 s of a total outage; burn rates over two windows, of which the
short one ends the alert within its length after recovery; dollars weigh the zones by what a bad minute costs there. None has a `for`: a
change of zone is a change of labels and would start it anew. Whoever is not to be woken in a zone is not: `severity` of the zone's
terms is the most that an alert may be. Tickets keep firing until the hours in which they are delivered: else a night's would be gone.

A spike is judged by the zone in which the slice began, like every slice: an outage that ended before the open pages nobody at the open. It
does not see a ratio that is no number; the minute's slice does, as a bad one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

from ops import conventions as c
from ops.session import Hours, Zone
from ops.slo import alert_text, factors, promql, sli
from ops.slo.model import DEFAULT_POLICY, SLI_INTERVAL_S, VENUE_SLO, Events, Idle, Latency, Severity, Slo, Spec, Tier
from ops.slo.rulefile import Rule

SLOS_PER_FILE = 100
"""Prometheus writes the texts of each firing alert anew at every evaluation: tables of 1,000 texts in an outage of 1,000 SLOs would take it
longer than the interval. Fewer would make more rules, and promtool slower."""
FRESH_S = 2 * SLI_INTERVAL_S + 5
"""Two evaluations of the calendar, and something for its phase."""
MISSING_FOR_S = 60
COVERAGE_AT_LEAST = Fraction(99, 100)
COVERAGE_FOR_S = 4 * 3600
"""A month's first minutes are few: one that is late would be a gap."""
KEPT_BEYOND_MIN = 60
"""How long a night's ticket goes on after delivery has begun."""
BUDGET_TIER = "budget"
VENUE = f'{c.LABEL_SLO}="{VENUE_SLO}"'


def series_of(spec: Spec) -> Callable[..., str]:
    """`of(series, where)`: the venue's series of that name."""

    def of(series: str, where: str = "") -> str:
        return promql.selector(series, where, exchange=spec.exchange)

    return of


def fresh(spec: Spec, series: str) -> str:
    """The calendar's series as it is written now, valued by its time. Whoever was killed leaves no end marks: for five minutes Prometheus
    looks back at yesterday's labels beside today's, and at those of before it went away."""
    return f"(timestamp({series_of(spec)(series)}) > time() - {FRESH_S})"


def zone_slice(spec: Spec) -> str:
    """The zone of the present slice, to be joined to others: one series at most, worth 1. None in the minute after a start."""
    return f"(topk by (exchange) (1, {fresh(spec, c.SERIES_ZONE_SLICE)}) ^ 0)"


def kept_s(spec: Spec) -> int:
    """How long a ticket keeps firing: all the hours in which none is delivered, and one more."""
    start, end = spec.deliver_tickets
    return (1440 - (end - start) + KEPT_BEYOND_MIN) * 60


# Beside the SLIs


def at_once(spec: Spec, slos: Sequence[Slo]) -> Iterator[Rule]:
    """The alert of one shard, beside its SLIs."""
    if factors.spike_tier(spec) is not None:
        yield _spike(spec, slos)


def _spike(spec: Spec, slos: Sequence[Slo]) -> Rule:
    tier, of = factors.spike_tier(spec), series_of(spec)
    assert tier is not None
    now = of(c.SERIES_BAD_NOW, _any_of(slos))
    thresholds = {factors.spike_threshold(spec, terms) for policy in spec.policies for terms in policy.terms.values()} - {None}
    least = min(threshold for threshold in thresholds if threshold is not None)
    # The least threshold first: mostly nothing is left to be joined.
    return Rule(
        f"({now} >= {promql.decimal(least)})\n* on (exchange) group_left (zone, hours) {zone_slice(spec)}\n"
        f">= on (exchange, policy, zone) group_left () {of(c.SERIES_SPIKE)}",
        alert="SloSpike",
        labels=_labels(tier.severity, tier.name),
        keep_firing_for_s=kept_s(spec) if tier.severity is Severity.TICKET else 0,
        annotations={
            "summary": f"{alert_text.subject(slos)}: {{{{ $value | {alert_text.PERCENT} }}}} of the last slice was bad.",
            **_help(spec, slos, alert_text.spike_description(spec, slos)),
        },
    )


def _any_of(slos: Sequence[Slo]) -> str:
    names = "|".join(slo.name for slo in slos)
    return f'{c.LABEL_SLO}=~"{names}"' if len(slos) > 1 else f'{c.LABEL_SLO}="{names}"'


def _help(spec: Spec, slos: Sequence[Slo], description: str) -> dict[str, str]:
    """What to do, where to read on, and how bad it is."""
    return {
        "first_action": alert_text.first_action(slos),
        "runbook": alert_text.runbook(spec, slos),
        "description": description,
        **({"worst": worst} if (worst := alert_text.worst(spec, slos)) else {}),
    }


# Burn rates and dollars


def burning(spec: Spec, slos: Sequence[Slo]) -> Iterator[Rule]:
    """The alerts of up to `SLOS_PER_FILE` SLOs on what has been summed."""
    for tier in spec.tiers:
        if tier.bad_share is None:
            yield from _burn(spec, slos, tier)


def losing(spec: Spec) -> Iterator[Rule]:
    """The alerts of the group of the windows: of the venue as a whole."""
    yield _missing(spec)
    yield from _loss(spec)
    yield _maintenance(spec)


def _burn(spec: Spec, slos: Sequence[Slo], tier: Tier) -> Iterator[Rule]:
    of_zones = {terms.severity for policy in spec.policies for terms in policy.terms.values()}
    if tier.severity is Severity.PAGE:
        wanted = [(severity, f'severity="{severity}"') for severity in (Severity.PAGE, Severity.TICKET) if severity in of_zones]
    elif tier.severity is Severity.TICKET and of_zones != {Severity.NONE}:
        wanted = [(Severity.TICKET, f'severity!="{Severity.NONE}"')]
    else:
        return
    for severity, where in wanted:
        yield _burn_rule(spec, slos, tier, severity, where)


def _burn_rule(spec: Spec, slos: Sequence[Slo], tier: Tier, severity: Severity, where: str) -> Rule:
    of = series_of(spec)
    long, short = promql.name_of(tier.long_s), promql.name_of(tier.short_s)
    return Rule(
        f"({_both_burn(spec, slos, tier)})\n* on (exchange, hours) group_left (zone) {zone_slice(spec)}\n"
        f"and on (exchange, policy, zone) {of(c.SERIES_SEVERITY, where)}",
        alert=f"Slo{tier.name.replace('-', ' ').title().replace(' ', '')}Burn",
        labels=_labels(severity, tier.name),
        keep_firing_for_s=kept_s(spec) if severity is Severity.TICKET else 0,
        annotations={
            "summary": f"{alert_text.subject(slos)}: its error budget burns {{{{ $value | {alert_text.TIMES} }}}} "
            f"as fast as it may, over {long} and over {short}.",
            **_help(spec, slos, alert_text.burn_description(spec, slos, tier)),
        },
    )


def _both_burn(spec: Spec, slos: Sequence[Slo], tier: Tier) -> str:
    """Over the long window enough is burnt, over the short one it still burns."""
    of = series_of(spec)
    series = [f"{c.SERIES_BURN_RATE}:{promql.name_of(seconds)}" for seconds in (tier.long_s, tier.short_s)]
    pairs = [
        " and ".join(f"{of(name, _any_of(slos) + hours)} >= {promql.decimal(factor)}" for name in series)
        for hours, factor in _thresholds(spec, tier).items()
    ]
    return "\nor ".join(pairs)


def _thresholds(spec: Spec, tier: Tier) -> Mapping[str, Fraction]:
    """Factors by what is added to a selector: one for all hours, or, derived from a share of the month's budget, one for each."""
    if tier.factor is not None:
        return {"": tier.factor}
    average = factors.average_month(spec.calendar)
    found = {hours: factors.factor(tier, average, hours) for hours in Hours if average.get(hours)}
    return {f',{c.LABEL_HOURS}="{hours}"': factor for hours, factor in found.items()}


def _missing(spec: Spec) -> Rule:
    """Once a minute, not oftener: naming every SLO costs more than looking at it."""
    expected = [_expected(spec, slo) for slo in spec.slos]
    return Rule(
        f"(\n{_union(expected)}\n)\nunless on (slo) {series_of(spec)(c.SERIES_BAD_NOW)}",
        alert="SloMissing",
        labels={"exchange": spec.exchange, **_labels(Severity.TICKET, "missing")},
        for_s=MISSING_FOR_S,
        keep_firing_for_s=kept_s(spec),
        annotations={
            "summary": "{{ $labels.slo }} of {{ $labels.exchange }} is not measured: its series are missing, or its rule fails.",
            "first_action": f"Query {c.SERIES_BAD_NOW} and look at the rules and targets pages of Prometheus, then at its log.",
            "runbook": alert_text.runbook(spec, spec.slos),
        },
    )


def _union(parts: Sequence[str]) -> str:
    """Of parts that exclude one another. In tens of tens: a chain of `or` compares each part with all before it."""
    while len(parts) > 10:
        parts = ["(" + "\nor ".join(parts[start : start + 10]) + ")" for start in range(0, len(parts), 10)]
    return "\nor ".join(parts)


def _expected(spec: Spec, slo: Slo) -> str:
    """1 while the SLO should have a badness. One that ignores idle slices should only while its series are missing altogether."""
    series = sli.present(slo, spec.exchange)
    ignores = slo.idle is Idle.IGNORE and isinstance(slo.sli, Events | Latency)
    return f'label_replace({f"absent(sum({series}))" if ignores else "vector(1)"}, "slo", "{slo.name}", "", "")'


def _loss(spec: Spec) -> Iterator[Rule]:
    """Dollars of the present hours: what the night has cost pages nobody at the open."""
    of, money = series_of(spec), spec.money
    hour = money.budget_usd_per_month * money.page_share
    burnt = f"{_lost(spec, 3600)} >= {promql.decimal(hour)}\nand {_lost(spec, 300)} >= {promql.decimal(hour * 5 / 60)}"
    for severity in (Severity.PAGE, Severity.TICKET):
        if not any(terms.severity is severity for terms in spec.default.terms.values()):
            continue
        where = f'policy="{DEFAULT_POLICY}",severity="{severity}"'
        yield Rule(
            f"({burnt})\n* on (exchange, hours) group_left (zone) {zone_slice(spec)}\n"
            f"and on (exchange, zone) {of(c.SERIES_SEVERITY, where)}",
            alert="PnlBudgetFastBurn",
            labels={c.LABEL_SLO: VENUE_SLO, **_labels(severity, BUDGET_TIER)},
            keep_firing_for_s=kept_s(spec) if severity is Severity.TICKET else 0,
            annotations={
                "summary": f"{{{{ $labels.exchange }}}} lost ${{{{ $value | {alert_text.USD} }}}} within the hour, and goes on losing.",
                "first_action": "opsctl budget names the SLO that loses it; act by that SLO's runbook.",
                "runbook": f"{spec.runbook_base}runbooks/pnl-budget-fast-burn.md",
                "description": f"{alert_text.WHERE_ZONE} {_left(spec)}",
            },
        )


def _lost(spec: Spec, seconds: int) -> str:
    of = series_of(spec)
    bad = f"sum_over_time({of(c.SERIES_BAD_SLICE, VENUE)}[{promql.window(seconds)}])"
    return f"sum by (exchange, hours) ({bad} * on (exchange, policy, zone) group_left () {of(c.SERIES_COST)})"


def _maintenance(spec: Spec) -> Rule:
    return Rule(
        series_of(spec)(c.SERIES_ZONE_NOW, f'zone="{int(Zone.MAINTENANCE)}"'),
        alert="MaintenanceWindow",
        labels=_labels(Severity.NONE, "maintenance"),
        annotations={
            "summary": "{{ $labels.exchange }} is in its maintenance window.",
            "first_action": "None: this alert only holds others back.",
            "runbook": f"{spec.runbook_base}runbooks/maintenance-window.md",
        },
    )


# The month, every five minutes


def spending(spec: Spec) -> Iterator[Rule]:
    """The alerts of the group of the month."""
    of, budget = series_of(spec), spec.money.budget_usd_per_month
    left, frozen = of(c.SERIES_BUDGET_REMAINING), of(c.SERIES_CHANGE_FREEZE)
    slices, coverage = of(c.SERIES_SLICES_MONTH), of(c.SERIES_COVERAGE)
    yield _ticket(
        spec,
        "PnlBudgetHalfSpent",
        f"{left} <= {promql.decimal(budget * (1 - spec.money.ticket_share))}",
        f"{{{{ $labels.exchange }}}} has ${{{{ $value | {alert_text.USD} }}}} left of this month's {alert_text.usd(spec)}.",
        "opsctl budget; agree on what is released and what waits for the rest of the month.",
        slo=True,
    )
    yield _ticket(
        spec,
        "ChangeFreeze",
        f"{frozen} == 1",
        f"{{{{ $labels.exchange }}}} has spent this month's {alert_text.usd(spec)}: no change but repairs until the month ends.",
        "opsctl budget; stop pipelines that are not repairs.",
        slo=True,
    )
    yield _ticket(
        spec,
        "SloCoverageGap",
        f"{coverage} < {promql.decimal(COVERAGE_AT_LEAST)}",
        f"Only {{{{ $value | {alert_text.PERCENT} }}}} of this month's minutes of {{{{ $labels.exchange }}}} were measured: its budgets "
        "look better than they are.",
        "Look for gaps of Prometheus or of the targets in this month.",
        for_s=COVERAGE_FOR_S,
    )
    yield _ticket(
        spec,
        "SloHistoryLost",
        f"{slices} < {slices} offset 1h",
        "{{ $labels.exchange }} has fewer measured minutes of this month than an hour ago: Prometheus drops what the month still needs.",
        "Set --storage.tsdb.retention.time of Prometheus to 40d or more, and any limit of size accordingly.",
    )


def _ticket(spec: Spec, name: str, expr: str, summary: str, first_action: str, *, for_s: int = 0, slo: bool = False) -> Rule:
    page = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
    return Rule(
        expr,
        alert=name,
        labels={**({c.LABEL_SLO: VENUE_SLO} if slo else {}), **_labels(Severity.TICKET, BUDGET_TIER if slo else "coverage")},
        for_s=for_s,
        keep_firing_for_s=0 if slo else kept_s(spec),  # money is spent until the month ends, and not a minute longer
        annotations={
            "summary": summary,
            "first_action": first_action,
            "runbook": f"{spec.runbook_base}runbooks/{page}.md",
            "description": _left(spec),
        },
    )


def _left(spec: Spec) -> str:
    """How the month stands, whatever the alert's own figure is."""
    left = alert_text.figure(series_of(spec)(c.SERIES_BUDGET_REMAINING), "", alert_text.USD, "$")
    return f"Left of this month's {alert_text.usd(spec)}: {left}."


def _labels(severity: Severity, tier: str) -> dict[str, str]:
    return {c.LABEL_SEVERITY: severity, c.LABEL_TIER: tier}
