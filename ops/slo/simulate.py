"""What the alerts of a spec say of a history: the generated rules' arithmetic in Python, pure, and held to promtool's answer by a test.

Badness is judged every step (the spike, and what is missing); once a minute it is a slice, in the zone in which it began, and slices are
summed over fixed windows into burn rates and dollars. Sums are exactly rounded; bounds are those that the rules have as constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, groupby

from ops.session import Calendar, Hours, Zone
from ops.slo import alerts, factors
from ops.slo.model import VENUE_SLO, Policy, Severity, Slo, Spec, Tier

SLICE_S = 60
DOLLAR_WINDOW_S, DOLLAR_SHORT_S = 3600, 300


@dataclass(frozen=True, slots=True)
class Track:
    """The badness of one SLO (of one group of it), one value a step; None: the rule would have recorded nothing."""

    slo: str
    group: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class History:
    """What `simulate` judges: `tracks` and `zones` have one entry for each step, the first at `start_s` (a whole minute)."""

    start_s: int
    step_s: int
    zones: Sequence[Zone]
    known: Sequence[bool]
    """Whether the server was there to evaluate anything."""
    tracks: tuple[Track, ...]
    """Every SLO has one at least."""
    quiet: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    """By SLO that may rightly have no badness: at which steps that is so, because its series are there and idle."""


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert, from the first evaluation at which it held to the first at which it did not (or to the end of the history)."""

    alert: str
    slo: str
    group: str
    zone: Zone | None
    """None for alerts on the month's dollars."""
    severity: Severity
    start_s: int
    end_s: int
    peak: float
    """The worst value meanwhile: a burn rate, for the spike a share of the slice, for dollars dollars."""
    dollars: float
    """What the slices meanwhile cost."""


def simulate(spec: Spec, history: History) -> tuple[Firing, ...]:
    """Every alert of the spec over a history, in the order of their beginnings."""
    minutes = Minutes(history)
    slos = {slo.name: slo for slo in spec.slos}
    average = factors.average_month(spec.calendar) if any(tier.budget is not None for tier in spec.tiers) else {}
    found: list[Firing] = []
    for track in history.tracks:
        policy = slos[track.slo].policy
        sums = Sums(minutes, minutes.slices(track), policy)
        for tier in spec.tiers:
            found += _spike(spec, tier, track, sums) if tier.bad_share is not None else _burn(tier, policy, track, sums, average)
    for slo in spec.slos:
        found += _missing(slo, history, minutes)
    found += _dollars(spec, Sums(minutes, venue_slices(spec, minutes), spec.default))
    return tuple(sorted(found, key=lambda firing: (firing.start_s, firing.end_s, firing.alert, firing.slo, firing.group)))


def alert_name(tier: Tier) -> str:
    """'fast' -> 'SloFastBurn'; the spike is 'SloSpike'."""
    if tier.bad_share is not None:
        return "SloSpike"
    return f"Slo{tier.name.replace('-', ' ').title().replace(' ', '')}Burn"


class Minutes:
    """The grid of slices: one a minute, each in the zone of a minute before it was taken. The first minute of a history has none."""

    def __init__(self, history: History) -> None:
        self.history, self.per_minute = history, SLICE_S // history.step_s
        self.count = (len(history.zones) - 1) // self.per_minute
        self.zones = [history.zones[index * self.per_minute] for index in range(self.count)]

    def at_s(self, minute: int) -> int:
        return self.history.start_s + (minute + 1) * SLICE_S

    def slices(self, track: Track) -> list[float | None]:
        return [track.values[(minute + 1) * self.per_minute] for minute in range(self.count)]


