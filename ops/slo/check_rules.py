"""What is wrong with rules, generated or not: syntax, names, series that nobody records, alerts that nobody could act on, templates.

`promtool check rules` says SUCCESS to an alert on a series that does not exist; that alert is then silent for ever. So every series that a
rule reads must be recorded by some rule, or be known to come from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ops.slo import promql
from ops.slo.findings import Finding, error, warning
from ops.slo.rulefile import Rule, RuleFile

SEVERITIES = ("page", "ticket", "none")
POLICY_SERIES = "slo_policy:"
"""Written by several rules of one name: the label `policy`, which their expressions set, tells their series apart."""
NEEDED_ANNOTATIONS = ("summary", "first_action", "runbook")
_OF_PROMETHEUS = """
query first label value strvalue args tmpl sortByLabel match reReplaceAll humanize humanize1024 humanizeDuration humanizePercentage
humanizeTimestamp toTime title toUpper toLower stripPort stripDomain graphLink tableLink parseDuration externalURL pathPrefix safeHtml
"""
"""Of version 2.42 and later ones."""
_OF_GO = """
and or not len index slice print printf println html js urlquery call eq ne lt le gt ge
if else end range with template define block break continue nil true false
"""
TEMPLATE_WORDS = frozenset(_OF_PROMETHEUS.split()) | frozenset(_OF_GO.split())
_RECORDED = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*(?::[a-zA-Z0-9_]+)+", re.ASCII)
_ALERT = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
_MONEY = re.compile(r"usd|dollar|pnl|cost", re.IGNORECASE)
_ARITHMETIC = {"mul", "div", "add", "sub", "mod", "mulf", "divf", "round"}


@dataclass(frozen=True, slots=True)
class Located:
    """A rule and where it stands."""

    rule: Rule
    file: str
    line: int
    """0 when it was generated and has not been written yet."""
    interval_s: int
    reading: promql.Reading

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}: {self.rule.name}" if self.line else f"{self.file}: {self.rule.name}"


def locate(files: Iterable[RuleFile], lines: Mapping[tuple[str, int], int] | None = None) -> tuple[Located, ...]:
    """Every rule with its expression read. `lines` gives the line of a file's n-th rule."""
    seen: dict[str, promql.Reading] = {}
    found = []
    for file in files:
        index = 0
        for group in file.groups:
            for rule in group.rules:
                if rule.expr not in seen:
                    seen[rule.expr] = promql.read(rule.expr)
                line = (lines or {}).get((file.name, index), 0)
                found.append(Located(rule, file.name, line, group.interval_s, seen[rule.expr]))
                index += 1
    return tuple(found)


def findings(rules: tuple[Located, ...], known: frozenset[str] | None) -> Iterator[Finding]:
    """`known` are the metrics that come from outside; None: any, but names with a colon are always some rule's."""
    recorded = frozenset(one.rule.record for one in rules if one.rule.record)
    yield from _twice(rules)
    for one in rules:
        if one.reading.error:
            yield error(f"{one.place}: expr", f"is not PromQL: {one.reading.error}", "mend the expression, or what it was made from")
        yield from _names(one)
        yield from _dangling(one, f"{one.place}: expr", one.reading, recorded, known)
        if one.rule.alert:
            yield from _alert(one)
            yield from templates(one)
            yield from _queries(one, recorded, known)


def _twice(rules: tuple[Located, ...]) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], Located] = {}
    for one in rules:
        if one.rule.record.startswith(POLICY_SERIES):
            continue
        key = (one.rule.record, one.rule.alert, tuple(sorted(one.rule.labels.items())), one.rule.expr if one.rule.alert else "")
        first = seen.setdefault(key, one)
        if first is not one:
            yield error(
                one.place, f"has the same name and labels as {first.place}: one overwrites the other", "give one another name or label"
            )


def _names(one: Located) -> Iterator[Finding]:
    if one.rule.record and not _RECORDED.fullmatch(one.rule.record):
        yield error(f"{one.place}: record", "is not of the form level:metric:operation", "write it like slo:bad:ratio")
    if one.rule.alert and not _ALERT.fullmatch(one.rule.alert):
        yield error(f"{one.place}: alert", "is not a name in CamelCase", "write it like SloFastBurn")
    for label in (*one.rule.labels, *one.rule.annotations):
        if not promql.is_label(label) or label.startswith("__"):
            yield error(f"{one.place}: labels.{label}", "cannot be a label's name", "write letters, digits and _")


