"""Rule files that somebody else wrote (`opsctl slo check --rules FILE`): the checks of check_rules, and faults of thought that such files
repeat. Each of these loads without a word in Prometheus and does its harm later: a page that never comes, or never ends.

Also Alertmanager's inhibition, when the file holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops.errors import UsageError
from ops.slo import check_rules, promql
from ops.slo.check_rules import Located
from ops.slo.findings import Finding, error, warning
from ops.slo.rulefile import Group, Rule, RuleFile
from ops.specs import yaml_words

SCRAPE_S = 15
SCRAPES_PER_FRESHNESS = 3
LONG_WINDOW_S = 1800
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d|w|y)", re.ASCII)
_UNIT_S = {"ms": 0, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_AGE = re.compile(r"\b(?:time\s*\(\s*\)|venue:clock:seconds(?:\{[^}]*\})?)\s*-")
_FIXED_MONEY = re.compile(r"\$\s*\{\{[^}]*\d[^}]*\}\}|\$\d")
_HOURS = re.compile(r"\b(?:720|730|744|672)(?:\.0)?\s*/")


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a file holds."""

    file: RuleFile
    lines: Mapping[tuple[str, int], int]
    inhibit: tuple[tuple[int, Mapping[str, Any]], ...]


def check(path: Path, known: frozenset[str] = frozenset(), scrape_s: int = SCRAPE_S) -> tuple[Finding, ...]:
    """All findings of one file. `known` are recorded names from elsewhere. Raises UsageError when it is no rule file."""
    foreign = read(path)
    rules = check_rules.locate((foreign.file,), foreign.lines)
    recorded = {one.rule.record: one for one in rules if one.rule.record}
    found = [one for one in check_rules.findings(rules, None) if not any(f" {name}," in one.reason for name in known)]
    for one in rules:
        found += [*_counter_bound(one, scrape_s, recorded), *_fixed_objective(one)]
        if one.rule.alert:
            found += [*_single_window(one, recorded), *_zone(one, recorded), *_money(one), *_hours_as_seconds(one)]
    found += _absent(rules)
    found += _inhibitions(path, foreign)
    return tuple(found)


