"""The month so far: what each SLO was allowed, what it spent, what is left, in minutes and in dollars. Exact arithmetic on recorded series.

A budget is (1 - objective) x the minutes of the zone in this local calendar month. The calendar says how many minutes are regular, extended
and maintenance hours. It cannot say which regular minutes are zone 1 and which zone 2: the volatility of the day decides. So regular
minutes, past and to come, are divided as the slices recorded this month were; while none is recorded they are unknown, or, before the first
session of the month, all zone 2. Both zones then forecast alike, and their minutes always add up to the calendar's.

The forecast is what was spent per in-zone minute so far, kept up to the end of the month; a zone that has not begun is forecast clean.
What is not recorded is None, "unknown", never zero: no series of an SLO in a zone that has had minutes means that nobody measured it.
An ad-hoc closure or a drill (the override series) changes the zone of slices, not the calendar's minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ops import conventions as names
from ops.ports import Queries, Series
from ops.session import Calendar, Hours, Zone
from ops.slo.model import VENUE_SLO, Policy, Spec

COVERAGE_FLOOR = Fraction(99, 100)
RECENT = "[10m]"
"""The month's rules run every 5 minutes; twice that is kept, so that one late run does not make a figure unknown."""
CURVE_POINTS = 500
NAMED = 4
"""SLOs that a warning names; the table shows all."""
_BOOKKEEPING = frozenset({"__name__", "exchange", *names.RESERVED_LABELS})

RELEASE_POLICY: tuple[tuple[Fraction, str], ...] = (
    (Fraction(1), "only fixes, rollback, flag-off"),
    (Fraction(80, 100), "canary or flag only"),
    (Fraction(70, 100), "no full-traffic release"),
    (Fraction(0), "all"),
)
"""What may be released once this share of a budget is spent (row O14); strictest first. Rollback and flag-off are always allowed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What Prometheus holds of this month. Exact values of what it sent; None or no entry: it has no such series."""

    at_s: float
    bad_minutes: Mapping[tuple[str, str, Zone], Fraction]
    """By SLO, group ('gateway=gateway-1', or '' when the SLO has none) and zone."""
    slices: Mapping[Zone, Fraction]
    """How many are recorded, by zone."""
    loss_usd: Mapping[tuple[str, str], Fraction]
    """By SLO and group."""
    remaining_usd: Fraction | None
    frozen: bool | None
    coverage: Fraction | None
    zone: Zone | None = None
    """Of this moment, as the rules say it: with volatility, and any override."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """Of one zone in this month. None: how regular hours divide is not known."""

    elapsed: Fraction | None
    total: Fraction | None


@dataclass(frozen=True, slots=True)
class Line:
    """One SLO (of one group) in one zone."""

    slo: str
    group: str
    zone: Zone
    objective: Fraction
    bad_minutes: Fraction | None
    budget_minutes: Fraction | None
    wall_clock_minutes: Fraction
    """What the budget would be if every minute of the month counted: for comparison with other tools only."""
    forecast_minutes: Fraction | None
    availability: Fraction | None
    """Of the slices recorded in this zone."""
    loss_usd: Fraction | None

    @property
    def spent(self) -> Fraction | None:
        """Share of the budget. None when it is unknown, or when there is no budget to spend and nothing was."""
        return _share(self.bad_minutes, self.budget_minutes)

    @property
    def left(self) -> Fraction | None:
        """Share of the budget; below zero when it is overspent."""
        return None if self.spent is None else 1 - self.spent

    @property
    def releases(self) -> str | None:
        return None if self.spent is None else releases(self.spent)


@dataclass(frozen=True, slots=True)
class Dollars:
    """The venue's budget of the month."""

    budget_usd: Fraction
    spent_usd: Fraction | None
    forecast_usd: Fraction | None
    frozen: bool | None

    @property
    def remaining_usd(self) -> Fraction | None:
        return None if self.spent_usd is None else self.budget_usd - self.spent_usd

    @property
    def spent(self) -> Fraction | None:
        return _share(self.spent_usd, self.budget_usd)

    @property
    def releases(self) -> str | None:
        return None if self.spent is None else releases(self.spent)


