"""What a generated test claims at a moment: an expression, and the samples that must come of it, from a `Stage`.

SLOs that must show the same are counted together (`count_values ("bad", …)`): an SLO that is off by one bad minute changes two counts.
Values are rounded in the expression, because a sum of floats is not the exact figure that stands in the test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from ops import conventions as names
from ops.slo.model import VENUE_SLO, Severity
from ops.slo.promql import decimal, quote
from ops.slo.proof_stage import Firing, Stage, Track
from ops.slo.rulefile import duration
from ops.slo.scenarios import Member

DECIMALS = 4
VENUE = f'{{{names.LABEL_SLO}="{VENUE_SLO}"}}'


@dataclass(frozen=True)
class Shard:
    """The SLOs that one test file holds up: those of one file of rules. `others` cannot be fed and are left out of all figures."""

    members: tuple[Member, ...]
    alike: Mapping[str, int]
    """By SLO: a number that SLOs share which are judged and promised alike."""
    down: frozenset[str]
    """Names of the SLOs that are broken."""
    others: tuple[str, ...] = ()
    all_groups: bool = True
    """Whether they are broken in all their groups, and not in the first only."""
    is_spoilt: bool = False
    """Whether one of the others is bad all the time, so that the venue is."""
    is_part: bool = False
    """Whether the spec has SLOs beyond these. Their alerts stand in the same rules, and find nothing measured."""

    @cached_property
    def matcher(self) -> str:
        """The SLOs that are judged."""
        return f'{names.LABEL_SLO}!~"{"|".join((VENUE_SLO, *self.others))}"' if self.others else f'{names.LABEL_SLO}!="{VENUE_SLO}"'

    def alerts(self, which: str) -> str:
        """The alerts on them that fire."""
        return f'ALERTS{{alertstate="firing",{which},{self.matcher}}}'

    @cached_property
    def fates(self) -> tuple[tuple[Member, bool], ...]:
        """Every group of every SLO, and whether it is broken."""
        if self.all_groups:
            return tuple((member, member.slo.name in self.down) for member in self.members)
        firsts = {member.slo.name: member for member in reversed(self.members)}
        return tuple((member, member.slo.name in self.down and firsts[member.slo.name] is member) for member in self.members)

    @cached_property
    def classes(self) -> Mapping[tuple[int, bool], list[Member]]:
        """The same, those together that must show the same."""
        found: dict[tuple[int, bool], list[Member]] = {}
        for member, is_down in self.fates:
            found.setdefault((self.alike[member.slo.name], is_down), []).append(member)
        return found

    def tracks(self, stage: Stage) -> list[tuple[list[Member], Track]]:
        """How each class of them fares."""
        return [(found, stage.track(found[0].slo, *key)) for key, found in self.classes.items()]


@dataclass(frozen=True, slots=True)
class Claim:
    at_s: int
    expr: str
    samples: tuple[tuple[str, str], ...]
    """('{zone="1"}', '12'); none means that there is no such series."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Makes claims about a shard. `named`: they tell SLOs by name, so they differ from one shard to the next."""

    tell: Callable[[Stage, Shard], Iterable[Claim]]
    named: bool = False


# Recorded series


