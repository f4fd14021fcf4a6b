"""Indicators of OpenSLO as ours: which kind says the same, and PromQL of its own (`raw`) where none does.

A result is the lines of our spec, not a model value: it is read by a person first, and by `parse` after that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from ops.conventions import RESERVED_LABELS
from ops.slo.openslo_promql import WINDOW, Series, readable, series, windowed
from ops.slo.openslo_read import Fields, File
from ops.slo.promql import decimal
from ops.specs import parse_number

SPEAKS_PROMQL = ("prometheus", "thanos", "mimir", "cortex", "victoriametrics")
MIN_SLICE_S, MAX_SLICE_S = 60, 600
MIN_FRESHNESS_S = 45
"""Three scrapes of 15 s, below which `parse` refuses an age taken from outside."""
EXCHANGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
COUNTER_SUFFIXES = ("_total", "_count", "_sum", "_bucket")
_OPPOSITE = {"lte": ">", "lt": ">=", "gte": "<", "gt": "<="}
"""What is bad when this is good."""


class Unsaid(Exception):
    """An SLO that our spec cannot say; the message has its place. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One objective, with the method by which its budget is counted."""

    place: Fields
    method: str
    objective: Fraction
    slice_s: int
    op: str
    value: Fraction | None
    slice_target: Fraction | None
    """Timeslices only: the share of good events that makes a slice good."""


@dataclass(frozen=True, slots=True)
class Indicator:
    kind: str
    settings: Mapping[str, str]
    """As YAML values, in order."""
    exchange: str = ""
    """Of the queries' own matcher, which the generator writes again."""
    group_by: tuple[str, ...] = ()
    counts: bool = False
    """Counts events, so that it knows idle slices."""
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Query:
    place: Fields
    text: str
    found: Series | None


def indicator(spec: Fields, goal: Goal, file: File) -> Indicator:
    """Raises UsageError for what is not OpenSLO, Unsaid for what is and yet not ours."""
    ratio, threshold = spec.maybe("ratioMetric"), spec.maybe("thresholdMetric")
    if (ratio is None) == (threshold is None):
        raise spec.error("ratioMetric", "exactly one of ratioMetric and thresholdMetric must be there")
    if threshold is not None:
        return _threshold(_query(threshold, "thresholdMetric", file), goal)
    assert ratio is not None
    if not ratio.is_empty("raw"):
        return _stored(ratio, goal, file)
    sides = [side for side in ("good", "bad") if not ratio.is_empty(side)]
    if len(sides) != 1 or ratio.is_empty("total"):
        raise ratio.error("total", "a ratio needs total and one of good and bad, or raw")
    total, part = (_query(ratio.fields(side), side, file) for side in ("total", sides[0]))
    return _ratio(ratio, sides[0], total, part, goal)


def quoted(text: str) -> str:
    """A YAML scalar in quotes: single ones where double ones would need escapes."""
    if '"' in text and text.isascii() and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _query(metric: Fields, side: str, file: File) -> _Query:
    source = metric.fields("metricSource")
    kind = source.text("type", "")
    reference = source.text("metricSourceRef", "")
    if reference:
        declared = file.find("DataSource", reference)
        if declared is not None:
            kind = declared.spec.text("type")
        elif not kind:
            file.notes.append(source.note("metricSourceRef", f"DataSource {reference!r} is not in this file; taken for a Prometheus"))
    if kind and kind.lower() not in SPEAKS_PROMQL:
        raise Unsaid(source.note("type", f"the {side} query is for {kind}; only PromQL can become rules"))
    inner = source.fields("spec")
    text = inner.text("query").strip()
    text = text if "#" in text else " ".join(line.strip() for line in text.splitlines())
    try:
        return _Query(inner, readable(text), series(text))
    except ValueError as error:
        raise inner.error("query", str(error)) from error


def _ratio(ratio: Fields, side: str, total: _Query, part: _Query, goal: Goal) -> Indicator:
    is_counter = ratio.flag("counter")
    plain = _counters(total, part, is_counter)
    if plain is None or goal.slice_target is not None:
        return _computed(side, total, part, goal, counters=is_counter is not False)
    whole, some = plain
    if some == whole:
        raise part.place.error("query", f"reads the same series as total, so that every event is {side}")
    notes = _ratio_notes(ratio, goal, is_counter is None and not (whole.counted and some.counted))
    exchange, groups = _venue(whole, some), _groups(total.place, whole)
    whole, some = (_own(each, exchange) for each in (whole, some))
    latency = _latency(side, whole, some)
    if latency is not None:
        return Indicator("latency", latency, exchange, groups, True, notes)
    settings = {"total": whole.metric, side: some.metric}
    for name, each in (("total_where", whole), (f"{side}_where", some)):
        settings |= {name: quoted(each.where)} if each.matchers else {}
    return Indicator("events", settings, exchange, groups, True, notes)


