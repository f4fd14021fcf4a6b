"""What the rules must say in a generated test, worked out a second time: in Python, from the spec and the calendar alone.

A `Stage` is one run of promtool: a moment of the venue's time at which it begins, how often rules are evaluated, and how the healthy and
the broken SLOs fare. It knows the zone in which every slice began and, per SLO, every slice's badness; burn rates, minutes and dollars are
sums of them, in exact fractions. SLOs that are judged alike and promised alike share one `Track`, so a thousand cost little more than one.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from functools import cached_property

from ops.session import Hours, Zone
from ops.slo import factors
from ops.slo.model import SLI_INTERVAL_S, Policy, Severity, Slo, Spec, Tier
from ops.slo.scenarios import STEP_S, Judge, Timeline, badness

SLICE_S = 60
LOOKBACK_S = 300
"""How long Prometheus finds a sample again."""
USUAL_FAST_FACTOR = Fraction(14)
TIE = 1e-9
"""A burn rate this near to its threshold is not judged: floating point may fall either way."""

Stamp = tuple[Zone, str, str]
"""Zone, local day (YYYYMMDD) and month (YYYYMM) of the moment at which a slice began."""
Firing = tuple[str, str, str]
"""Alert name, severity, zone."""


@dataclass(frozen=True)
class Stage:
    """One run. Times are seconds from its begin; `start_s` is the venue's Unix time at 0."""

    spec: Spec
    start_s: int
    step_s: int
    """Between evaluations."""
    down: Timeline
    up: Timeline
    high: bool
    """Whether the volatility index is above its bound."""
    override: Zone | None
    has_clock: Callable[[int], bool]

    @cached_property
    def times(self) -> range:
        """The evaluations."""
        return range(0, sum(segment.steps for segment in self.down) * STEP_S + 1, self.step_s)

    @cached_property
    def stamps(self) -> tuple[Stamp | None, ...]:
        """Per evaluation: where its slice began; None when the clock was not there."""
        return tuple(self._stamp(at_s) for at_s in self.times)

    @cached_property
    def month(self) -> Mapping[Hours, Fraction]:
        """An average month's minutes."""
        return factors.average_month(self.spec.calendar)

    def stamp(self, at_s: int) -> Stamp | None:
        """Where the slice of the evaluation before or at `at_s` began."""
        return self.stamps[at_s // self.step_s]

    def venue_s(self, at_s: int) -> int:
        """The venue's Unix time."""
        return self.start_s + at_s + self._leaps[min(at_s // STEP_S, len(self._leaps) - 1)]

    def zone_at(self, at_s: int) -> Zone:
        """The zone of this moment."""
        return self.override or self._zone(self.venue_s(at_s))

    def track(self, slo: Slo, alike: int, is_down: bool) -> Track:
        """How an SLO fares. `alike` is the same number for SLOs that are judged and promised alike."""
        if (alike, is_down) not in self._tracks:
            judge = Judge.of(slo)
            if (judge, is_down) not in self._pasts:
                self._pasts[judge, is_down] = Past(self, judge, self.down if is_down else self.up)
            self._tracks[alike, is_down] = Track(self._pasts[judge, is_down], slo.policy)
        return self._tracks[alike, is_down]

    def hours_before(self, at_s: int, back_s: int) -> Hours | None:
        """The hours of the slice that ended `back_s` earlier."""
        looked_s = at_s - back_s
        stamp = self.stamp(looked_s) if looked_s >= 0 and looked_s % self.step_s < LOOKBACK_S else None
        return stamp[0].hours if stamp else None

    @cached_property
    def _tracks(self) -> dict[tuple[int, bool], Track]:
        return {}

    @cached_property
    def _pasts(self) -> dict[tuple[Judge, bool], Past]:
        return {}

    @cached_property
    def _leaps(self) -> list[int]:
        each = itertools.chain.from_iterable([segment.leap_s] * segment.steps for segment in self.down)
        return [self.down[0].leap_s, *each]

    def _stamp(self, at_s: int) -> Stamp | None:
        seen_s = self._seen(at_s - SLICE_S)
        if seen_s is None or not self._awake(at_s):
            return None
        now_s = self.venue_s(seen_s)
        starts, days = self._days
        day = days[bisect_right(starts, now_s) - 1]
        return self.override or self._zone(now_s), day, day[:6]

    def _awake(self, at_s: int) -> bool:
        """Whether the clock was there when the slice began: none begins while Prometheus is away."""
        return any(self.has_clock(s) for s in range(at_s - SLICE_S, at_s - SLICE_S + SLI_INTERVAL_S + 1, STEP_S) if s >= 0)

    def _zone(self, venue_s: int) -> Zone:
        starts, zones = self._spans
        return zones[bisect_right(starts, venue_s) - 1]

    @cached_property
    def _ends(self) -> tuple[int, int]:
        """All of the venue's time that is looked at."""
        return self.start_s, self.start_s + self.times[-1] + max(self._leaps) + 1

    @cached_property
    def _spans(self) -> tuple[list[int], list[Zone]]:
        spans = list(self.spec.calendar.spans(*self._ends, volatile=self.high))
        return [start_s for start_s, _, _ in spans], [zone for _, _, zone in spans]

    @cached_property
    def _days(self) -> tuple[list[int], list[str]]:
        """Local days: when each begins, and its date."""
        calendar, (first_s, last_s) = self.spec.calendar, self._ends
        first, last = calendar.to_local(first_s).date(), calendar.to_local(last_s).date()
        days = [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]
        return [calendar.day_start_s(day) for day in days], [f"{day:%Y%m%d}" for day in days]

    def _seen(self, at_s: int) -> int | None:
        """The evaluation that a look at `at_s` finds."""
        seen_s = at_s // self.step_s * self.step_s
        return seen_s if at_s >= 0 and at_s - seen_s < LOOKBACK_S and self.has_clock(seen_s) else None


class Past:
    """The slices of SLOs that are judged alike, whatever is promised."""

    def __init__(self, stage: Stage, judge: Judge, timeline: Timeline) -> None:
        self.stage, self._judge, self._timeline = stage, judge, timeline
        self.slices = tuple(self.now(at_s) if stamp else None for at_s, stamp in zip(stage.times, stage.stamps, strict=True))
        """slo:bad:slice of each evaluation."""
        self.first_bad = next((index for index, bad in enumerate(self.slices) if bad), None)
        self._sums = {zone: self._cumulated(zone) for zone in {stamp[0] for stamp in stage.stamps if stamp}}
        self._floats = {zone: [float(total) for total in sums] for zone, sums in self._sums.items()}
        self._counts = {hours: self._counted(hours) for hours in {zone.hours for zone in self._sums}}

    def now(self, at_s: int) -> Fraction | None:
        """slo:bad:ratio. A slice of several minutes counts once all of it lies in the same hours; without a clock nothing is fresh."""
        found = badness(self._judge, self._timeline, at_s // STEP_S)
        if found is not None and self._judge.kind == "freshness" and not self.stage.has_clock(at_s):
            return Fraction(1)
        length_s = self._judge.steps * STEP_S
        if found is None or length_s <= SLICE_S:
            return found
        hours = self.stage.hours_before(at_s, 0)
        return found if hours is not None and hours is self.stage.hours_before(at_s, length_s - SLICE_S) else Fraction(0)

    def bad(self, zone: Zone, at_s: int, window_s: int) -> Fraction:
        """Bad slices of a zone within a window."""
        sums, last, first = self._sums[zone], *self._ends(at_s, window_s)
        return sums[last] - sums[first]

    def roughly_bad(self, zone: Zone, at_s: int, window_s: int) -> float:
        """The same, quicker."""
        sums, last, first = self._floats[zone], *self._ends(at_s, window_s)
        return sums[last] - sums[first]

    def has_slices(self, hours: Hours, at_s: int, window_s: int) -> bool:
        """Whether the window holds any slice of these hours, good or bad."""
        counts, last, first = self._counts[hours], *self._ends(at_s, window_s)
        return counts[last] > counts[first]

    def zones(self, hours: Hours) -> tuple[Zone, ...]:
        """Zones of these hours that there are at all."""
        return tuple(zone for zone in self._sums if zone.hours is hours)

    def _ends(self, at_s: int, window_s: int) -> tuple[int, int]:
        step_s = self.stage.step_s
        return at_s // step_s + 1, max((at_s - window_s) // step_s + 1, 0)

    def _cumulated(self, zone: Zone) -> list[Fraction]:
        sums, total = [Fraction(0)], Fraction(0)
        for bad, stamp in zip(self.slices, self.stage.stamps, strict=True):
            if bad and stamp and stamp[0] is zone:
                total += bad
            sums.append(total)
        return sums

    def _counted(self, hours: Hours) -> list[int]:
        each = zip(self.slices, self.stage.stamps, strict=True)
        here = (bad is not None and stamp is not None and stamp[0].hours is hours for bad, stamp in each)
        return list(itertools.accumulate(here, initial=0))


class Track:
    """One SLO, or all that are judged and promised alike, through a stage."""

    def __init__(self, past: Past, policy: Policy) -> None:
        self.past, self.stage, self.policy = past, past.stage, policy
        self._worth = {zone: 1 / terms.error_budget_ratio for zone, terms in policy.terms.items()}
        self._rough = {zone: float(worth) for zone, worth in self._worth.items()}
        self._known: dict[int, set[Firing] | None] = {}

    def burn(self, at_s: int, window_s: int) -> Fraction | None:
        """slo:burn_rate:<window>; None while there is none."""
        stamp = self.stage.stamp(at_s)
        if stamp is None or not self.past.has_slices(stamp[0].hours, at_s, window_s):
            return None
        zones = self.past.zones(stamp[0].hours)
        weighed = (self.past.bad(zone, at_s, window_s) * self._worth[zone] for zone in zones)
        return sum(weighed, Fraction(0)) * 60 / window_s

    def minutes(self, at_s: int) -> Mapping[Zone, Fraction]:
        """Bad minutes of the local month that it is at `at_s`, per zone in which there were slices."""
        month = f"{self.stage.spec.calendar.to_local(self.stage.venue_s(at_s)):%Y%m}"
        sums: dict[Zone, Fraction] = {}
        for bad, stamp in zip(self.past.slices[: at_s // self.stage.step_s + 1], self.stage.stamps, strict=False):
            if bad is not None and stamp is not None and stamp[2] == month:
                sums[stamp[0]] = sums.get(stamp[0], Fraction(0)) + bad
        return sums

    def firing(self, at_s: int) -> set[Firing] | None:
        """What fires at a time; tickets are kept for a while. None when a threshold is too near to be sure."""
        now, before = self.active(at_s), self.ever(at_s - kept_s(self.stage.spec), at_s)
        if now is None or before is None:
            return None
        return now | {each for each in before if each[1] == Severity.TICKET}

    def ever(self, from_s: int, to_s: int) -> set[Firing] | None:
        """Whatever becomes true at any evaluation between two times, both included."""
        if self.past.first_bad is None:
            return set()
        step_s = self.stage.step_s
        found: set[Firing] = set()
        for at_s in range(max(from_s // step_s, self.past.first_bad) * step_s, to_s + 1, step_s):
            active = self.active(at_s)
            if active is None:
                return None
            found |= active
        return found

    def active(self, at_s: int) -> set[Firing] | None:
        """The alerts whose expression is true."""
        if at_s not in self._known:
            self._known[at_s] = self._judged(at_s)
        return self._known[at_s]

    def spiking(self, at_s: int) -> set[tuple[str, str]]:
        """(severity, zone) of the alert on the last slice: its share, but at least what the fast tier calls burning."""
        bad, stamp = self.past.now(at_s), self.stage.stamp(at_s)
        spike = next((tier for tier in self.stage.spec.tiers if tier.bad_share is not None), None)
        if not bad or spike is None or spike.bad_share is None or spike.severity is Severity.NONE or stamp is None:
            return set()
        terms = self.policy.terms[stamp[0]]
        fast = next((tier.factor for tier in self.stage.spec.tiers if tier.name == "fast" and tier.factor), USUAL_FAST_FACTOR)
        share = min(Fraction(1), max(spike.bad_share, fast * terms.error_budget_ratio))
        return {(spike.severity.value, str(int(stamp[0])))} if terms.severity is Severity.PAGE and bad >= share else set()

    def _judged(self, at_s: int) -> set[Firing] | None:
        stamp = self.stage.stamp(at_s)
        found = {("SloSpike", *each) for each in self.spiking(at_s)}
        if stamp is None or self.past.first_bad is None:
            return found
        for tier in self.stage.spec.tiers:
            severity = None if tier.bad_share is not None else severity_of(tier, self.policy.terms[stamp[0]].severity)
            if severity is None:
                continue
            fires = self._burning(tier, stamp[0].hours, at_s)
            if fires is None:
                return None
            if fires:
                found.add((alert_name(tier), severity, str(int(stamp[0]))))
        return found

    def _burning(self, tier: Tier, hours: Hours, at_s: int) -> bool | None:
        zones = self.past.zones(hours)
        rates = (
            sum(self.past.roughly_bad(zone, at_s, window_s) * self._rough[zone] for zone in zones) * 60 / window_s
            for window_s in (tier.short_s, tier.long_s)
        )
        factor = float(tier.factor if tier.factor is not None else factors.factor(tier, self.stage.month, hours))
        for burn in rates:
            if burn < factor - TIE:
                return False
            if burn < factor + TIE:
                return None
        return True


def alert_name(tier: Tier) -> str:
    """SloFastBurn of `fast`."""
    return f"Slo{tier.name.replace('-', ' ').title().replace(' ', '')}Burn"


def kept_s(spec: Spec) -> int:
    """How long a ticket stays when its cause is gone: through the hours in which none is delivered, and an hour more."""
    begin, end = spec.deliver_tickets
    return (24 * 60 - (end - begin) + 60) * 60


def severity_of(tier: Tier, zone: Severity) -> str | None:
    """The least of what the tier and the zone say; None when nobody is told."""
    if Severity.NONE in {tier.severity, zone}:
        return None
    return Severity.PAGE.value if tier.severity is zone is Severity.PAGE else Severity.TICKET.value