@dataclass(frozen=True, slots=True)
class Report:
    """`lines` hold every SLO, group and zone that has minutes this month, in the spec's order; `venue` the venue's own, one per zone."""

    exchange: str
    month: str
    """'2026-11', the venue's local month."""
    timezone: str
    start_s: int
    end_s: int
    at_s: float
    zone: Zone
    """Of this moment, as recorded; else by the calendar, the stricter one where volatility decides."""
    dollars: Dollars
    venue: tuple[Line, ...]
    lines: tuple[Line, ...]
    minutes: Mapping[Zone, Minutes]
    coverage: Fraction | None
    warnings: tuple[str, ...]

    def of(self, slo: str) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.slo == slo)


def releases(spent: Fraction) -> str:
    """What may be released when this share of a budget is spent."""
    return next(words for least, words in RELEASE_POLICY if spent >= least or least == 0)


def strictest(lines: Iterable[Line]) -> str | None:
    """The policy of the line that has spent most; None when none is known."""
    known = [line.spent for line in lines if line.spent is not None]
    return releases(max(known)) if known else None


def worst(lines: Iterable[Line]) -> Line | None:
    """The line with the least left, then with the most bad minutes; an unknown one only when all are."""
    return max(lines, key=lambda line: (line.spent is not None, line.spent or 0, line.bad_minutes or 0), default=None)


def read(queries: Queries, spec: Spec, at_s: float) -> Facts:
    """Asks for the month's recorded series. Raises MetricsUnavailable."""
    start_s, _ = month_bounds(spec.calendar, at_s)
    month = spec.calendar.to_local(start_s).strftime("%Y%m")

    def ask(name: str) -> list[tuple[Mapping[str, str], Fraction]]:
        found = queries.instant(f'last_over_time({name}{{exchange="{spec.exchange}"}}{RECENT})', at_s)
        return [(s.labels, Fraction(s.points[-1][1])) for s in found if _usable(s, month)]

    bad: dict[tuple[str, str, Zone], Fraction] = {}
    for labels, value in ask(names.SERIES_BAD_MONTH):
        zone = _zone(labels)
        if zone is not None:
            bad[labels.get(names.LABEL_SLO, ""), group_of(labels), zone] = value
    # Counted from the venue's slices themselves: the recorded count of the month is not by zone. One SLO's month is 45,000 samples.
    venue = f'{names.SERIES_BAD_SLICE}{{exchange="{spec.exchange}",slo="{VENUE_SLO}",month="{month}"}}'
    counts = queries.instant(f"sum by (zone) (count_over_time({venue}[{max(1, int(at_s - start_s))}s]))", at_s)
    slices = {zone: Fraction(s.points[-1][1]) for s in counts if (zone := _zone(s.labels)) is not None and _usable(s, month)}
    losses = {(labels.get(names.LABEL_SLO, ""), group_of(labels)): value for labels, value in ask(names.SERIES_LOSS_MONTH)}
    frozen = _single(ask(names.SERIES_CHANGE_FREEZE))
    remaining, coverage = _single(ask(names.SERIES_BUDGET_REMAINING)), _single(ask(names.SERIES_COVERAGE))
    number = _single(ask(names.SERIES_ZONE_NUMBER))
    now = Zone(int(number)) if number in {int(zone) for zone in Zone} else None
    return Facts(at_s, bad, slices, losses, remaining, None if frozen is None else frozen > 0, coverage, now)


