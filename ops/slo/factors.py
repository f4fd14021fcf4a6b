"""The arithmetic of burn rates, budgets and money: pure and exact.

A burn rate is bad minutes over a window, divided by the window's length and by the share that may be bad; 1 spends the budget exactly.
Months here are a venue's own: its session minutes, not 43,200. So the factors that books give for a month of wall-clock time are wrong by
five for a stock exchange, and two mistakes are easy: a factor that no outage can reach (silent for ever), and one that a healthy venue
reaches (it never stops). `faults` finds both.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction

from ops.session import Calendar, Hours, Zone
from ops.slo.model import BURN_INTERVAL_S, SLI_INTERVAL_S, WINDOW_INTERVAL_S, Policy, Severity, Spec, Terms, Tier
from ops.slo.promql import decimal, name_of

DAYS_PER_MONTH = Fraction(146097, 4800)
"""Of the Gregorian calendar: 400 years have 146,097 days."""
DAY_MINUTES = 1440
SAMPLE_DAYS = 28
"""Days looked at to find how long a kind of hours can last in one day: four of each weekday."""
USUAL_FAST_FACTOR = Fraction(14)
"""Where the fast tier has no factor of its own."""


@dataclass(frozen=True, slots=True)
class ZoneBudget:
    """What one month allows in one zone. Zones 1 and 2 share their hours: each is shown as if it had all of them."""

    zone: Zone
    objective: Fraction
    minutes: int
    """Minutes of those hours in that month."""
    bad_minutes: Fraction
    """Of them, how many may be bad."""
    wall_clock_minutes: Fraction
    """What the same objective would allow if the venue never closed: the figure of most tables, for comparison."""
    usd_per_minute: Fraction

    @property
    def usd(self) -> Fraction:
        """What spending all of it costs."""
        return self.bad_minutes * self.usd_per_minute


@dataclass(frozen=True, slots=True)
class Firing:
    """How long a total outage lasts before a tier fires: at best (0 for traffic that never stops), and at worst."""

    tier: Tier
    zone: Zone
    severity: Severity
    factor: Fraction
    """The threshold: a burn rate, or for the spike a share."""
    earliest_s: Fraction
    latest_s: Fraction


@dataclass(frozen=True, slots=True)
class Fault:
    """A threshold that cannot be right."""

    tier: str
    policy: str
    zone: Zone
    reason: str
    instead: str


def month_minutes(calendar: Calendar, year: int, month: int) -> Mapping[Hours, int]:
    """Minutes of each kind of hours in a local calendar month."""
    return calendar.minutes(date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def average_month(calendar: Calendar) -> Mapping[Hours, Fraction]:
    """Minutes of each kind of hours in an average month of the years that the calendar knows."""
    days = (calendar.valid_until - calendar.valid_from).days + 1
    found = calendar.minutes(calendar.valid_from, calendar.valid_until)
    return {hours: minutes * DAYS_PER_MONTH / days for hours, minutes in found.items()}


def most_in_a_day(calendar: Calendar) -> Mapping[Hours, int]:
    """The most minutes of each kind of hours in one day, over the first four weeks that the calendar knows."""
    days = [calendar.valid_from + timedelta(days=n) for n in range(SAMPLE_DAYS)]
    found = [calendar.minutes(day, day) for day in days]
    return {hours: max(minutes.get(hours, 0) for minutes in found) for hours in Hours}


def derived_factor(budget: Fraction, period_minutes: Fraction | int, window_s: int) -> Fraction:
    """The burn rate at which a window spends `budget` of a period's budget. A window's length is in wall-clock seconds."""
    return budget * period_minutes * 60 / window_s


def factor(tier: Tier, minutes: Mapping[Hours, Fraction], hours: Hours) -> Fraction:
    """The burn rate at which a tier fires in those hours; `minutes` are those of `average_month`."""
    if tier.factor is not None:
        return tier.factor
    assert tier.budget is not None, tier
    return derived_factor(tier.budget, minutes.get(hours, Fraction(0)), tier.long_s)


def highest_burn(window_s: int, minutes_in_a_day: int, error_budget: Fraction) -> Fraction:
    """The burn rate of a total outage that fills all of those hours in the window: what no outage can exceed."""
    days = -(-window_s // (DAY_MINUTES * 60))
    bad_s = min(window_s, days * minutes_in_a_day * 60)
    return Fraction(bad_s, window_s) / error_budget


def bad_minutes_to_fire(tier: Tier, burn: Fraction, error_budget: Fraction) -> Fraction:
    """Minutes of total outage until both windows have reached `burn`."""
    return burn * error_budget * max(tier.long_s, tier.short_s) / 60


def firings(spec: Spec, policy: Policy, slice_s: int = 60) -> tuple[Firing, ...]:
    """For each zone and tier that tells somebody: when a total outage is told. Tiers that cannot fire are left out (see `faults`)."""
    average = _average_if_needed(spec)
    return tuple(
        _firing(spec, tier, zone, policy.terms[zone], average, slice_s)
        for zone in Zone
        for tier in spec.tiers
        if severity_of(tier, policy.terms[zone]) is not Severity.NONE
    )


def severity_of(tier: Tier, terms: Terms) -> Severity:
    """What an alert of a tier is in a zone: the milder of both. The spike exists where it may page only."""
    if Severity.NONE in (tier.severity, terms.severity):
        return Severity.NONE
    if tier.bad_share is not None:
        return tier.severity if terms.severity is Severity.PAGE else Severity.NONE
    return Severity.TICKET if Severity.TICKET in (tier.severity, terms.severity) else Severity.PAGE


def spike_tier(spec: Spec) -> Tier | None:
    """The tier that judges the last slice, where somebody is told of it."""
    told = [tier for tier in spec.tiers if tier.bad_share is not None and tier.severity is not Severity.NONE]
    wakes = any(terms.severity is Severity.PAGE for policy in spec.policies for terms in policy.terms.values())
    return told[0] if told and wakes else None


def spike_threshold(spec: Spec, terms: Terms) -> Fraction | None:
    """The badness of a slice that is a spike: the tier's share, but never less than the fast tier's burn rate. 3 % of a slice breaks a
    promise of 99.9 %, but is an ordinary minute of one of 99 %. None where the spike tells nobody: in zones that do not page."""
    told = (tier.bad_share for tier in spec.tiers if tier.bad_share is not None and tier.severity is not Severity.NONE)
    bad_share = next(told, None)
    if bad_share is None or terms.severity is not Severity.PAGE:
        return None
    fast = next((tier.factor for tier in spec.tiers if tier.name == "fast" and tier.factor is not None), USUAL_FAST_FACTOR)
    return min(Fraction(1), max(bad_share, fast * terms.error_budget_ratio))


def budgets(calendar: Calendar, policy: Policy, year: int, month: int) -> tuple[ZoneBudget, ...]:
    """What a month allows, zone by zone."""
    minutes = month_minutes(calendar, year, month)
    wall = sum(minutes.values())
    return tuple(
        ZoneBudget(
            zone,
            terms.objective,
            minutes[zone.hours],
            terms.error_budget_ratio * minutes[zone.hours],
            terms.error_budget_ratio * wall,
            terms.cost_usd_per_minute * policy.cost_share,
        )
        for zone, terms in sorted(policy.terms.items())
    )


def faults(spec: Spec) -> tuple[Fault, ...]:
    """Every threshold that can never be reached, or is reached while all is well."""
    average, most = _average_if_needed(spec), most_in_a_day(spec.calendar)
    judged: dict[tuple[object, ...], tuple[Fault, ...]] = {}
    result: list[Fault] = []
    for policy in spec.policies:
        for zone, terms in policy.terms.items():
            key = (zone, terms.objective.as_integer_ratio(), terms.severity)
            if key not in judged:
                told = [tier for tier in spec.tiers if most[zone.hours] and severity_of(tier, terms) is not Severity.NONE]
                judged[key] = tuple(fault for tier in told for fault in _faults(spec, tier, zone, terms, average, most))
            result += [replace(fault, policy=policy.name) for fault in judged[key]]
    return tuple(result)


def _average_if_needed(spec: Spec) -> Mapping[Hours, Fraction]:
    return average_month(spec.calendar) if any(tier.budget is not None for tier in spec.tiers) else {}


def _firing(spec: Spec, tier: Tier, zone: Zone, terms: Terms, average: Mapping[Hours, Fraction], slice_s: int) -> Firing:
    severity = severity_of(tier, terms)
    if tier.bad_share is not None:
        threshold = spike_threshold(spec, terms)
        assert threshold is not None, zone
        bad_s = threshold * slice_s
        return Firing(tier, zone, severity, threshold, bad_s, bad_s + spec.scrape_interval_s + SLI_INTERVAL_S)
    burn = factor(tier, average, zone.hours)
    bad_s = bad_minutes_to_fire(tier, burn, terms.error_budget_ratio) * 60
    late_s = spec.scrape_interval_s + SLI_INTERVAL_S + WINDOW_INTERVAL_S + BURN_INTERVAL_S
    return Firing(tier, zone, severity, burn, bad_s, bad_s + late_s)


def _faults(
    spec: Spec, tier: Tier, zone: Zone, terms: Terms, average: Mapping[Hours, Fraction], most: Mapping[Hours, int]
) -> Iterator[Fault]:
    if tier.bad_share is not None:
        yield from _spike_faults(spec, tier, zone, terms)
        return
    burn, budget = factor(tier, average, zone.hours), terms.error_budget_ratio
    told = f"{float(burn):.4g}" + (f" (from a budget of {share(tier.budget)})" if tier.budget is not None else "")
    setting = "factor" if tier.budget is None else "budget"
    if burn <= 1:
        reason = f"burns at {told}: a venue that keeps its promise reaches 1, so it fires while all is well"
        yield Fault(
            tier.name, "", zone, reason, f"write a larger {setting}, or a shorter `long`; 3 is a usual factor for a ticket, 14 for a page"
        )
        return
    reach = min(highest_burn(seconds, most[zone.hours], budget) for seconds in (tier.long_s, tier.short_s))
    if burn >= reach:
        of = f"{most[zone.hours]} minutes of {zone.hours} hours a day and an objective of {share(terms.objective)}"
        reason = f"burns at {told}, but with {of} a total outage of {name_of(tier.long_s)} reaches {float(reach):.4g}: it can never fire"
        yield Fault(tier.name, "", zone, reason, _lower(tier, burn, reach))


def _lower(tier: Tier, burn: Fraction, reach: Fraction) -> str:
    good = max(Fraction(int(reach / 2)), Fraction(3, 2))
    if tier.budget is not None:
        return f"write a budget below {share(tier.budget * reach / burn)}, a higher objective, or other windows"
    if good >= reach:
        return "write a higher objective, or severity: none for this zone: no factor fits"
    return f"write a factor below {float(reach):.4g}, such as {decimal(good)}, or a higher objective"


def _spike_faults(spec: Spec, tier: Tier, zone: Zone, terms: Terms) -> Iterator[Fault]:
    """Only a fast tier of a factor of 1 or less lets the threshold fall so low."""
    threshold = spike_threshold(spec, terms)
    if threshold is not None and threshold <= terms.error_budget_ratio:
        reason = (
            f"fires at {share(threshold)} bad, but an objective of {share(terms.objective)} "
            f"allows {share(terms.error_budget_ratio)}: it fires while all is well"
        )
        instead = f"write a bad_share above {share(terms.error_budget_ratio)}, a higher objective, or severity: ticket for this zone"
        yield Fault(tier.name, "", zone, reason, instead)


def share(ratio: Fraction) -> str:
    """1/1000 -> '0.1%'."""
    return f"{decimal(ratio * 100)}%"