def _ratio_notes(ratio: Fields, goal: Goal, unsure: bool) -> tuple[str, ...]:
    notes = (ratio.note("counter", "is not said; taken for counters"),) if unsure else ()
    return (*notes, goal.place.note("", _EVENTS_WEIGH)) if goal.method == "Occurrences" else notes


_EVENTS_WEIGH = (
    "Occurrences weighs each event alike; here each slice weighs alike, by its share of bad events. "
    "A busy minute counts as much as a quiet one (RatioTimeslices says that)"
)


def _counters(total: _Query, part: _Query, is_counter: bool | None) -> tuple[Series, Series] | None:
    """Both as series that can be counted anew in each slice; None when one of them is something else."""
    found = [query.found for query in (total, part)]
    if None in found:
        return None
    whole, some = (each for each in found if each is not None)
    for each in (whole, some):
        if each.averaged or each.aged or each.across not in ("", "sum") or (is_counter is False and not each.counted):
            return None
    if sorted(set(whole.by) - {"le"}) != sorted(set(some.by) - {"le"}):
        return None
    same_venue = len({each.equal("exchange") for each in (whole, some)} - {""}) <= 1
    return (whole, some) if same_venue and _is_of_one_venue(whole) and _is_of_one_venue(some) else None


def _is_of_one_venue(each: Series) -> bool:
    """Whether the generator's own matcher can stand in place of what the query says of the venue."""
    named = [(sign, value) for label, sign, value in each.matchers if label == "exchange"]
    return not named or (len(named) == 1 and named[0][0] == "=" and EXCHANGE.fullmatch(named[0][1]) is not None)


def _venue(*found: Series) -> str:
    return next((each.equal("exchange") for each in found if each.equal("exchange")), "")


def _own(each: Series, exchange: str) -> Series:
    """Without the matcher of the venue, which the generator writes."""
    return each.without("exchange") if exchange else each


def _groups(place: Fields, each: Series) -> tuple[str, ...]:
    labels = tuple(label for label in dict.fromkeys(each.by) if label not in ("le", "exchange"))
    for label in labels:
        if label in RESERVED_LABELS:
            raise Unsaid(place.note("query", f"groups by {label}, a label that generated rules write themselves"))
    return labels


def _latency(side: str, whole: Series, some: Series) -> dict[str, str] | None:
    base, bound = some.metric.removesuffix("_bucket"), some.equal("le")
    is_all = whole.metric == f"{base}_count" or (whole.metric == some.metric and whole.equal("le") == "+Inf")
    if side != "good" or base == some.metric or not is_all:
        return None
    if whole.without("le").matchers != some.without("le").matchers:
        return None
    try:
        seconds = parse_number(bound)
    except ValueError:
        return None
    where = some.without("le").where
    settings = {"histogram": base, "threshold": _span(seconds)}
    return settings | ({"where": quoted(where)} if where else {}) if seconds > 0 else None


def _span(seconds: Fraction) -> str:
    return f"{decimal(seconds)}s" if seconds >= 1 else f"{decimal(seconds * 1000)}ms"


def _computed(side: str, total: _Query, part: _Query, goal: Goal, counters: bool) -> Indicator:
    """A ratio in PromQL of its own. Without events it is good; without series there is none, and `no_data` decides."""
    whole, some = (_summed(query, counters) for query in (total, part))
    bad = f"({some} or 0 * {whole}) / ({whole} > 0)"
    bad = bad if side == "bad" else f"1 - {bad}"
    if goal.slice_target is not None:
        bad = f"({bad}) > bool {decimal(1 - goal.slice_target)}"
    notes = (goal.place.note("", _EVENTS_WEIGH),) if goal.method == "Occurrences" else ()
    found = total.found
    groups = _groups(total.place, found) if found is not None else ()
    return _raw(part, f"({bad}) or 0 * {whole}", groups, notes)