def spent_curve(queries: Queries, spec: Spec, at_s: float) -> tuple[tuple[float, float], ...]:
    """Dollars lost since the month began, over time: (Unix seconds, dollars). Raises MetricsUnavailable."""
    start_s, _ = month_bounds(spec.calendar, at_s)
    step_s = 300.0 * max(1, math.ceil((at_s - start_s) / 300 / CURVE_POINTS))
    month = spec.calendar.to_local(start_s).strftime("%Y%m")
    query = f'{names.SERIES_LOSS_MONTH}{{exchange="{spec.exchange}",slo="{VENUE_SLO}"}}'
    found = [series for series in queries.range(query, start_s, at_s, step_s) if series.labels.get(names.LABEL_MONTH, month) == month]
    return tuple(sorted(point for series in found for point in series.points if math.isfinite(point[1])))


def report(spec: Spec, facts: Facts) -> Report:
    """All figures of the month, for every SLO of the spec."""
    calendar = spec.calendar
    start_s, end_s = month_bounds(calendar, facts.at_s)
    minutes = zone_minutes(calendar, facts.at_s, facts.slices)
    whole = Fraction(end_s - start_s, 60)
    groups = {slo.name: sorted({group for name, group, _ in facts.bad_minutes if name == slo.name}) or [""] for slo in spec.slos}
    zones = [zone for zone in Zone if minutes[zone].total != 0 or any(key[2] is zone for key in facts.bad_minutes)]

    def line(slo: str, group: str, policy: Policy, zone: Zone) -> Line:
        return _line(slo, group, policy, zone, facts, minutes[zone], whole)

    venue = tuple(line(VENUE_SLO, "", spec.default, zone) for zone in zones)
    lines = tuple(line(slo.name, group, slo.policy, zone) for slo in spec.slos for group in groups[slo.name] for zone in zones)
    return Report(
        exchange=spec.exchange,
        month=calendar.to_local(start_s).strftime("%Y-%m"),
        timezone=calendar.timezone,
        start_s=start_s,
        end_s=end_s,
        at_s=facts.at_s,
        zone=facts.zone or calendar.zone_at(facts.at_s),
        dollars=_dollars(spec, facts, venue),
        venue=venue,
        lines=lines,
        minutes=minutes,
        coverage=facts.coverage,
        warnings=tuple(_warnings(facts, lines)),
    )


def month_bounds(calendar: Calendar, at_s: float) -> tuple[int, int]:
    """Start and end (excluded) of the local month of a Unix time."""
    local = calendar.to_local(at_s)
    return calendar.month_bounds(local.year, local.month)


def zone_minutes(calendar: Calendar, at_s: float, slices: Mapping[Zone, Fraction]) -> Mapping[Zone, Minutes]:
    """Minutes so far and in all, per zone; regular hours are divided as `slices` are (see the module's note)."""
    start_s, end_s = month_bounds(calendar, at_s)
    elapsed, total = _hours(calendar, start_s, int(at_s)), _hours(calendar, start_s, end_s)
    volatile = _volatile_share(calendar, elapsed[Hours.REGULAR], slices)
    found = {zone: Minutes(elapsed[zone.hours], total[zone.hours]) for zone in (Zone.EXTENDED, Zone.MAINTENANCE)}
    for zone in (Zone.VOLATILE, Zone.REGULAR):
        if volatile is None:
            found[zone] = Minutes(None, None)
        else:
            share = volatile if zone is Zone.VOLATILE else 1 - volatile
            found[zone] = Minutes(share * elapsed[Hours.REGULAR], share * total[Hours.REGULAR])
    return found


def group_of(labels: Mapping[str, str]) -> str:
    """The SLO's own labels of a recorded series, as one text: 'feed=a gateway=gateway-1'."""
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in _BOOKKEEPING)


def _hours(calendar: Calendar, start_s: int, end_s: int) -> Mapping[Hours, Fraction]:
    minutes = dict.fromkeys(Hours, Fraction(0))
    for since_s, until_s, zone in calendar.spans(start_s, end_s):
        minutes[zone.hours] += Fraction(until_s - since_s, 60)
    return minutes


