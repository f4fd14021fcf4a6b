"""The scenes of the generated tests: what happens, when, and what is claimed of it. One scene is one block of a promtool file.

Times inside a scene are minutes from its begin. A scene begins in good health a quarter of an hour before its fault, so that windows are
full. No scene is longer than `MAX_EVALUATIONS`: promtool ends a query at 10,000 samples, and the month's rules read 25 SLOs' whole past.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction

from ops.session import Zone
from ops.slo import proof_claims as say
from ops.slo.model import Severity, Spec
from ops.slo.proof_claims import Claims
from ops.slo.proof_moments import Moments, Span
from ops.slo.scenarios import RATE, STEP_S, Segment, Timeline, broken, gone, healthy, minutes, quiet

LEAD = 15
"""Minutes of health before a fault."""
SHORT_LEAD = 5
FAULT_AT_LEAST = 20
FAULT_AT_MOST = 60
MAX_EVALUATIONS = 370
"""26 series of 370 slices are 9,620 samples."""
LONGEST_WINDOW_S = 24 * 3600
MONTH_STEP_H = 12
CLOCK_FROM_S = 60


def _from_first_minute(at_s: int) -> bool:
    return at_s >= CLOCK_FROM_S


@dataclass(frozen=True)
class Scene:
    name: str
    says: str
    """What the block shows, in a sentence."""
    start_s: int
    down: Timeline
    up: Timeline
    claims: tuple[Claims, ...]
    step_s: int = 60
    """Between evaluations."""
    high: bool = False
    override: Zone | None = None
    groups: int = 1
    half: int = 0
    """1 or 2: only that half of the SLOs is broken, and of those only the first group."""
    without: str = ""
    """A role whose series are not there at all."""
    has_clock: Callable[[int], bool] = field(default=_from_first_minute)


@dataclass(frozen=True, slots=True)
class Skip:
    """A scene that this calendar or this spec cannot have."""

    name: str
    reason: str


Scenes = Iterator[Scene | Skip]


def every_minute(spec: Spec, moments: Moments) -> Scenes:
    """The scenes in which rules are evaluated once a minute, as windows are in earnest."""
    yield from _healthy(moments)
    yield from _breaches(spec, moments)
    yield from _outside(spec, moments)
    yield from _calendar_days(spec, moments)
    yield from _faults(spec, moments)
    yield from _noises(spec, moments)
    yield dollars(spec, moments)


def every_quarter(spec: Spec, moments: Moments) -> Scenes:
    """Every 15 s, as the alert on the last slice is in earnest."""
    start, where = _trading(moments)
    start += (LEAD - SHORT_LEAD) * 60
    tail = minutes(_longest_slice(spec) + 3)
    onset = (SHORT_LEAD + 1) * 60
    down: Timeline = (healthy(onset // STEP_S), broken(tail))
    checks = [say.spikes(onset + after) for after in (0, 15, 30, 45, 60, 120)]
    claims: tuple[Claims, ...] = (say.bad_now(onset), *checks, say.bad_now(onset + tail * STEP_S))
    says = f"A total outage {where} pages with the first scrape that shows it, in every zone that may page."
    yield Scene("spike", says, start, down, _all_well(down), claims, 15, high=True)
    down = (healthy(onset // STEP_S), gone(minutes(5)))
    checks = [say.spikes(onset + after) for after in (0, 15, 45, 240)]
    claims = (say.bad_now(onset), *checks, say.bad_now(onset + 60), say.missing(onset + 90))
    says = (
        "Targets die: where missing data is bad it pages with the first scrape that fails; where it is ignored a ticket opens within 90 s."
    )
    yield Scene("targets die", says, start, down, _all_well(down), claims, 15, high=True)
    down = (healthy(onset // STEP_S), broken(tail, Fraction(2, 100)))
    claims = (say.bad_now(onset + 15), say.spikes(onset + 15), say.spikes(onset + 60), say.bad_now(onset + tail * STEP_S))
    yield Scene(
        "two per cent",
        "Two per cent of failures is a spike only where the bound for one is lower.",
        start,
        down,
        _all_well(down),
        claims,
        15,
        high=True,
    )
    down = (healthy(onset // STEP_S), Segment(1, bad=RATE // STEP_S), healthy(tail))
    claims = tuple(say.spikes(onset + after) for after in (15, 30, 60, 90))
    yield Scene("one second", "One second of failures after the open pages nobody.", start, down, _all_well(down), claims, 15, high=True)


def every_five(spec: Spec, moments: Moments) -> Scenes:
    """Every 5 minutes: a whole day, and the end of a month. A slice stands for five minutes here, and sums are of slices."""
    start = spec.calendar.day_start_s(moments.day)
    well = (healthy(minutes(24 * 60)),)
    middles = [(span[0] + span[1]) // 2 - start for span in (moments.session, moments.extended, moments.maintenance) if span]
    claims = (
        *(say.zone_is(at // 300 * 300) for at in middles if CLOCK_FROM_S < at < 86400),
        say.zone_minutes(86400),
        say.bad_minutes(86400),
        say.never(300, 86400, WOKEN),
    )
    yield Scene(
        "a whole healthy day",
        "From local midnight to midnight nothing fires, and every slice has its zone.",
        start,
        well,
        well,
        claims,
        300,
    )
    yield _windows(spec, start)
    yield _month_end(spec, moments)


WOKEN = 'severity=~"page|ticket",alertname!~"SloCoverageGap|SloHistoryLost"'
"""What reaches a person. A test begins within a month, whose days before it are missing: that alert is right and left out."""


# Health


def _healthy(moments: Moments) -> Scenes:
    for name, edge_s, before, after in (("open", moments.open_s, 30, 60), ("close", moments.close_s, 30, 30)):
        if edge_s is None:
            yield Skip(f"healthy {name}", "the venue never closes")
            continue
        well, edge, end = (healthy(minutes(before + after)),), before * 60, (before + after) * 60
        claims = (
            say.zone_is(edge - 60),
            say.slices(edge),
            say.zone_is(edge),
            say.slices(edge + 60),
            say.burns(end),
            say.never(60, end, WOKEN),
        )
        says = f"An ordinary {name}: the zone changes on the minute, and nothing fires."
        if name == "open":
            says += " Counters of failures that never counted have no series, which is not a failure."
        yield Scene(f"healthy {name}", says, edge_s - edge, well, well, claims, without="bad" if name == "open" else "")


# Breaches of a zone


def _breaches(spec: Spec, moments: Moments) -> Scenes:
    for zone in Zone:
        span = {Zone.EXTENDED: moments.extended, Zone.MAINTENANCE: moments.maintenance}.get(zone, moments.session)
        if span is None:
            yield Skip(f"zone {zone:d}", f"the calendar {spec.calendar.name} has no such hours")
            continue
        fault = _fault_minutes(spec, zone)
        over, back = LEAD + fault, _longest_slice(spec) + _short_minutes(spec)
        down = (healthy(minutes(LEAD)), broken(minutes(fault)), healthy(minutes(back + 3)))
        start = _inside(span, over + back + 3)
        if start is None:
            yield Skip(f"zone {zone:d}", f"its longest stretch is under {over + back + 3} minutes")
            continue
        claims = (
            say.zone_is(LEAD * 60),
            say.slices(LEAD * 60),
            say.paged(60, LEAD * 60),
            say.slices(LEAD * 60 + 60),
            say.burns(LEAD * 60 + 60),
            say.alerts(LEAD * 60 + 60),
            say.burns(over * 60),
            say.alerts_by_name(over * 60),
            say.burns((over + back) * 60),
            say.alerts((over + back) * 60),
            say.paged((over + back + 1) * 60, (over + back + 3) * 60),
        )
        by_hand = zone is Zone.VOLATILE and spec.calendar.volatility is None
        most = "the volatility index is high" if zone is Zone.VOLATILE else "all terms are this zone's"
        says = f"All fails for {fault} minutes in zone {zone:d}; {most}. After recovery pages end within the short window; tickets stay."
        override = Zone.VOLATILE if by_hand else None
        yield Scene(f"zone {zone:d}", says, start, down, _all_well(down), claims, high=zone is Zone.VOLATILE, override=override)


# What happens outside of trading


def _outside(spec: Spec, moments: Moments) -> Scenes:
    if moments.open_s is None:
        yield Skip("off-hours outage", "the venue never closes")
        return
    slack = _longest_slice(spec) + 2
    down = (healthy(minutes(5)), broken(minutes(45)), healthy(minutes(slack + 25)))
    edge = (50 + slack) * 60
    claims = (
        say.burns(50 * 60),
        say.alerts(50 * 60),
        say.burns(edge - 60),
        say.slices(edge),
        say.slices(edge + 60),
        say.burns(edge + 60),
        say.burns(edge + 300),
        say.paged(edge + 60, edge + 20 * 60),
    )
    says = "An outage that is over before the open leaves the session's budget whole: nothing pages after it."
    yield Scene("off-hours outage", says, moments.open_s - edge, down, _all_well(down), claims)


# Days of their own


def _calendar_days(spec: Spec, moments: Moments) -> Scenes:
    yield _half_day(spec, moments)
    yield _holiday(spec, moments)
    if not moments.clock_changes:
        yield Skip("clock change", f"{spec.calendar.timezone} has none, or the venue does not close about it")
    for before_s, after_s in moments.clock_changes:
        for side, open_s in (("before", before_s), ("after", after_s)):
            day = spec.calendar.to_local(open_s)
            down = (broken(minutes(10 + 5)),)
            claims = (*(say.zone_is(at * 60) for at in (9, 10)), *(say.slices(at * 60) for at in (10, 11)), say.alerts(11 * 60))
            says = f"The open next to a change of the clocks, {side} it, on {day:%Y-%m-%d}: slices turn regular on the minute."
            yield Scene(f"clock change, {side} ({day:%Y-%m})", says, open_s - 600, down, _all_well(down), claims)


def _half_day(spec: Spec, moments: Moments) -> Scene | Skip:
    if moments.half_day is None:
        return Skip("half day", f"the calendar {spec.calendar.name} has no day that closes early")
    slack = _longest_slice(spec) + 1
    down = (healthy(minutes(LEAD + slack)), broken(minutes(30)))
    edge, end = LEAD * 60, (LEAD + slack + 30) * 60
    claims = (
        say.zone_is(edge - 60),
        say.slices(edge),
        say.zone_is(edge),
        say.slices(edge + 60),
        say.burns(end),
        say.alerts(end),
        say.paged(edge, end),
    )
    says = "After an early close it is extended hours, while on another day it would still be trading."
    return Scene("half day", says, moments.half_day[1] - edge, down, _all_well(down), claims)


def _holiday(spec: Spec, moments: Moments) -> Scene | Skip:
    if moments.holiday is None or moments.open_s is None:
        return Skip("holiday", f"the calendar {spec.calendar.name} has none")
    since_midnight = moments.open_s - spec.calendar.day_start_s(spec.calendar.to_local(moments.open_s).date())
    start = spec.calendar.day_start_s(moments.holiday) + since_midnight - LEAD * 60
    down = (healthy(minutes(LEAD + 1)), broken(minutes(30)))
    end = (LEAD + 31) * 60
    claims = (say.zone_is(LEAD * 60), say.slices(end), say.burns(end), say.alerts(end), say.paged(60, end))
    says = f"On {moments.holiday:%Y-%m-%d} ({spec.calendar.holidays[moments.holiday]}) the hours of trading are extended hours."
    return Scene("holiday", says, start, down, _all_well(down), claims)


# Faults of other kinds


def _faults(spec: Spec, moments: Moments) -> Scenes:
    start, where = _trading(moments)
    edge, slack = LEAD + 5, _longest_slice(spec)
    down: Timeline = (healthy(minutes(edge)), gone(minutes(15)), healthy(minutes(slack + 8)))
    back = (edge + 15 + slack + 1) * 60
    claims: tuple[Claims, ...] = (
        say.worst(edge * 60 + 60),
        say.missing((edge + 3) * 60),
        say.paged_now((edge + 3) * 60),
        say.worst(back),
        say.spikes(back),
    )
    says = f"All series vanish {where}: bad where missing data is bad, good where it is good, a ticket where it is ignored. They come back."
    yield Scene("missing", says, start, down, _all_well(down), claims, high=True)
    down = (healthy(minutes(edge)), broken(minutes(20), Fraction(2, 100)))
    times = [(edge + after) * 60 for after in (slack + 1, slack + 5, 20)]
    claims = tuple(claim for at in times for claim in (say.slices(at), say.burns(at), say.alerts(at)))
    yield Scene(
        "two per cent",
        "Two per cent of failures page where, and when, the promise is strict enough for it.",
        start,
        down,
        _all_well(down),
        claims,
        high=True,
    )
    down = (healthy(minutes(edge)), broken(minutes(12)))
    end = (edge + 12) * 60
    claims = (say.alerts_by_name(end), say.paged(60, edge * 60))
    for half, who in ((1, "Every second SLO"), (2, "Every other SLO")):
        says = f"{who} is broken, in one of its groups: it alone pages, under its own labels."
        yield Scene(f"isolation {half}", says, start, down, _all_well(down), claims, high=True, groups=2, half=half)
    claims = (say.zone_is(edge * 60), say.slices(end), say.alerts(end), say.paged(60, end))
    says = "Zone 4 by hand, in the middle of trading: the override wins, and nobody is paged."
    yield Scene("override", says, start, down, _all_well(down), claims, high=True, override=Zone.MAINTENANCE)


# What is no fault


def _noises(spec: Spec, moments: Moments) -> Scenes:
    start, where = _trading(moments)
    edge, slack = LEAD + 5, _longest_slice(spec)
    down: Timeline = (healthy(minutes(edge)), Segment(1, bad=RATE // STEP_S), healthy(minutes(slack + 7) - 1))
    end = (edge + slack + 7) * 60
    claims = (say.slices(edge * 60 + 60), say.burns(edge * 60 + 60), say.alerts(edge * 60 + 60), say.paged(60, end))
    yield Scene("one second", f"One second of failures {where} pages nobody.", start, down, _all_well(down), claims, high=True)
    night = moments.maintenance or moments.extended
    begin = _inside(night, 50) if night else start
    if begin is None:
        yield Skip("three requests at night", "no night is long enough")
        return
    at = [minutes(15), minutes(10), minutes(10)]
    down = (
        quiet(at[0]),
        Segment(1, total=1),
        quiet(at[1] - 1),
        Segment(1, total=2, bad=1),
        quiet(at[2] - 1 + minutes(slack + 3)),
    )
    fell = (15 + 10) * 60
    claims = (say.slices(fell + 60), say.burns(fell + 60), say.alerts(fell + 60), say.paged(60, (35 + slack + 3) * 60))
    says = "Three requests in half an hour when nobody trades, one fails: too few to be judged where a minimum is set; nobody is paged."
    yield Scene("three requests at night", says, begin, down, (quiet(sum(segment.steps for segment in down)),), claims)


# Money


def dollars(spec: Spec, moments: Moments) -> Scene | Skip:
    """Everything fails in zone 1 until the month's money is gone."""
    share = max((slo.policy.cost_share for slo in spec.slos), default=Fraction(0))
    cost = spec.default.terms[Zone.VOLATILE].cost_usd_per_minute * share
    if not cost:
        return Skip("dollars", "a bad minute of zone 1 costs nothing")
    spent = math.ceil(spec.money.budget_usd_per_month / cost)
    slack = _longest_slice(spec)
    total = LEAD + spent + slack + 3
    start = _inside(moments.session, total) if moments.session else None
    if total > MAX_EVALUATIONS or start is None:
        return Skip(
            "dollars",
            f"at ${float(cost):g} a minute the month's money lasts {spent} minutes: more than promtool can sum, or than a session",
        )
    down = (healthy(minutes(LEAD)), broken(minutes(total - LEAD)))
    claims = (say.money_pages(LEAD * 60, total * 60), say.money_spent(LEAD * 60, total * 60))
    says = "Everything fails in zone 1: the hour's dollars page, half of the month's open a ticket, and at nothing left changes are frozen."
    return Scene("dollars", says, start, down, _all_well(down), claims, high=True, override=Zone.VOLATILE)