def read(path: Path) -> Foreign:
    """A rule file (and inhibit_rules) as values. Raises UsageError with file and line."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot be read: {reason}", "name a rule file of Prometheus") from problem
    except RecursionError as problem:
        raise UsageError(f"{path}: is nested too deeply to be rules", "name a rule file of Prometheus") from problem
    except yaml.YAMLError as problem:
        raise UsageError(f"{path}: not YAML (one document): {yaml_words(problem)}", "mend the line named") from problem
    top = _mapping(path, node)
    if not top.keys() & {"groups", "inhibit_rules"}:
        raise UsageError(
            f"{path}:1: has neither groups nor inhibit_rules", "name a rule file of Prometheus, or Alertmanager's configuration"
        )
    lines: dict[tuple[str, int], int] = {}
    groups = tuple(_group(path, item, lines) for item in _items(path, top.get("groups")))
    inhibit = tuple((_line(item), _plain(item)) for item in _items(path, top.get("inhibit_rules")))
    return Foreign(RuleFile(path.name, groups), lines, inhibit)


def _group(path: Path, node: yaml.Node, lines: dict[tuple[str, int], int]) -> Group:
    fields = _mapping(path, node)
    rules = []
    for item in _items(path, fields.get("rules")):
        lines[(path.name, len(lines))] = _line(item)
        rules.append(_rule(path, item))
    return Group(_text(path, fields.get("name")), _seconds(_text(path, fields.get("interval"))) or 60, tuple(rules))


def _rule(path: Path, node: yaml.Node) -> Rule:
    fields = _mapping(path, node)
    return Rule(
        expr=_text(path, fields.get("expr")),
        record=_text(path, fields.get("record")),
        alert=_text(path, fields.get("alert")),
        labels=_texts(path, fields.get("labels")),
        annotations=_texts(path, fields.get("annotations")),
        for_s=_seconds(_text(path, fields.get("for"))),
    )


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _wrong(path: Path, node: yaml.Node | None, what: str) -> UsageError:
    return UsageError(f"{path}:{_line(node) if node else 1}: expected {what}", "write it as Prometheus' documentation shows")


def _mapping(path: Path, node: yaml.Node | None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(path, node, "a mapping")
    return {str(key.value): value for key, value in node.value}


def _items(path: Path, node: yaml.Node | None) -> list[yaml.Node]:
    if node is None:
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise _wrong(path, node, "a list")
    return list(node.value)


def _text(path: Path, node: yaml.Node | None) -> str:
    if node is None:
        return ""
    if not isinstance(node, yaml.ScalarNode):
        raise _wrong(path, node, "one value")
    return str(node.value)


def _texts(path: Path, node: yaml.Node | None) -> dict[str, str]:
    return {} if node is None else {key: _text(path, value) for key, value in _mapping(path, node).items()}


def _plain(node: yaml.Node) -> Mapping[str, Any]:
    fields = {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    return {
        name: [str(item.value) for item in value.value] if isinstance(value, yaml.SequenceNode) else "" for name, value in fields.items()
    }


def _seconds(text: str) -> int:
    return sum(int(count) * _UNIT_S[unit] for count, unit in _DURATION.findall(text))


# Faults of thought


def _counter_bound(one: Located, scrape_s: int, recorded: Mapping[str, Located]) -> Iterator[Finding]:
    """A counter held against a number; an age held against less than three scrapes."""
    for metric, op, number in one.reading.compared:
        if metric.endswith(("_total", "_count", "_sum")) and op in (">", ">=", "!="):
            reason = f"{metric} is a counter: once over {number:g} it stays there, and the alert fires for ever"
            yield error(f"{one.place}: expr", reason, "compare increase(...[5m]), or a gauge of what is true now")
        source = recorded.get(metric)
        if source is not None and _AGE.search(source.rule.expr) and op in (">", ">="):
            bound_s = number / 1000 if re.search(r"\*\s*1000\b", source.rule.expr) else number
            if bound_s < SCRAPES_PER_FRESHNESS * scrape_s:
                reason = f"a timestamp scraped every {scrape_s}s cannot tell an age of {bound_s:g}s: a healthy feed reads {scrape_s}s"
                yield error(f"{one.place}: expr", reason, "measure the age in the process, as a histogram, and count what is too old")


def _fixed_objective(one: Located) -> Iterator[Finding]:
    if not re.search(r"burn|budget", one.rule.record):
        return
    for literal in re.findall(r"/\s*(0\.0*[1-9]\d*)\b", one.rule.expr):
        if float(literal) < 0.2:
            reason = f"divides by {literal}: one objective for every hour, written into the rule, where each zone promises something else"
            yield error(f"{one.place}: expr", reason, "declare an objective for each zone; opsctl slo generate divides by each zone's own")


def _windows(one: Located, recorded: Mapping[str, Located], depth: int = 5) -> set[int]:
    """The ranges that an expression reads, those of recorded series included."""
    found = {ref.window_s for ref in one.reading.references if ref.window_s}
    for metric in one.reading.metrics & recorded.keys():
        found |= _windows(recorded[metric], recorded, depth - 1) if depth else set()
    return found


def _single_window(one: Located, recorded: Mapping[str, Located]) -> Iterator[Finding]:
    windows = _windows(one, recorded)
    if len(windows) == 1 and (window_s := windows.pop()) >= LONG_WINDOW_S:
        length = promql.name_of(window_s)
        reason = f"looks at one window of {length}: it goes on long after recovery, and vanishes when the series do"
        yield error(f"{one.place}: expr", reason, "add a short window (a twelfth) with `and`, and an alert on the series' absence")


def _reads_zone(one: Located, recorded: Mapping[str, Located], depth: int = 5) -> bool:
    if any("zone" in ref.metric or any("zone" in m.label for m in ref.matchers) for ref in one.reading.references):
        return True
    return depth > 0 and any(_reads_zone(recorded[metric], recorded, depth - 1) for metric in one.reading.metrics & recorded.keys())


def _zone(one: Located, recorded: Mapping[str, Located]) -> Iterator[Finding]:
    if one.rule.labels.get("severity") != "page" or _reads_zone(one, recorded):
        return
    if "zone" in one.rule.labels:
        reason = f"says zone {one.rule.labels['zone']!r} at every hour, but its expression asks no zone: it pages on Sunday too"
        yield error(f"{one.place}: labels.zone", reason, "join the zone in: * on (exchange) group_left (zone) exchange_zone:now:info")
    else:
        yield warning(
            f"{one.place}: expr", "pages at every hour: it asks no zone", "and on (exchange) exchange_zone:active:bool{zone=~'1|2'} == 1"
        )


def _money(one: Located) -> Iterator[Finding]:
    for name, text in one.rule.annotations.items():
        if _FIXED_MONEY.search(text):
            reason = "tells dollars at one fixed rate, whatever the zone costs"
            yield error(f"{one.place}: annotations.{name}", reason, "query slo:loss_usd:1h, which weighs each minute by its zone")


def _hours_as_seconds(one: Located) -> Iterator[Finding]:
    for name, text in one.rule.annotations.items():
        hours = _HOURS.search(text) or re.search(r"\bdiv\s+(?:720|730|744|672)\b", text)
        if hours and "humanizeDuration" in text and "3600" not in text:
            reason = "gives hours to humanizeDuration, which takes seconds: ten days are shown as four minutes"
            yield error(f"{one.place}: annotations.{name}", reason, "multiply by 3600 first")


def _absent(rules: tuple[Located, ...]) -> Iterator[Finding]:
    alerts = [one for one in rules if one.rule.alert]
    guarded = any(re.search(r"\babsent(?:_over_time)?\s*\(|\bunless\b|\bor\s+(?:on\b|vector)", one.rule.expr) for one in rules)
    if alerts and not guarded:
        reason = "no rule says anything when its series are missing: the exporter dies, and every alert here falls silent"
        yield error(alerts[0].place, reason, "say no_data: bad in a spec, or add alerts on absent(...)")


def _inhibitions(path: Path, foreign: Foreign) -> Iterator[Finding]:
    for line, rule in foreign.inhibit:
        if not rule.get("equal"):
            reason = "equal is empty: an alert of one venue silences those of every other"
            yield error(f"{path.name}:{line}: inhibit_rules.equal", reason, "write equal: [exchange, slo]")