def _volatile_share(calendar: Calendar, elapsed: Fraction, slices: Mapping[Zone, Fraction]) -> Fraction | None:
    high, low = slices.get(Zone.VOLATILE, Fraction(0)), slices.get(Zone.REGULAR, Fraction(0))
    if high + low > 0:
        return high / (high + low)
    return Fraction(0) if calendar.volatility is None or elapsed == 0 else None


def _line(slo: str, group: str, policy: Policy, zone: Zone, facts: Facts, minutes: Minutes, whole: Fraction) -> Line:
    terms = policy.terms[zone]
    bad = facts.bad_minutes.get((slo, group, zone))
    if bad is None and minutes.elapsed == 0:
        bad = Fraction(0)
    counted = facts.slices.get(zone)
    forecast = None
    if bad is not None and minutes.elapsed is not None and minutes.total is not None:
        forecast = bad / minutes.elapsed * minutes.total if minutes.elapsed else bad
    return Line(
        slo=slo,
        group=group,
        zone=zone,
        objective=terms.objective,
        bad_minutes=bad,
        budget_minutes=None if minutes.total is None else terms.error_budget_ratio * minutes.total,
        wall_clock_minutes=terms.error_budget_ratio * whole,
        forecast_minutes=forecast,
        availability=1 - bad / counted if bad is not None and counted else None,
        loss_usd=None if bad is None else bad * terms.cost_usd_per_minute * policy.cost_share,
    )


def _dollars(spec: Spec, facts: Facts, venue: tuple[Line, ...]) -> Dollars:
    """Spent is as recorded. The forecast adds, zone by zone, what the venue's bad minutes would still cost."""
    budget = spec.money.budget_usd_per_month
    spent = facts.loss_usd.get((VENUE_SLO, ""))
    if spent is None and facts.remaining_usd is not None:
        spent = budget - facts.remaining_usd
    forecast = spent
    for line in venue:
        cost = spec.default.terms[line.zone].cost_usd_per_minute
        if cost and forecast is not None:
            known = line.forecast_minutes is not None and line.bad_minutes is not None
            forecast = forecast + cost * ((line.forecast_minutes or 0) - (line.bad_minutes or 0)) if known else None
    return Dollars(budget, spent, forecast, facts.frozen)


def _warnings(facts: Facts, lines: tuple[Line, ...]) -> Iterable[str]:
    if not facts.bad_minutes and not facts.loss_usd and facts.coverage is None:
        yield "Prometheus has none of the series of this report: are the generated rules loaded? Those of the month run every five minutes"
        return
    if facts.coverage is None:
        yield "how much of the month's history is there is unknown: figures may be too low"
    elif facts.coverage < COVERAGE_FLOOR:
        yield f"history is missing, figures are too low: {float(facts.coverage):.1%} of the month's minutes are recorded"
    unknown = sorted({line.slo for line in lines if line.bad_minutes is None})
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        yield f"nothing recorded in some zone: {', '.join(unknown[:NAMED])}{more}"


def _share(part: Fraction | None, whole: Fraction | None) -> Fraction | None:
    if part is None or whole is None:
        return None
    if whole == 0:
        return Fraction(0) if part == 0 else None
    return part / whole


def _usable(series: Series, month: str) -> bool:
    return bool(series.points) and math.isfinite(series.points[-1][1]) and series.labels.get(names.LABEL_MONTH, month) == month


def _zone(labels: Mapping[str, str]) -> Zone | None:
    text = labels.get(names.LABEL_ZONE, "")
    return Zone(int(text)) if text in {str(int(zone)) for zone in Zone} else None


def _single(found: list[tuple[Mapping[str, str], Fraction]]) -> Fraction | None:
    """The value of a series of which there is one; None when there is none, or when several disagree about it."""
    return found[0][1] if len(found) == 1 else None