# Long windows


def _windows(spec: Spec, start: int) -> Scene | Skip:
    """Each window's edge: what it still counts and, a step later, does not."""
    tiers = [tier for tier in spec.tiers if tier.bad_share is None]
    lengths = sorted({seconds // 60 for tier in tiers for seconds in (tier.long_s, tier.short_s) if seconds <= LONGEST_WINDOW_S})
    if not lengths:
        return Skip("windows", "all windows are too long")
    down = (healthy(minutes(30)), broken(minutes(5)), healthy(minutes(lengths[-1] + 30)))
    claims = tuple(say.burns((35 + length + late) * 60) for length in lengths for late in (-5, 0))
    says = "One bad slice: it burns for as long as each window is, and no longer. Regular hours by hand, so that none end in between."
    return Scene("windows", says, start, down, _all_well(down), claims, 300, override=Zone.REGULAR)


# The month


def _month_end(spec: Spec, moments: Moments) -> Scene:
    """Three days would be too many samples, and half a minute of computing. So the clock is there for two hours about every twelfth hour
    of the test, and leaps a day each time: the rules for the month look at every twelfth hour only."""
    midnight = spec.calendar.day_start_s(moments.month_end + timedelta(days=1))
    hour, half_day = minutes(60), minutes(MONTH_STEP_H * 60)
    day = 2 * half_day * STEP_S
    start = midnight - half_day * STEP_S
    down: list[Segment] = [healthy(hour - minutes(20)), broken(minutes(20))]
    for look, bad in ((1, 30), (2, 15), (3, 0)):
        half, leap = minutes(bad), (look - 1) * (day - half_day * STEP_S)
        down.append(gone(half_day - 2 * hour - minutes(15)))
        for segment in (healthy(minutes(15) + hour - half), broken(2 * half), healthy(hour - half)):
            down += [replace(segment, leap_s=leap)] if segment.steps else []
    times = (55, 11 * 60 + 55, 12 * 60 + 10, 12 * 60 + 45, 24 * 60 - 5, 24 * 60 + 45, 36 * 60 + 45)
    says = (
        f"The end of {moments.month_end:%B %Y} in {spec.calendar.timezone}: minutes land in the local month in which they began, a new "
        "one begins with none, days that are over stay counted. The clock is there about every twelfth hour, and leaps a day between."
    )
    claims = tuple(say.bad_minutes(at * 60) for at in times)
    return Scene("month end", says, start, tuple(down), _no_faults(tuple(down)), claims, 300, has_clock=about_twelve)


def about_twelve(at_s: int) -> bool:
    """Within an hour of a multiple of twelve, but for the last step: its slice is still counted by the rules that evaluate next."""
    step = MONTH_STEP_H * 3600
    return at_s >= CLOCK_FROM_S and min(at_s % step, -at_s % step) <= 3600 - 300


# Helpers


def _trading(moments: Moments) -> tuple[int, str]:
    """Where trading is on: just after the open where there is one. The start of a scene whose minute 15 is the open."""
    if moments.open_s is not None:
        return moments.open_s - LEAD * 60, "just after the open"
    assert moments.session is not None, "a calendar that never trades"
    return (moments.session[0] + moments.session[1]) // 2 // 60 * 60, "in trading"


def _inside(span: Span, length: int) -> int | None:
    """Where a scene of so many minutes may begin so that all of it lies in the span."""
    room = (span[1] - span[0]) // 60 - length
    return span[0] + room // 2 * 60 if room >= 0 else None


def _fault_minutes(spec: Spec, zone: Zone) -> int:
    """Long enough for the fast alert of every policy that can have one in this zone."""
    needed = [FAULT_AT_LEAST]
    for policy in spec.policies:
        terms = policy.terms[zone]
        for tier in spec.tiers:
            if tier.factor is not None and tier.name == "fast" and terms.severity is not Severity.NONE:
                needed.append(math.ceil(tier.factor * terms.error_budget_ratio * tier.long_s / 60) + _longest_slice(spec) + 1)
    return max((length for length in needed if length <= FAULT_AT_MOST), default=FAULT_AT_LEAST)


def _longest_slice(spec: Spec) -> int:
    return max((math.ceil(slo.slice_s / 60) for slo in spec.slos), default=1)


def _short_minutes(spec: Spec) -> int:
    return max((tier.short_s // 60 for tier in spec.tiers if tier.name == "fast"), default=5)


def _all_well(down: Timeline) -> Timeline:
    return (healthy(sum(segment.steps for segment in down)),)


def _no_faults(down: Timeline) -> Timeline:
    return tuple(replace(segment, bad=0) for segment in down)
