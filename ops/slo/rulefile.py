"""Rule files as values, and as the text that Prometheus reads. Always one YAML document: Prometheus drops a second one in silence.

The text is written by hand, not by a YAML library: it is read by people in reviews, must not change from run to run, and a thousand
SLOs are to take less than a second. Every string is double-quoted where YAML could take it for something else; `rules_in` reads back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

SHARED_FROM_CHARS = 120
"""Shorter annotations are repeated: an anchor would cost the reader more than it saves."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule (`record`) or an alert (`alert`); exactly one of the two is set."""

    expr: str
    record: str = ""
    alert: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    for_s: int = 0
    keep_firing_for_s: int = 0

    @property
    def name(self) -> str:
        return self.record or self.alert


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    interval_s: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """`name` is the file's own, such as 'xdemo-slo.rules.yaml'."""

    name: str
    groups: tuple[Group, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(rule for group in self.groups for rule in group.rules)


def text(file: RuleFile, header: str) -> str:
    """The file as YAML. `header` is one line without its '# '. Long annotations that several rules share are written once."""
    anchors = _Anchors(file)
    lines = [f"# {header}", "groups:"]
    for group in file.groups:
        lines += [f"  - name: {_quoted(group.name)}", f"    interval: {duration(group.interval_s)}", "    rules:"]
        for rule in group.rules:
            lines += _rule(rule, anchors)
    return "\n".join(lines) + "\n"


def rules_in(written: str) -> int:
    """How many rules a file's text holds, as Prometheus reads it. ValueError for more than one document, or no rule file."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = list(yaml.load_all(written, Loader=loader))
    if len(documents) != 1:
        raise ValueError(f"{len(documents)} YAML documents: Prometheus reads the first and drops the others in silence")
    found = documents[0]
    groups = found.get("groups") if isinstance(found, dict) else None
    if not isinstance(groups, list) or not all(isinstance(group, dict) and isinstance(group.get("rules"), list) for group in groups):
        raise ValueError("no groups of rules")
    return sum(len(group["rules"]) for group in groups)


def duration(seconds: int) -> str:
    """3600 -> '1h', 3599 -> '59m59s': as Prometheus writes durations, exactly."""
    assert seconds > 0, seconds
    parts, rest = [], seconds
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


class _Anchors:
    """Long texts that occur more than once in a file: `&name` at the first place, `*name` at the others."""

    def __init__(self, file: RuleFile) -> None:
        counts = Counter((key, value) for rule in file.rules for key, value in rule.annotations.items() if len(value) >= SHARED_FROM_CHARS)
        shared = [entry for entry, count in counts.items() if count > 1]
        numbers: Counter[str] = Counter()
        self._names: dict[tuple[str, str], str] = {}
        for key, value in shared:
            numbers[key] += 1
            self._names[key, value] = key if numbers[key] == 1 else f"{key}_{numbers[key]}"
        self._written: set[str] = set()

    def write(self, key: str, value: str) -> str:
        name = self._names.get((key, value))
        if name is None:
            return _scalar(value, 12)
        if name in self._written:
            return f"*{name}"
        self._written.add(name)
        return f"&{name} {_scalar(value, 12)}"


def _rule(rule: Rule, anchors: _Anchors) -> list[str]:
    kind, name = ("record", rule.record) if rule.record else ("alert", rule.alert)
    lines = [f"      - {kind}: {name}", f"        expr: {_scalar(rule.expr, 10)}"]
    if rule.for_s:
        lines.append(f"        for: {duration(rule.for_s)}")
    if rule.keep_firing_for_s:
        lines.append(f"        keep_firing_for: {duration(rule.keep_firing_for_s)}")
    if rule.labels:
        lines.append("        labels: {" + ", ".join(f"{key}: {_quoted(value)}" for key, value in rule.labels.items()) + "}")
    if rule.annotations:
        lines.append("        annotations:")
        lines += [f"          {key}: {anchors.write(key, value)}" for key, value in rule.annotations.items()]
    return lines


def _scalar(value: str, indent: int) -> str:
    """A text as people read it best: a block when it has several lines, else in the quotes that need no escapes."""
    if "\n" in value:
        margin = " " * indent
        return "|-\n" + "\n".join(f"{margin}{line}".rstrip() for line in value.split("\n"))
    if '"' in value or "\\" in value:
        return "'" + value.replace("'", "''") + "'"
    return _quoted(value)


def _quoted(value: str) -> str:
    """A JSON string is a YAML double-quoted scalar."""
    return json.dumps(value, ensure_ascii=False)