class Sums:
    """Sums of one track's slices over windows, zone by zone, as sum_over_time gives them (exactly rounded)."""

    def __init__(self, minutes: Minutes, slices: Sequence[float | None], policy: Policy) -> None:
        self.minutes, self.slices, self.policy = minutes, slices, policy
        self._of = {
            zone: [(v or 0.0) if z is zone else 0.0 for v, z in zip(slices, minutes.zones, strict=True)] for zone in set(minutes.zones)
        }
        self._bad = {zone: [0, *accumulate(value != 0 for value in values)] for zone, values in self._of.items()}
        self._cost = [
            float(policy.terms[zone].cost_usd_per_minute * policy.cost_share) * (value or 0.0)
            for zone, value in zip(minutes.zones, slices, strict=True)
        ]

    def over(self, zone: Zone, minute: int, window_s: int) -> float:
        """Bad minutes of a zone in the window that ends with the slice `minute`."""
        begin, end = max(0, minute + 1 - window_s // SLICE_S), minute + 1
        if zone not in self._of or self._bad[zone][end] == self._bad[zone][begin]:
            return 0.0
        return math.fsum(self._of[zone][begin:end])

    def burn(self, hours: Hours, minute: int, window_s: int) -> float:
        parts = ((zone, self.over(zone, minute, window_s)) for zone in Zone if zone.hours is hours)
        return sum(bad * float(1 / self.policy.terms[zone].error_budget_ratio) for zone, bad in parts) / (window_s / SLICE_S)

    def loss(self, hours: Hours, minute: int, window_s: int) -> float:
        parts = ((self.policy.terms[zone].cost_usd_per_minute, zone) for zone in Zone if zone.hours is hours)
        return sum(self.over(zone, minute, window_s) * float(usd * self.policy.cost_share) for usd, zone in parts)

    def cost(self, start_s: int, end_s: int) -> float:
        """Dollars of the slices taken from `start_s` to before `end_s`."""
        first = -(-(start_s - self.minutes.at_s(0)) // SLICE_S)
        last = -(-(end_s - self.minutes.at_s(0)) // SLICE_S)
        return math.fsum(self._cost[max(0, first) : max(0, last)])


@dataclass(frozen=True, slots=True)
class _Held:
    """One evaluation: what held then, if anything."""

    at_s: int
    zone: Zone | None
    severity: Severity
    value: float | None


def _firings(alert: str, slo: str, group: str, held: Iterable[_Held], sums: Sums, interval_s: int) -> Iterator[Firing]:
    """Evaluations that follow each other with the same zone and severity are one firing: a change of label is another alert."""

    def state(one: _Held) -> tuple[bool, Zone | None, Severity]:
        return one.value is not None, one.zone, one.severity

    for (active, zone, severity), run_of in groupby(held, key=state):
        evaluations = list(run_of)
        if active:
            start_s, end_s = evaluations[0].at_s, evaluations[-1].at_s + interval_s
            peak = max(one.value or 0.0 for one in evaluations)
            yield Firing(alert, slo, group, zone, severity, start_s, end_s, peak, sums.cost(start_s, end_s))


def _spike(spec: Spec, tier: Tier, track: Track, sums: Sums) -> Iterator[Firing]:
    """Every step, by the zone in which the slice began."""
    history, back = sums.minutes.history, sums.minutes.per_minute
    bounds = {zone: factors.spike_threshold(spec, terms) for zone, terms in sums.policy.terms.items()}

    def held() -> Iterator[_Held]:
        for step in range(back, len(track.values)):
            value, zone = track.values[step], history.zones[step - back]
            bound = bounds[zone]
            fires = value is not None and bound is not None and value >= float(bound)
            yield _Held(history.start_s + step * history.step_s, zone, tier.severity, value if fires else None)

    return _firings(alert_name(tier), track.slo, track.group, held(), sums, history.step_s)


def _burn(tier: Tier, policy: Policy, track: Track, sums: Sums, average: Mapping[Hours, Fraction]) -> Iterator[Firing]:
    bounds = {hours: float(factors.factor(tier, average, hours)) or math.inf for hours in Hours}
    severities = {zone: factors.severity_of(tier, terms) for zone, terms in policy.terms.items()}
    minutes = sums.minutes

    def held() -> Iterator[_Held]:
        for minute, zone in enumerate(minutes.zones):
            value, severity = None, severities[zone]
            if severity is not Severity.NONE and minutes.history.known[(minute + 1) * minutes.per_minute]:
                short = sums.burn(zone.hours, minute, tier.short_s)
                if short >= bounds[zone.hours]:
                    long = sums.burn(zone.hours, minute, tier.long_s)
                    value = long if long >= bounds[zone.hours] else None
            yield _Held(minutes.at_s(minute), zone, severity, value)

    return _firings(alert_name(tier), track.slo, track.group, held(), sums, SLICE_S)


def _missing(slo: Slo, history: History, minutes: Minutes) -> Iterator[Firing]:
    """SloMissing: no group of an SLO recorded for a minute while the server was there."""
    columns = zip(*(track.values for track in history.tracks if track.slo == slo.name), strict=True)
    quiet = history.quiet.get(slo.name, [False] * len(history.known))
    since_s: int | None = None
    held: list[_Held] = []
    for step, (values, known, idle) in enumerate(zip(columns, history.known, quiet, strict=True)):
        at_s = history.start_s + step * history.step_s
        absent = known and not idle and all(value is None for value in values)
        since_s = (at_s if since_s is None else since_s) if absent else None
        fires = since_s is not None and at_s - since_s >= alerts.MISSING_FOR_S
        held.append(_Held(at_s, None, Severity.TICKET, 1.0 if fires else None))
    nothing = Sums(minutes, [None] * minutes.count, slo.policy)
    return _firings("SloMissing", slo.name, "", held, nothing, history.step_s)


def venue_slices(spec: Spec, minutes: Minutes) -> list[float | None]:
    """The venue's own slices: the worst of all SLOs, each weighed by its cost share."""
    shares = {slo.name: float(slo.policy.cost_share) for slo in spec.slos}
    weighed = [[None if v is None else v * shares[t.slo] for v in minutes.slices(t)] for t in minutes.history.tracks]
    return [max((v for v in column if v is not None), default=None) for column in zip(*weighed, strict=True)]


def _dollars(spec: Spec, sums: Sums) -> Iterator[Firing]:
    """The three alerts on money."""
    money, minutes, terms = spec.money, sums.minutes, spec.default.terms
    fast = float(money.page_share * money.budget_usd_per_month)
    short = fast * DOLLAR_SHORT_S / DOLLAR_WINDOW_S

    def burning() -> Iterator[_Held]:
        for minute, zone in enumerate(minutes.zones):
            value = None
            if terms[zone].severity is not Severity.NONE and sums.loss(zone.hours, minute, DOLLAR_SHORT_S) >= short:
                hour = sums.loss(zone.hours, minute, DOLLAR_WINDOW_S)
                value = hour if hour >= fast else None
            yield _Held(minutes.at_s(minute), zone, terms[zone].severity, value)

    yield from _firings("PnlBudgetFastBurn", VENUE_SLO, "", burning(), sums, SLICE_S)
    for alert, share in (("PnlBudgetHalfSpent", money.ticket_share), ("ChangeFreeze", Fraction(1))):
        bound = float(share * money.budget_usd_per_month)
        spent = _month_to_date(spec.calendar, sums)
        held = (_Held(minutes.at_s(m), None, Severity.TICKET, usd if usd >= bound else None) for m, usd in enumerate(spent))
        yield from _firings(alert, VENUE_SLO, "", held, sums, SLICE_S)


def _month_to_date(calendar: Calendar, sums: Sums) -> Iterator[float]:
    """Dollars lost in the local month of each slice, from the beginning of the history on."""
    total, end_s = 0.0, 0
    for minute in range(sums.minutes.count):
        began_s = sums.minutes.at_s(minute) - SLICE_S
        if began_s >= end_s:
            local = calendar.to_local(began_s)
            total, end_s = 0.0, calendar.month_bounds(local.year, local.month)[1]
        total += sums.cost(began_s + SLICE_S, began_s + 2 * SLICE_S)
        yield total
