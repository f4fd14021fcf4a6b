"""Rule files as values, and as the text that Prometheus reads. Always one YAML document: Prometheus drops a second one in silence.

The text is written by hand, not by a YAML library: it is read by people in reviews, must not change from run to run, and a thousand
SLOs are to take less than a second. Every string is double-quoted where YAML could take it for something else; `rules_in` reads back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


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
    """The file as YAML. `header` is one line without its '# '."""
    lines = [f"# {header}", "groups:"]
    for group in file.groups:
        lines += [f"  - name: {_quoted(group.name)}", f"    interval: {duration(group.interval_s)}", "    rules:"]
        for rule in group.rules:
            lines += _rule(rule)
    return "\n".join(lines) + "\n"


def duration(seconds: int) -> str:
    """3600 -> '1h', 3599 -> '59m59s': as Prometheus writes durations, exactly."""
    assert seconds > 0, seconds
    parts, rest = [], seconds
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _rule(rule: Rule) -> list[str]:
    kind, name = ("record", rule.record) if rule.record else ("alert", rule.alert)
    lines = [f"      - {kind}: {name}", f"        expr: {_block(rule.expr)}"]
    if rule.for_s:
        lines.append(f"        for: {duration(rule.for_s)}")
    if rule.keep_firing_for_s:
        lines.append(f"        keep_firing_for: {duration(rule.keep_firing_for_s)}")
    for title, values in (("labels", rule.labels), ("annotations", rule.annotations)):
        if values:
            lines.append(f"        {title}:")
            lines += [f"          {key}: {_quoted(value)}" for key, value in values.items()]
    return lines


def _block(expr: str) -> str:
    if "\n" not in expr:
        return _quoted(expr)
    return "|-\n" + "\n".join(f"          {line}".rstrip() for line in expr.splitlines())


def _quoted(value: str) -> str:
    """A JSON string is a YAML double-quoted scalar."""
    return json.dumps(value, ensure_ascii=False)
