"""What happens to the venue in a generated test: timelines, the input series they make, and the badness that must come of them.

A timeline is told in samples of 15 s, the way Prometheus scrapes: "healthy for 30 minutes, then every event bad for 20". From one timeline
comes both sides of a proof, by two ways that share nothing with the rules: `values` writes the series that promtool feeds to the rules, and
`badness` says in exact fractions what the rules must make of them. So a test's figures are computed, never copied from what came out.

Counters start at a large value, as on a process that has run for a while: Prometheus never extrapolates below zero, and would count a
counter that starts at zero differently from one that does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from ops.slo.model import Events, Freshness, Idle, Latency, NoData, Probe, Raw, Selector, Slo, Threshold
from ops.slo.promql import decimal
from ops.slo.proof_labels import FILLER, Labels, labels_for, meets, outside

STEP_S = 15
"""Between two samples of the input."""
RATE = 1500
"""Events in a step: 100 a second."""
BASE = 1_000_000
"""What counters begin with."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`steps` samples alike. `total` and `bad` are events a step; `gone` means that the target does not answer."""

    steps: int
    total: int = RATE
    bad: int = 0
    gone: bool = False
    leap_s: int = 0
    """How far the venue's clock is ahead of the test's: a test of several days leaves out most of them."""

    @property
    def is_down(self) -> bool:
        """Everything is bad: for gauges, which know no shares, the only kind of bad."""
        return 0 < self.total == self.bad


Timeline = tuple[Segment, ...]
"""The first segment also holds the sample at time 0."""


def minutes(count: int) -> int:
    """Samples in so many minutes."""
    return count * 60 // STEP_S


def healthy(steps: int) -> Segment:
    return Segment(steps)


def broken(steps: int, share: Fraction = Fraction(1)) -> Segment:
    """A failure of everything, or of a share of the events."""
    return Segment(steps, bad=int(RATE * share))


def gone(steps: int) -> Segment:
    return Segment(steps, gone=True)


def quiet(steps: int) -> Segment:
    """Targets answer, nothing happens."""
    return Segment(steps, total=0)


def length(timeline: Timeline) -> int:
    """Steps of it all."""
    return sum(segment.steps for segment in timeline)


# The series of an SLO