def _dangling(
    one: Located, place: str, reading: promql.Reading, recorded: frozenset[str], known: frozenset[str] | None
) -> Iterator[Finding]:
    for metric in sorted(reading.metrics - recorded):
        if metric.startswith("ALERTS") or (known is not None and metric in known) or (known is None and ":" not in metric):
            continue
        near = _nearest(metric, recorded)
        what = "the alert can never fire" if one.rule.alert else "the rule records nothing"
        yield error(place, f"reads {metric}, which no rule records and no target is known to show: {what}", near)


def _nearest(metric: str, recorded: frozenset[str]) -> str:
    stem = metric.rpartition(":")[0]
    near = sorted(name for name in recorded if stem and name.startswith(f"{stem}:"))
    return f"write one that is recorded ({', '.join(near[:4])}), or record this one" if near else "record it, or mend its name"


def _alert(one: Located) -> Iterator[Finding]:
    severity = one.rule.labels.get("severity", "")
    if severity and "{{" not in severity and severity not in SEVERITIES:
        yield error(f"{one.place}: labels.severity", f"{severity!r} is not one of {', '.join(SEVERITIES)}", "write page or ticket")
    if severity == "none":
        return
    for name in NEEDED_ANNOTATIONS:
        if not one.rule.annotations.get(name, "").strip():
            yield error(
                f"{one.place}: annotations", f"has no {name}: who is called cannot act on it", f"write {name} in one sentence or link"
            )
    # A ticket about missing data cannot say what it costs.
    money = severity != "ticket" and any(metric.startswith("slo:") for metric in one.reading.metrics)
    if money and not any(_MONEY.search(text) for text in one.rule.annotations.values()):
        yield error(f"{one.place}: annotations", "does not say what it costs", "query slo:loss_usd:1h in its description")


def templates(one: Located) -> Iterator[Finding]:
    """Functions that Prometheus does not have (it then refuses the whole file), and labels that change while the alert stands."""
    for kind, values in (("labels", one.rule.labels), ("annotations", one.rule.annotations)):
        for name, text in values.items():
            place = f"{one.place}: {kind}.{name}"
            for word in sorted(promql.functions_called(text) - TEMPLATE_WORDS):
                what = (
                    "templates have no arithmetic: query an expression" if word in _ARITHMETIC else "query the series: {{ with query ... }}"
                )
                yield error(place, f"{word!r} is no function of a template: Prometheus refuses the whole file", what)
            if kind == "labels" and any(re.search(r"\bquery\b|\$value", action) for action in promql.actions(text)):
                reason = "is computed: each change of it makes a new alert, and `for` starts again"
                yield error(place, reason, "bring the label in by the expression (group_left), or route on another alert")


def _queries(one: Located, recorded: frozenset[str], known: frozenset[str] | None) -> Iterator[Finding]:
    """Expressions inside annotations."""
    for name, text in one.rule.annotations.items():
        for query in promql.template_queries(text):
            place = f"{one.place}: annotations.{name}"
            reading = promql.read(_filled(query))
            if reading.error:
                yield error(place, f"queries what is not PromQL: {reading.error}", "mend the query")
            yield from _dangling(one, place, reading, recorded, known)
            if re.search(r"\|\s*first\b|\bfirst\s+\.", text) and not _narrow(query, reading):
                yield warning(
                    place, "shows one series of several, whichever comes first", "range over them, or query topk(1, ...) or max(...)"
                )


def _filled(query: str) -> str:
    """A printf format with something in place of its verbs."""
    return re.sub(r"%[.\d]*[fgd]", "1", query.replace("%q", '"x"').replace("%s", "x").replace("%v", "x").replace("%%", "%"))


def _narrow(query: str, reading: promql.Reading) -> bool:
    """Whether it gives one series at most: an aggregate, one chosen by the alert's labels, or one of the venue as a whole."""
    if "%" in query or re.match(r"\s*(?:topk\s*\(\s*1\b|bottomk\s*\(\s*1\b|(?:max|min|sum|avg|count)\s*\()", query):
        return True
    for ref in reading.references:
        exact = {matcher.label for matcher in ref.matchers if matcher.op == "="}
        if "exchange" not in exact or not (ref.metric.startswith("exchange:") or "slo" in exact):
            return False
    return True
