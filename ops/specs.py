"""YAML at the edge: a document becomes typed values in one place, and every error names file, line and field (style.md, 4).

`Section` wraps one YAML mapping. Each getter takes a key out, checks its shape and remembers it; `done()` refuses the
keys that nobody asked for, with the nearest known name, so that a misspelt setting is never ignored in silence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from ops.errors import UsageError

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h)$")
_DURATION_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PERCENT = re.compile(r"^(\d+(?:\.\d+)?)\s*%$")
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_DURATION_UNIT = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)}
_MAX_DEPTH = 200


@lru_cache(maxsize=4096)
def parse_percent(text: str) -> Fraction:
    """'0.1%' -> Fraction(1, 1000), exactly. Raises ValueError saying what to write."""
    match = _PERCENT.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a percentage: write it with its sign, such as 1% or 0.1%")
    return Fraction(match.group(1)) / 100


@lru_cache(maxsize=4096)
def parse_number(text: str) -> Fraction:
    """'0.1' -> Fraction(1, 10), exactly. Raises ValueError saying what to write."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a number: write digits, such as 1000 or 0.5")
    return Fraction(text)


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> Fraction:
    """'500ms' -> Fraction(1, 2) seconds, exactly. Raises ValueError saying what to write."""
    parse_duration_s(text)
    match = _DURATION.match(text.strip())
    assert match is not None
    return Fraction(match.group(1)) * _DURATION_UNIT[match.group(2)]