@dataclass(frozen=True, slots=True)
class Series:
    """One input series: its name with labels, quoted for YAML, and what it does: one of the roles of `values`."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Member:
    """One group of an SLO: the labels it is judged under and the series that feed it."""

    slo: Slo
    group: tuple[tuple[str, str], ...]
    series: tuple[Series, ...]


def members(slo: Slo, exchange: str, groups: int = 1) -> tuple[Member, ...]:
    """The SLO with the series of up to `groups` groups; fewer when its selectors fix the labels it is grouped by. () when no series can be
    made up for it (an expression of its own): such an SLO is left out of the figures."""
    found: list[Member] = []
    for number in range(1, groups + 1 if slo.group_by else 2):
        own = {label: f"{FILLER}{number}" for label in slo.group_by}
        try:
            series = tuple(_series(slo, exchange, own))
        except ValueError:
            return ()
        labels = _labels(_main(slo), exchange, own) if series else {}
        group = tuple((label, labels[label]) for label in slo.group_by)
        if series and group not in [member.group for member in found]:
            found.append(Member(slo, group, series))
    return tuple(found)


def _main(slo: Slo) -> Selector:
    match slo.sli:
        case Events(total=total):
            return total
        case Latency(histogram=histogram):
            return histogram
        case Freshness(timestamp=timestamp):
            return timestamp
        case Probe(metric=metric) | Threshold(metric=metric):
            return metric
        case Raw():
            return Selector("")


def _series(slo: Slo, exchange: str, own: Labels) -> Iterator[Series]:
    match slo.sli:
        case Events():
            yield from _counters(slo.sli, exchange, own)
        case Latency(histogram, threshold):
            labels = _labels(histogram, exchange, own)
            yield Series(_name(f"{histogram.metric}_count", labels), "total")
            yield Series(_name(f"{histogram.metric}_bucket", {**labels, "le": decimal(threshold)}), "good")
        case Freshness(timestamp=selector):
            yield Series(_name(selector.metric, _labels(selector, exchange, own)), "timestamp")
        case Probe(metric=selector):
            yield Series(_name(selector.metric, _labels(selector, exchange, own)), "probe")
        case Threshold(metric=selector, above=above, below=below):
            limit, sign = (above, 1) if above is not None else (below or Fraction(0), -1)
            role = f"gauge {float(limit):.15g} {float(limit + sign):.15g}"  # the bound itself is still good
            yield Series(_name(selector.metric, _labels(selector, exchange, own)), role)
        case Raw():
            return


def _counters(sli: Events, exchange: str, own: Labels) -> Iterator[Series]:
    """The total, and the bad or the good. When the part is counted inside the total (the same metric, more matchers), the total's own
    series is what remains of it."""
    part, role, rest = (sli.bad, "bad", "good") if sli.bad else (sli.good, "good", "bad")
    assert part is not None
    labels, part_labels = _labels(sli.total, exchange, own), _labels(part, exchange, own)
    if part.metric == sli.total.metric:
        if not meets(part_labels, sli.total.where):
            merged = {**labels, **part_labels}
            part_labels = merged if meets(merged, part.where) and meets(merged, sli.total.where) else part_labels
        other = outside(labels, part.where, sli.total.where)
        if meets(part_labels, sli.total.where) and other is not None:
            yield Series(_name(sli.total.metric, other), rest)
            yield Series(_name(part.metric, part_labels), role)
            return
    yield Series(_name(sli.total.metric, labels), "total")
    yield Series(_name(part.metric, part_labels), role)


def _labels(selector: Selector, exchange: str, own: Labels) -> dict[str, str]:
    fixed = labels_for(selector.where)
    free = {label: value for label, value in own.items() if label not in fixed}
    labels = {"exchange": exchange, **free, **fixed}
    if not meets(labels, selector.where):
        raise ValueError(f"{selector.metric}: no labels meet {selector.where}")
    return labels


def _name(metric: str, labels: Labels) -> str:
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return "'" + f"{metric}{{{inside}}}".replace("'", "''") + "'"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# The series as text


@lru_cache(maxsize=4096)
def values(role: str, timeline: Timeline, start_s: int) -> str:
    """What promtool is to feed: '1000000+1500x120 stale _x39 1000000+1500x40'. Roles: total, bad, good (counters), probe, timestamp, and
    'gauge <healthy> <broken>'."""
    parts, last, was_gone, at = [], 0, True, 0
    for index, segment in enumerate(timeline):
        more = segment.steps - (1 if index else 0)
        if segment.gone:
            parts.append(("stale" if index else "_") + (f" _x{more}" if more else ""))
        else:
            first, step = _line(role, segment, last, was_gone, start_s + segment.leap_s + (at + (1 if index else 0)) * STEP_S)
            parts.append(f"{first}+{step}x{more}")
            last = int(float(first)) + more * step
        was_gone, at = segment.gone, at + segment.steps
    return " ".join(parts)


def _line(role: str, segment: Segment, last: int, is_new: bool, now_s: int) -> tuple[str, int]:
    """The first value of a segment and what each further sample adds."""
    if role in {"total", "bad", "good"}:
        rate = {"total": segment.total, "bad": segment.bad, "good": segment.total - segment.bad}[role]
        return str(BASE if is_new else last + rate), rate
    if role == "timestamp":
        return (str(last), 0) if segment.is_down else (str(now_s), STEP_S)
    if role == "probe":
        return ("0" if segment.is_down else "1"), 0
    _, good, bad = role.split()
    return (bad if segment.is_down else good), 0


# What must come of it


@dataclass(frozen=True, slots=True)
class Judge:
    """All of an SLO that decides its badness: SLOs that are alike in it are computed once."""

    kind: str
    steps: int
    no_data: NoData
    idle: Idle
    minimum_events: int
    stale_after_s: Fraction

    @classmethod
    def of(cls, slo: Slo) -> Judge:
        """What decides the badness of this SLO."""
        kind = "events" if isinstance(slo.sli, (Events, Latency)) else type(slo.sli).__name__.lower()
        bound = slo.sli.threshold_s if isinstance(slo.sli, Freshness) else Fraction(0)
        return cls(kind, slo.slice_s // STEP_S, slo.no_data, slo.idle, slo.minimum_events, bound)


class Course:
    """A timeline as running sums, so that any window of it costs the same."""

    def __init__(self, timeline: Timeline) -> None:
        runs = [(segment.steps + (not index), segment) for index, segment in enumerate(timeline)]
        """How many samples, and of what: the first segment also holds the one at time 0."""
        self.gone = [segment.gone for steps, segment in runs for _ in range(steps)]
        self.total = _summed((steps, segment.total if is_counted else 0) for steps, segment, is_counted in _counted(timeline))
        self.bad = _summed((steps, segment.bad if is_counted else 0) for steps, segment, is_counted in _counted(timeline))
        self.seen = _summed((steps, not segment.gone) for steps, segment in runs)
        self.down = _summed((steps, segment.is_down) for steps, segment in runs)
        self.good_at: list[int] = []
        """The last sample that was not down."""
        for steps, segment in runs:
            at = len(self.good_at)
            self.good_at += [self.good_at[-1] if at else 0] * steps if segment.is_down else range(at, at + steps)


def _counted(timeline: Timeline) -> Iterator[tuple[int, Segment, bool]]:
    """The steps from sample to sample, and whether a counter's increase is seen: it is where there are samples at both ends."""
    was_gone = False
    for segment in timeline:
        lost = segment.steps if segment.gone else int(was_gone)
        yield lost, segment, False
        yield segment.steps - lost, segment, True
        was_gone = segment.gone


def _summed(runs: Iterable[tuple[int, int]]) -> list[int]:
    """Running sums, 0 first, of so many times the same."""
    sums = [0]
    for times, each in runs:
        last = sums[-1]
        sums += range(last + each, last + each * times + 1, each) if each else [last] * times
    return sums


@lru_cache(maxsize=256)
def course(timeline: Timeline) -> Course:
    """The running sums of a timeline, made once."""
    return Course(timeline)


def badness(judge: Judge, timeline: Timeline, at: int) -> Fraction | None:
    """The badness at a sample; None where there is to be no slice.

    Prometheus 2 counts both ends of a window, so that one of 60 s holds five samples of 15 s."""
    way, first = course(timeline), max(at - judge.steps, 0)
    if at == 0:
        return None
    if way.gone[at]:
        return {NoData.BAD: Fraction(1), NoData.GOOD: Fraction(0), NoData.IGNORE: None}[judge.no_data]
    if judge.kind == "freshness":
        return Fraction((at - way.good_at[at]) * STEP_S > judge.stale_after_s)
    if judge.kind in {"threshold", "probe"}:
        down, seen = way.down[at + 1] - way.down[first], way.seen[at + 1] - way.seen[first]
        return Fraction(down > 0) if judge.kind == "threshold" else Fraction(down, seen)
    total = way.total[at] - way.total[first]
    if total < max(judge.minimum_events, 1):
        return {Idle.GOOD: Fraction(0), Idle.BAD: Fraction(1), Idle.IGNORE: None}[judge.idle]
    return Fraction(way.bad[at] - way.bad[first], total)
