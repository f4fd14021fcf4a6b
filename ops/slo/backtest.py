"""Which alerts would have fired: the generated rules' arithmetic over a Prometheus' history, for rules that it never loaded.

`run` asks for the raw badness of each SLO, for the volatility index, the override of zones, and for when the server scraped at all; what
the alerts make of it is computed by `simulate`.

A time in which the server did not scrape has no slices, as it would have had none; how much is known is part of the answer, and a gap is no
good news. Differences to a live Prometheus that remain: its groups are not aligned to the minute, and dollars of the month are counted from
the start of the history that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from ops import conventions as names
from ops.errors import UsageError
from ops.ports import Queries, Series
from ops.session import Calendar, Zone
from ops.slo import sli
from ops.slo import zones as zone_rules
from ops.slo.budget import group_of
from ops.slo.model import Events, Idle, Latency, Severity, Slo, Spec
from ops.slo.simulate import DOLLAR_WINDOW_S, SLICE_S, Firing, History, Minutes, Sums, Track, simulate, venue_slices

LONGEST_SLICE_S = 600
FINE_STEP_S, COARSE_STEP_S = 15, 60
FINE_UP_TO_S = 4 * 86400
"""Longer times are judged once a minute, spikes too."""
LONGEST_S = 62 * 86400
PRESENCE_S = 60

Say = Callable[[str], None]
Grid = list[tuple[Mapping[str, str], list[float | None]]]
"""The series of an answer: labels, and a value (or None) for each step."""
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Backtest:
    """The answer. `zones` and `gaps` are (start, end) of stretches within the time asked for."""

    exchange: str
    timezone: str
    start_s: int
    end_s: int
    step_s: int
    slos: tuple[str, ...]
    firings: tuple[Firing, ...]
    zones: tuple[tuple[int, int, Zone], ...]
    gaps: tuple[tuple[int, int], ...]
    known: Mapping[str, float]
    """Share of the slices that are there, by SLO."""
    loss_usd: float
    """Of the venue, in the time asked for."""

    @property
    def pages(self) -> int:
        return sum(firing.severity is Severity.PAGE for firing in self.firings)

    @property
    def tickets(self) -> int:
        return sum(firing.severity is Severity.TICKET for firing in self.firings)


# Asking


def run(spec: Spec, queries: Queries, start_s: float, end_s: float, say: Say) -> Backtest:
    """What the spec's alerts would have said between two Unix times. `say` is told each step. Raises UsageError, MetricsUnavailable."""
    first_s, last_s = int(start_s) // SLICE_S * SLICE_S, int(end_s) // SLICE_S * SLICE_S
    if first_s >= last_s:
        raise UsageError("the time to look at is empty", hint="let --from be at least a minute before --to")
    if last_s - first_s > LONGEST_S:
        raise UsageError(f"more than {LONGEST_S // 86400} days at once are too many", hint="take a month at a time")
    history = ask(spec, queries, first_s, last_s, say)
    say("judging")
    found = judge(spec, history, first_s, last_s)
    for since_s, until_s in found.gaps:
        since, until = (spec.calendar.to_local(at_s).strftime("%Y-%m-%d %H:%M") for at_s in (since_s, until_s))
        say(f"note: no history from {since} to {until}: what happened then is unknown")
    return found


def judge(spec: Spec, history: History, start_s: int, end_s: int) -> Backtest:
    """The answer for the part of a history that was asked for; what comes before it only fills the windows."""
    fired = tuple(firing for firing in simulate(spec, history) if firing.end_s > start_s)
    return Backtest(
        exchange=spec.exchange,
        timezone=spec.calendar.timezone,
        start_s=start_s,
        end_s=end_s,
        step_s=history.step_s,
        slos=tuple(slo.name for slo in spec.slos),
        firings=fired,
        zones=tuple(_stretches(history, history.zones, start_s, end_s)),
        gaps=tuple((a, b) for a, b, known in _stretches(history, history.known, start_s, end_s) if not known),
        known=_known_shares(spec, history, start_s),
        loss_usd=_lost(spec, history, start_s),
    )


def ask(spec: Spec, queries: Queries, start_s: int, end_s: int, say: Say) -> History:
    """The history from before `start_s` (as long as the longest window) to `end_s`. Raises MetricsUnavailable."""
    step_s = FINE_STEP_S if end_s - start_s <= FINE_UP_TO_S else COARSE_STEP_S
    begin_s = start_s - max(DOLLAR_WINDOW_S, *(tier.long_s for tier in spec.tiers)) - LONGEST_SLICE_S
    steps = (end_s - begin_s) // step_s + 1

    def grid(query: str) -> Grid:
        return [(series.labels, _on_grid(series, begin_s, step_s, steps)) for series in queries.range(query, begin_s, end_s, step_s)]

    say("when the server was there")
    window = f"[{max(PRESENCE_S, 4 * spec.scrape_interval_s)}s]"
    known = [value is not None for value in _merged(grid(f"count(count_over_time(up{window}))"), steps, max)]
    if not any(known):
        raise UsageError(
            "this Prometheus has no history of that time", hint="ask for a later time; `opsctl slo check --live` tells how much it keeps"
        )
    zones = _zones(spec, grid, begin_s, step_s, steps)
    tracks: list[Track] = []
    quiet: dict[str, list[bool]] = {}
    for number, slo in enumerate(spec.slos, 1):
        say(f"{slo.name} ({number} of {len(spec.slos)})")
        found = grid(_expression(sli.bad_ratio(slo, spec.exchange, spec.scrape_interval_s))) or [({}, [None] * steps)]
        tracks += [Track(slo.name, group_of(labels), _measured(slo, got, known, zones, step_s)) for labels, got in found]
        if slo.idle is Idle.IGNORE and isinstance(slo.sli, Events | Latency):
            there = _merged(grid(f"count({sli.present(slo, spec.exchange)})"), steps, max)
            quiet[slo.name] = [value is not None for value in there]
    return History(begin_s, step_s, zones, known, tuple(tracks), quiet)


