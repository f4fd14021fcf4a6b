"""The `sli` of one SLO: which kind, which series, which bounds. What can never be right is refused with what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ops.slo.model import Events, Freshness, Latency, Probe, Raw, Selector, Sli, Threshold
from ops.slo.parse_words import metric, printable, where
from ops.specs import Section

COUNTER_SUFFIXES = ("_total", "_count", "_sum", "_bucket")
SCRAPES_PER_FRESHNESS = 3
WINDOW = "{{window}}"


def sli(slo: Section, scrape_interval_s: int) -> Sli:
    """The one indicator of an SLO. Raises UsageError."""
    section = slo.section("sli")
    if len(section.keys) != 1:
        reason = f"has {len(section.keys)} kinds ({', '.join(section.keys)})" if section.keys else "names no kind"
        raise slo.error("sli", reason, instead=f"write one of {', '.join(_KINDS)}; a second one is an SLO of its own")
    kind = section.keys[0]
    if kind not in _KINDS:
        raise section.error(kind, "is not a kind of SLI", instead=f"write one of {', '.join(_KINDS)}")
    inner = section.section(kind)
    found = _KINDS[kind](inner, scrape_interval_s)
    inner.done()
    return found


def _events(inner: Section, _scrape_s: int) -> Events:
    shared = where(inner, "where")
    total = _counter(inner, "total", shared)
    sides = [side for side in ("bad", "good") if inner.has(side)]
    if len(sides) != 1:
        reason = "counts both bad and good events" if sides else "says neither what is bad nor what is good"
        raise inner.error("bad" if sides else "total", reason, instead="write total with one of bad and good")
    part = _counter(inner, sides[0], shared)
    if part == total:
        raise inner.error(sides[0], "counts the same series as total", instead=f"narrow it with {sides[0]}_where, or name another metric")
    return Events(total, bad=part) if sides[0] == "bad" else Events(total, good=part)


def _counter(inner: Section, side: str, shared: str) -> Selector:
    own = where(inner, f"{side}_where")
    return Selector(metric(inner, side), ",".join(part.rstrip(",") for part in (shared, own) if part))


def _latency(inner: Section, _scrape_s: int) -> Latency:
    name = metric(inner, "histogram")
    for suffix in ("_bucket", "_count", "_sum"):
        if name.endswith(suffix):
            raise inner.error("histogram", f"{name!r} is one part of a histogram", instead=f"write {name.removesuffix(suffix)}")
    threshold = inner.duration("threshold")
    if threshold <= 0:
        raise inner.error("threshold", "must be above 0", instead="write the bound of one of its buckets, such as 500ms")
    return Latency(Selector(name, where(inner, "where")), threshold)


def _freshness(inner: Section, scrape_s: int) -> Freshness:
    threshold, least = inner.duration("threshold"), SCRAPES_PER_FRESHNESS * scrape_s
    if threshold < least:
        under = f"{inner.text('threshold')} is under {SCRAPES_PER_FRESHNESS} scrape intervals of {scrape_s}s"
        reason = f"{under}: it would measure the scrape, not the feed"
        instead = f"write {least}s or more, or measure the age in the process as a histogram and use latency"
        raise inner.error("threshold", reason, instead=instead)
    return Freshness(Selector(metric(inner, "timestamp"), where(inner, "where")), threshold)


def _probe(inner: Section, _scrape_s: int) -> Probe:
    return Probe(_gauge(inner))


def _threshold(inner: Section, _scrape_s: int) -> Threshold:
    sides = [side for side in ("above", "below") if inner.has(side)]
    if len(sides) != 1:
        reason = "has both above and below" if sides else "has no bound"
        raise inner.error("above" if sides else "metric", reason, instead="write above: N (bad when it is over N) or below: N")
    bound = inner.number(sides[0])
    selector = _gauge(inner)
    return Threshold(selector, above=bound) if sides[0] == "above" else Threshold(selector, below=bound)


def _gauge(inner: Section) -> Selector:
    name = metric(inner, "metric")
    if name.endswith(COUNTER_SUFFIXES):
        reason = f"{name!r} is a counter: once over a bound it stays there for ever"
        raise inner.error("metric", reason, instead="name a gauge, or count with events")
    return Selector(name, where(inner, "where"))


def _raw(inner: Section, _scrape_s: int) -> Raw:
    text = printable(inner, "bad_ratio", inner.text("bad_ratio").strip())
    if not text:
        raise inner.error("bad_ratio", "is empty", instead=f"write PromQL that gives 0 (all well) to 1, with [{WINDOW}] as its window")
    return Raw(text)


_KINDS: Mapping[str, Callable[[Section, int], Sli]] = {
    "events": _events,
    "latency": _latency,
    "freshness": _freshness,
    "probe": _probe,
    "threshold": _threshold,
    "raw": _raw,
}