def parse_duration_s(text: str) -> float:
    """'500ms', '5s', '2m', '1h' -> seconds. Raises ValueError saying what to write."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a number with its unit, such as 500ms, 5s or 2m")
    return float(match.group(1)) * _DURATION_UNIT_S[match.group(2)]


def load(path: Path) -> Section:
    """The one YAML document of a file, as a mapping. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot be read: {reason}", hint="name an existing file") from error
    try:
        node = yaml.compose(text, Loader=_loader(text))
    except RecursionError as error:
        raise UsageError(
            f"{path}: is nested too deeply to be settings", hint="see the commented example in pipelines/canary.yaml"
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not YAML (one document): {yaml_words(error)}", hint="mend the line named") from error
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{path}:1: expected a mapping of settings", hint="see the commented example in pipelines/canary.yaml")
    return Section(path, node, "")


def yaml_words(error: yaml.YAMLError) -> str:
    """What is wrong and at which line, in one line and without the name that PyYAML gives to a text."""
    return " ".join(str(error).replace('in "<unicode string>", line', "at line").split())


def _loader(text: str) -> Any:
    """libyaml's composer, ten times as fast, when this PyYAML has it and the text is not nested so deeply that it could end the process:
    it recurses without a limit. The composer in Python raises RecursionError."""
    fast = getattr(yaml, "CBaseLoader", None)
    if fast is None:
        return yaml.SafeLoader
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    indent = max(map(len, re.findall(r"^[ \-?]+", text, re.MULTILINE)), default=0)
    return fast if max(deepest, indent) <= _MAX_DEPTH else yaml.SafeLoader


class Section:
    """One mapping of a document. Getters raise UsageError with file, line and dotted field name."""

    def __init__(self, path: Path, node: yaml.MappingNode, prefix: str) -> None:
        self._path, self._node, self._prefix = path, node, prefix
        self._fields: dict[str, yaml.Node] = {}
        self._asked: list[str] = []
        for key, value in node.value:
            name = str(key.value)
            if name in self._fields:
                raise self.error(name, "is written twice", key)
            self._fields[name] = value

    def error(self, field: str, reason: str, node: yaml.Node | None = None, instead: str = "") -> UsageError:
        """`instead` is what to write in its place; it becomes the error's hint."""
        line = (node or self._fields.get(field) or self._node).start_mark.line + 1
        return UsageError(f"{self._path}:{line}: {self._prefix}{field}: {reason}", instead)

    @property
    def path(self) -> Path:
        return self._path

    @property
    def line(self) -> int:
        return int(self._node.start_mark.line) + 1

    def line_of(self, field: str) -> int:
        """Of a field's value; the mapping's own when it is not there."""
        return int(self._fields.get(field, self._node).start_mark.line) + 1

    @property
    def keys(self) -> tuple[str, ...]:
        """The names written, in order."""
        return tuple(self._fields)

    def has(self, field: str) -> bool:
        return field in self._fields

    def text(self, field: str, default: str | None = None) -> str:
        node = self._take(field, default is not None)
        if node is None:
            return default or ""
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(field, "expected one value", node)
        return str(node.value)

    def choice(self, field: str, names: tuple[str, ...]) -> str:
        value = self.text(field)
        if value not in names:
            raise self.error(field, f"{value!r} is not one of {', '.join(names)}")
        return value

    def integer(self, field: str, low: int, high: int, default: int | None = None) -> int:
        text = self.text(field, None if default is None else str(default))
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
            raise self.error(field, f"{text!r} is not a whole number")
        if not low <= int(text) <= high:
            raise self.error(field, f"{text} is outside {low}..{high}")
        return int(text)

    def duration_s(self, field: str, low: float, high: float, default: str | None = None) -> float:
        text = self.text(field, default)
        try:
            value = parse_duration_s(text)
        except ValueError as error:
            raise self.error(field, str(error)) from error
        if not low <= value <= high:
            raise self.error(field, f"{text} is outside {low:g}s..{high:g}s")
        return value

    def duration(self, field: str, default: str | None = None) -> Fraction:
        """Seconds, exactly."""
        text = self.text(field, default)
        try:
            return parse_duration(text)
        except ValueError as error:
            raise self.error(field, str(error)) from error

    def number(self, field: str, default: str | None = None) -> Fraction:
        """A decimal, exactly."""
        text = self.text(field, default)
        try:
            return parse_number(text)
        except ValueError as error:
            raise self.error(field, str(error)) from error

    def percent(self, field: str, default: str | None = None) -> Fraction:
        text = self.text(field, default)
        try:
            return parse_percent(text)
        except ValueError as error:
            raise self.error(field, str(error)) from error

    def factor(self, field: str, low: float, high: float, default: str | None = None) -> float:
        text = self.text(field, default)
        try:
            value = float(text)
        except ValueError as error:
            raise self.error(field, f"{text!r} is not a number") from error
        if not low <= value <= high:
            raise self.error(field, f"{text} is outside {low:g}..{high:g}")
        return value

    def texts(self, field: str) -> list[str]:
        node = self._take(field, optional=False)
        if not isinstance(node, yaml.SequenceNode) or not all(isinstance(item, yaml.ScalarNode) for item in node.value):
            raise self.error(field, "expected a list of values", node)
        return [str(item.value) for item in node.value]

    def section(self, field: str) -> Section:
        node = self._take(field, optional=False)
        if not isinstance(node, yaml.MappingNode):
            raise self.error(field, "expected a mapping", node)
        return Section(self._path, node, f"{self._prefix}{field}.")

    def sections(self, field: str, *, may_be_empty: bool = False) -> Iterator[Section]:
        node = self._take(field, optional=False)
        if not isinstance(node, yaml.SequenceNode) or not (node.value or may_be_empty):
            raise self.error(field, "expected a list" + ("" if may_be_empty else " with at least one entry"), node)
        for index, item in enumerate(node.value):
            if not isinstance(item, yaml.MappingNode):
                raise self.error(f"{field}[{index}]", "expected a mapping", item)
            yield Section(self._path, item, f"{self._prefix}{field}[{index}].")

    def done(self) -> None:
        for name, node in self._fields.items():
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, n=1)
                meant = f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(sorted(set(self._asked)))}"
                raise self.error(name, f"is not a setting{meant}", node)

    def _take(self, field: str, optional: bool) -> yaml.Node | None:
        self._asked.append(field)
        node = self._fields.get(field)
        if node is None and not optional:
            raise self.error(field, "is missing", self._node)
        return node