def _expression(expr: str) -> str:
    """The SLI without series that only loaded rules would have recorded: the clock, and the hold of long slices (see `_measured`)."""
    body, held, _ = expr.rpartition(f"\n) * scalar(group({names.SERIES_ZONE_SLICE}")
    return (body.removeprefix("(\n") if held else expr).replace(names.SERIES_CLOCK, "vector(time())")


def _measured(slo: Slo, values: list[float | None], known: Sequence[bool], zones: Sequence[Zone], step_s: int) -> list[float | None]:
    """What the rule would have recorded: nothing while there was no server, bad for what is no number, and 0 for a slice of more than a
    minute that began in other hours than its last minute."""
    back, last = slo.slice_s // step_s, SLICE_S // step_s
    found: list[float | None] = []
    for step, (value, there) in enumerate(zip(values, known, strict=True)):
        if value is None or not there:
            found.append(None)
        elif back > last and (step < back or zones[step - back].hours is not zones[step - last].hours):
            found.append(0.0)
        else:
            found.append(1.0 if math.isnan(value) else value)
    return found


def _zones(spec: Spec, grid: Callable[[str], Grid], begin_s: int, step_s: int, steps: int) -> list[Zone]:
    calendar = spec.calendar
    high: list[float | None] = [1.0] * steps
    if calendar.volatility is not None:
        high = _merged(grid(zone_rules.volatility_high(spec.exchange, calendar.volatility)), steps, max)
    override = _merged(grid(f'{names.SERIES_ZONE_OVERRIDE}{{exchange="{spec.exchange}"}} >= 1 <= 4'), steps, min)
    found = zones_of(calendar, begin_s, step_s, [value != 0 for value in high])
    return [zone if own is None else Zone(round(own)) for zone, own in zip(found, override, strict=True)]


def zones_of(calendar: Calendar, begin_s: int, step_s: int, volatile: Sequence[bool]) -> list[Zone]:
    """The calendar's zone at each step; `volatile` says at which the index counts as high."""
    end_s = begin_s + step_s * len(volatile)
    found: list[Zone] = []
    for _, until_s, zone in calendar.spans(begin_s, end_s):
        while len(found) < len(volatile) and begin_s + step_s * len(found) < until_s:
            calm = zone is Zone.VOLATILE and not volatile[len(found)]
            found.append(Zone.REGULAR if calm else zone)
    return found


def _on_grid(series: Series, begin_s: int, step_s: int, steps: int) -> list[float | None]:
    values: list[float | None] = [None] * steps
    for at_s, value in series.points:
        index = round((at_s - begin_s) / step_s)
        if 0 <= index < steps:
            values[index] = value
    return values


def _merged(found: Grid, steps: int, choose: Callable[[list[float]], float]) -> list[float | None]:
    if not found:
        return [None] * steps
    columns = zip(*(values for _, values in found), strict=True)
    return [choose(held) if (held := [v for v in column if v is not None]) else None for column in columns]


def _stretches(history: History, values: Sequence[_Value], start_s: int, end_s: int) -> Iterator[tuple[int, int, _Value]]:
    """(start, end, value) of steps alike, cut to the time asked for."""
    index = 0
    for value, run_of in groupby(values):
        since_s = history.start_s + index * history.step_s
        index += sum(1 for _ in run_of)
        until_s = history.start_s + index * history.step_s
        if until_s > start_s and since_s < end_s:
            yield max(since_s, start_s), min(until_s, end_s), value


def _known_shares(spec: Spec, history: History, start_s: int) -> Mapping[str, float]:
    """An SLO of several groups is known as well as its best known group: others may have come later."""
    minutes = Minutes(history)
    first = max(0, (start_s - history.start_s) // SLICE_S)
    shares = {slo.name: 0.0 for slo in spec.slos}
    for track in history.tracks:
        slices = minutes.slices(track)[first:]
        shares[track.slo] = max(shares[track.slo], sum(value is not None for value in slices) / max(1, len(slices)))
    return shares


def _lost(spec: Spec, history: History, start_s: int) -> float:
    minutes = Minutes(history)
    sums = Sums(minutes, venue_slices(spec, minutes), spec.default)
    return sums.cost(start_s + SLICE_S, history.start_s + len(history.zones) * history.step_s)