def _raw(query: _Query, text: str, groups: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> Indicator:
    """PromQL of its own. Raises UsageError when the query gives no series to make a ratio of: a bare number, a range."""
    try:
        readable(f"max({text})".replace(WINDOW, "1m"))
    except ValueError as error:
        raise query.place.error("query", f"gives nothing to judge a slice by: {error}") from error
    return Indicator("raw", {"bad_ratio": quoted(text)}, group_by=groups, notes=notes)


def _summed(query: _Query, counters: bool) -> str:
    each = query.found
    if each is None or each.averaged or each.aged or each.across not in ("", "sum"):
        return f"({windowed(query.text)})"
    labels = tuple(label for label in each.by if label != "le")
    group = f" by ({', '.join(labels)})" if labels else ""
    function = "increase" if counters or each.counted else "avg_over_time"
    return f"sum{group} ({function}({each.metric}{{{each.where}}}[{{{{window}}}}]))"


def _stored(ratio: Fields, goal: Goal, file: File) -> Indicator:
    """`raw`: a ratio that something else has computed."""
    for side in ("good", "bad", "total"):
        if not ratio.is_empty(side):
            raise ratio.error(side, "cannot stand beside raw")
    is_good = ratio.choice("rawType", ("success", "failure")) == "success"
    query = _query(ratio.fields("raw"), "raw", file)
    each, group = query.found, ""
    if each is not None and not (each.counted or each.aged) and each.across in ("", "avg") and _is_of_one_venue(each):
        exchange = _venue(each)
        own, groups = _own(each, exchange), _groups(query.place, each)
        if is_good and goal.slice_target is None and not each.metric.endswith(COUNTER_SUFFIXES):
            settings = {"metric": own.metric} | ({"where": quoted(own.where)} if own.matchers else {})
            return Indicator("probe", settings, exchange, groups)
        group = f" by ({', '.join(groups)})" if groups else ""
        text = f"avg{group} (avg_over_time({each.metric}{{{each.where}}}[{{{{window}}}}]))"
    else:
        text, groups = windowed(query.text), ()
    text = f"1 - ({text})" if is_good else text
    if goal.slice_target is not None:
        text = f"({text}) > bool {decimal(1 - goal.slice_target)}"
    return _raw(query, text, groups)


def _threshold(query: _Query, goal: Goal) -> Indicator:
    if goal.op not in _OPPOSITE:
        raise goal.place.error("op", "a thresholdMetric needs one of lte, lt, gte, gt")
    if goal.value is None:
        raise goal.place.error("value", "is missing: a thresholdMetric is compared with it")
    notes: tuple[str, ...] = ()
    if goal.method != "Timeslices" or goal.slice_target != 1:
        notes = (
            goal.place.note("", "a slice is bad here as soon as one sample in it is on the wrong side; OpenSLO counts the share of them"),
        )
    found = _known_threshold(query, goal)
    if found is not None:
        kind, settings, exchange, groups = found
        return Indicator(kind, settings, exchange, groups, notes=notes)
    each = query.found
    if each is not None and each.across == "" and not (each.counted or each.averaged or each.aged):
        worst = "max_over_time" if goal.op in ("lte", "lt") else "min_over_time"
        text = f"{worst}({each.metric}{{{each.where}}}[{{{{window}}}}])"
    else:
        text = windowed(query.text)
    text = f"max(({text}) {_OPPOSITE[goal.op]} bool {decimal(goal.value)})"
    return _raw(query, text, notes=notes)


def _known_threshold(query: _Query, goal: Goal) -> tuple[str, dict[str, str], str, tuple[str, ...]] | None:
    """threshold or freshness, when one of them judges just so."""
    each, value = query.found, goal.value
    if each is None or value is None or each.counted or each.averaged or each.metric.endswith(COUNTER_SUFFIXES):
        return None
    worst = {"lte": "max", "gte": "min"}.get(goal.op)
    if worst is None or each.across not in ("", worst) or not _is_of_one_venue(each):
        return None
    exchange, groups = _venue(each), _groups(query.place, each)
    where = _own(each, exchange).where
    narrowed = {"where": quoted(where)} if where else {}
    if not each.aged:
        bound = {"above" if goal.op == "lte" else "below": decimal(value)}
        return "threshold", {"metric": each.metric} | bound | narrowed, exchange, groups
    if goal.op != "lte":
        return None
    if value < MIN_FRESHNESS_S:
        reason = f"an age of {decimal(value)}s from outside measures the scrape; at least {MIN_FRESHNESS_S}s can be judged"
        raise Unsaid(goal.place.note("value", reason))
    return "freshness", {"timestamp": each.metric, "threshold": _span(value)} | narrowed, exchange, groups