def bad_now(at_s: int) -> Claims:
    """The badness of the last slice, as the spike alert sees it."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        found = _counted(shard.tracks(stage), lambda track: _number(track.past.now(at_s)))
        yield Claim(at_s, f'count_values("bad", {_rounded(f"{names.SERIES_BAD_NOW}{{{shard.matcher}}}")})', _samples(("bad",), found))

    return Claims(tell)


def slices(at_s: int) -> Claims:
    """Every SLO's slice, with the zone, the hours and the day that it is charged to."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        stamp = stage.stamp(at_s)
        assert stamp is not None, at_s
        own = (str(int(stamp[0])), stamp[0].hours.value, stamp[1])

        def slice_of(track: Track) -> tuple[str, ...] | None:
            bad = _number(track.past.slices[at_s // stage.step_s])
            return bad and (*own, *bad)

        expr = f'count_values by (zone, hours, day) ("bad", {_rounded(f"{names.SERIES_BAD_SLICE}{{{shard.matcher}}}")})'
        yield Claim(at_s, expr, _samples(("zone", "hours", "day", "bad"), _counted(shard.tracks(stage), slice_of)))

    return Claims(tell)


def burns(at_s: int) -> Claims:
    """Every SLO's burn rates over the windows of all speeds, which are those of the present hours."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        stamp = stage.stamp(at_s)
        assert stamp is not None, at_s
        hours = stamp[0].hours.value
        tiers = [tier for tier in stage.spec.tiers if tier.bad_share is None]
        for window_s in sorted({seconds for tier in tiers for seconds in (tier.long_s, tier.short_s)}):

            def burn_of(track: Track, window_s: int = window_s) -> tuple[str, ...] | None:
                burn = _number(track.burn(at_s, window_s))
                return burn and (hours, *burn)

            series = _rounded(f"{names.SERIES_BURN_RATE}:{duration(window_s)}{{{shard.matcher}}}")
            found = _counted(shard.tracks(stage), burn_of)
            yield Claim(at_s, f'count_values by (hours) ("burn", {series})', _samples(("hours", "burn"), found))

    return Claims(tell)


def worst(at_s: int) -> Claims:
    """The badness now of each SLO's worst group."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        each: dict[str, Fraction] = {}
        for found, track in shard.tracks(stage):
            if (bad := track.past.now(at_s)) is not None:
                each.update({member.slo.name: max(bad, each.get(member.slo.name, bad)) for member in found})
        counted = Counter(_number(bad) for bad in each.values())
        series = _rounded(f"max by (slo) ({names.SERIES_BAD_NOW}{{{shard.matcher}}})")
        yield Claim(at_s, f'count_values("bad", {series})', _samples(("bad",), counted))

    return Claims(tell)


def zone_is(at_s: int) -> Claims:
    """The zone of this moment, and no other: the one series whose labels say so, and the four that are 0 or 1."""

    def tell(stage: Stage, _: Shard) -> Iterator[Claim]:
        zone = stage.zone_at(at_s)
        yield Claim(at_s, f"max by (zone, hours) ({names.SERIES_ZONE_NOW})", ((f'{{zone="{zone:d}", hours="{zone.hours}"}}', "1"),))
        yield Claim(at_s, f"max by (zone) ({names.SERIES_ZONE_ACTIVE} == 1)", ((f'{{zone="{zone:d}"}}', "1"),))

    return Claims(tell)


def zone_minutes(at_s: int) -> Claims:
    """How many slices each zone has had so far."""

    def tell(stage: Stage, _: Shard) -> Iterator[Claim]:
        zones = Counter(stamp[0] for stamp in stage.stamps[: at_s // stage.step_s + 1] if stamp)
        samples = tuple(sorted((f'{{zone="{zone:d}"}}', str(count)) for zone, count in zones.items()))
        yield Claim(at_s, f"sum by (zone) (count_over_time({names.SERIES_ZONE_SLICE}[{duration(at_s)}]))", samples)

    return Claims(tell)


def bad_minutes(at_s: int) -> Claims:
    """Bad minutes of the local month, per zone."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        found: Counter[Any] = Counter()
        month = f"{stage.spec.calendar.to_local(stage.venue_s(at_s)):%Y%m}"
        for alike, track in shard.tracks(stage):
            for zone, bad in track.minutes(at_s).items():
                found[str(int(zone)), month, *(_number(bad) or ())] += len(alike)
        expr = f'count_values by (zone, month) ("minutes", {_rounded(f"{names.SERIES_BAD_MONTH}{{{shard.matcher}}}")})'
        yield Claim(at_s, expr, _samples(("zone", "month", "minutes"), found))

    return Claims(tell)


# Alerts


def alerts(at_s: int) -> Claims:
    """All alerts on SLOs that fire, with their severity and zone, and no others."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        found: Counter[Any] = Counter()
        for alike, track in shard.tracks(stage):
            firing = track.firing(at_s)
            if firing is None:
                return
            for each in firing:
                found[each] += len(alike)
        yield Claim(at_s, f"count by (alertname, severity, zone) ({shard.alerts(_tiers(stage))})", _samples(ALERT, found))

    return Claims(tell)


def alerts_by_name(at_s: int) -> Claims:
    """The same, SLO by SLO and group by group."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        found: dict[tuple[str, ...], int] = {}
        groups = sorted({label for member in shard.members for label, _ in member.group})
        for alike, track in shard.tracks(stage):
            firing = track.firing(at_s)
            if firing is None:
                return
            for member in alike:
                own = (member.slo.name, *(dict(member.group).get(label, "") for label in groups))
                found.update({(*own, *each): 1 for each in firing})
        labels = (names.LABEL_SLO, *groups, *ALERT)
        yield Claim(at_s, f"count by ({', '.join(labels)}) ({shard.alerts(_tiers(stage))})", _samples(labels, found))

    return Claims(tell, named=True)


def never(from_s: int, to_s: int, which: str) -> Claims:
    """No alert of that kind fires at any time in between."""

    def tell(_: Stage, shard: Shard) -> Iterator[Claim]:
        told = f'{which},alertname!="SloMissing"' if shard.is_part else which
        series = f"count_over_time({shard.alerts(told)}[{duration(to_s - from_s)}])"
        yield Claim(to_s, f"count by (alertname, slo, severity, zone) ({series})", ())

    return Claims(tell)


def paged(from_s: int, to_s: int) -> Claims:
    """Which SLOs page at any time in between, by whatever alert: mostly none."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        series = f"count_over_time({shard.alerts(f'{PAGES},{_tiers(stage)}')}[{duration(to_s - from_s)}])"
        yield from _those(stage, shard, to_s, f"group by (slo) ({series})", lambda track: _pages(track.ever(from_s, to_s)))

    return Claims(tell, named=True)


def paged_now(at_s: int) -> Claims:
    """Which SLOs page at a time, by whatever alert."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        expr = f"group by (slo) ({shard.alerts(f'{PAGES},{_tiers(stage)}')})"
        yield from _those(stage, shard, at_s, expr, lambda track: _pages(track.active(at_s)))

    return Claims(tell, named=True)


def missing(at_s: int) -> Claims:
    """Which SLOs have no slice at all, and open a ticket for it."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        own = "|".join(sorted({member.slo.name for member in shard.members}))
        expr = f"group by (slo) ({shard.alerts(f'{MISSING},slo=~{quote(own)}' if shard.is_part else MISSING)})"
        yield from _those(stage, shard, at_s, expr, lambda track: track.past.now(at_s) is None)

    return Claims(tell, named=True)


def spikes(at_s: int) -> Claims:
    """What the alert on the last slice says; the only one that may be asked when rules run every 15 s."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        found: Counter[Any] = Counter()
        for alike, track in shard.tracks(stage):
            for each in track.spiking(at_s):
                found[each] += len(alike)
        expr = f"count by (severity, zone) ({shard.alerts(SPIKE)})"
        yield Claim(at_s, expr, _samples(("severity", "zone"), found))

    return Claims(tell)


# Dollars


def money_pages(from_s: int, to_s: int) -> Claims:
    """The hour's dollars: the alert is there at the first minute at which they are lost, and not a minute before."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        money, losses = stage.spec.money, _losses(stage, shard)
        hour = money.budget_usd_per_month * money.page_share
        lost = (at for at in range(from_s, to_s + 1, 60) if _lost(losses, at, 3600) >= hour and _lost(losses, at, 300) >= hour / 12)
        first = next(lost, None)
        severity = stage.spec.default.terms[stage.zone_at(from_s)].severity
        if not losses or first is None or severity is Severity.NONE:
            return
        expr = 'count by (severity, zone) (ALERTS{alertname="PnlBudgetFastBurn",alertstate="firing"})'
        yield Claim(first - 60, expr, ())
        yield Claim(first, f"round(sum({names.SERIES_LOSS_HOUR}{VENUE}), 0.01)", (("{}", decimal(_lost(losses, first, 3600))),))
        zone = f"{stage.zone_at(first - 60):d}"
        yield Claim(first, expr, _samples(("severity", "zone"), {(severity.value, zone): 1}))

    return Claims(tell)


def money_spent(from_s: int, to_s: int) -> Claims:
    """The month's dollars: a ticket at the share that asks for one, and the freeze with the first minute at which nothing is left."""

    def tell(stage: Stage, shard: Shard) -> Iterator[Claim]:
        money, losses = stage.spec.money, _losses(stage, shard)
        budget = money.budget_usd_per_month
        left = {at: budget - _lost(losses, at, at + 60) for at in range(from_s, to_s + 1, 60)}
        half = next((at for at, usd in left.items() if usd <= budget * (1 - money.ticket_share)), None)
        none = next((at for at, usd in left.items() if usd <= 0), None)
        for at, alert in ((half, "PnlBudgetHalfSpent"), (none, "ChangeFreeze")):
            if not losses or at is None or at <= from_s:
                continue
            firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing",severity="ticket"}})'
            yield Claim(at - 60, firing, ())
            yield Claim(at, firing, (("{}", "1"),))
            yield Claim(at, f"round(sum({names.SERIES_BUDGET_REMAINING}), 0.01)", (("{}", decimal(left[at])),))
            yield Claim(at - 60, f"sum({names.SERIES_CHANGE_FREEZE})", (("{}", "0"),))
            yield Claim(at, f"sum({names.SERIES_CHANGE_FREEZE})", (("{}", "0" if left[at] > 0 else "1"),))

    return Claims(tell)


def _losses(stage: Stage, shard: Shard) -> tuple[tuple[int, Fraction], ...]:
    """The venue's dollars, slice by slice: the worst SLO's badness by its share of the cost. () when an SLO that no series can be made up
    for may be bad as well."""
    if shard.is_spoilt:
        return ()
    shares = [(track, max(member.slo.policy.cost_share for member in alike)) for alike, track in shard.tracks(stage)]
    found = []
    for index, stamp in enumerate(stage.stamps):
        bad = max((bad * share for track, share in shares if (bad := track.past.slices[index])), default=Fraction(0))
        if stamp and bad:
            found.append((index * stage.step_s, bad * stage.spec.default.terms[stamp[0]].cost_usd_per_minute))
    return tuple(found)


def _lost(losses: tuple[tuple[int, Fraction], ...], at_s: int, window_s: int) -> Fraction:
    return sum((usd for when_s, usd in losses if at_s - window_s < when_s <= at_s), Fraction(0))


# Helpers

ALERT = ("alertname", names.LABEL_SEVERITY, names.LABEL_ZONE)
MISSING = 'alertname="SloMissing"'
SPIKE = f'{names.LABEL_TIER}="spike"'
PAGES = f'{names.LABEL_SEVERITY}="{Severity.PAGE}"'


def _tiers(stage: Stage) -> str:
    return f'{names.LABEL_TIER}=~"{"|".join(tier.name for tier in stage.spec.tiers)}"'


def _pages(firing: set[Firing] | None) -> bool | None:
    return None if firing is None else any(severity == Severity.PAGE for _, severity, _ in firing)


def _those(stage: Stage, shard: Shard, at_s: int, expr: str, test: Callable[[Track], bool | None]) -> Iterator[Claim]:
    """The SLOs of which something is true; nothing is claimed when it is too near to say for one of them."""
    tested = [(alike, test(track)) for alike, track in shard.tracks(stage)]
    if all(result is not None for _, result in tested):
        found = {(member.slo.name,): 1 for alike, result in tested if result for member in alike}
        yield Claim(at_s, expr, _samples((names.LABEL_SLO,), found))


def _counted(tracks: list[tuple[list[Member], Track]], key: Callable[[Track], tuple[str, ...] | None]) -> Mapping[Any, int]:
    found: Counter[Any] = Counter()
    for alike, track in tracks:
        if (own := key(track)) is not None:
            found[own] += len(alike)
    return found


def _number(value: Fraction | None) -> tuple[str] | None:
    """As `round(x, 0.0001)` gives it and `count_values` writes it."""
    if value is None:
        return None
    scale = 10**DECIMALS
    return (decimal(Fraction((2 * value.numerator * scale + value.denominator) // (2 * value.denominator), scale)),)


def _rounded(expr: str) -> str:
    return f"round({expr}, {decimal(Fraction(1, 10**DECIMALS))})"


def _samples(labels: tuple[str, ...], found: Mapping[Any, int]) -> tuple[tuple[str, str], ...]:
    """`found`: how many of each tuple of the labels' values."""
    lines = (
        ("{" + ", ".join(f"{key}={quote(value)}" for key, value in zip(labels, each, strict=True) if value) + "}", each) for each in found
    )
    return tuple((text, str(found[each])) for text, each in sorted(lines))
