"""OpenSLO v1 files as objects by kind and name, each field with its place. What a field means to us is `openslo.py`'s business.

A file holds any number of YAML documents; a document is one object, or a list of them. References lead to objects of the same file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Self

import yaml

from ops.errors import UsageError
from ops.slo.promql import decimal
from ops.specs import Section, parse_number, yaml_words

API_VERSION = "openslo/v1"
KINDS = ("SLO", "SLI", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget", "Service")
MAX_FILE_CHARS = 10_000_000
_NUMBER = re.compile(r"([+-]?\d{0,18}\.?\d{0,18})(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_DURATION = re.compile(r"(\d{1,9})([mhdwMQY])", re.ASCII)
_UNIT_S = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


class Fields(Section):
    """A mapping of an OpenSLO object: Section, and what that format needs besides."""

    def error(self, field: str, reason: str, node: yaml.Node | None = None, instead: str = "") -> UsageError:
        """An empty `field` is the mapping itself."""
        made = super().error(field, reason, node, instead)
        return made if field else UsageError(made.message.replace(f": {self._prefix}: ", f": {self._prefix.rstrip('.')}: ", 1), instead)

    def note(self, name: str, reason: str) -> str:
        """A remark with its place, worded as an error would be."""
        return self.error(name, reason).message

    def is_empty(self, name: str) -> bool:
        """Not written, or written without a value."""
        node = self._fields.get(name)
        if node is None:
            return True
        self._asked.append(name)
        return isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~") and node.style is None

    def fields(self, name: str) -> Self:
        node = self._take(name, optional=False)
        return self._wrap(name, node)

    def maybe(self, name: str) -> Self | None:
        """A mapping, or None when it is not written or empty."""
        return None if self.is_empty(name) else self.fields(name)

    def each(self, name: str) -> list[Self | str]:
        """The entries of a list: mappings, and plain texts as such. No list is an empty one."""
        if self.is_empty(name):
            return []
        node = self._take(name, optional=False)
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(name, "expected a list", node)
        return [
            str(item.value) if isinstance(item, yaml.ScalarNode) else self._wrap(f"{name}[{index}]", item)
            for index, item in enumerate(node.value)
        ]

    def flag(self, name: str) -> bool | None:
        """true or false; None when it is not written."""
        if self.is_empty(name):
            return None
        value = self.text(name).lower()
        if value not in ("true", "false"):
            raise self.error(name, f"{value!r} is neither true nor false")
        return value == "true"

    def exact(self, name: str) -> Fraction:
        """A number, exactly; 1e-3 is one too."""
        text = self.text(name).strip()
        match = _NUMBER.fullmatch(text)
        if match is None or not re.search(r"\d", match[1]):
            raise self.error(name, f"{text!r} is not a number")
        value = Fraction(match[1]) * Fraction(10) ** int(match[2] or 0)
        try:
            return parse_number(decimal(value))
        except ValueError as error:
            raise self.error(name, f"{text} has more digits than can be read") from error

    def seconds(self, name: str) -> int | None:
        """A duration such as 5m, 1h, 4w; a bare number counts minutes. None for months and longer, which have no fixed length."""
        text = self.text(name).strip()
        match = _DURATION.fullmatch(f"{text}m" if text.isdecimal() else text)
        if match is None:
            raise self.error(name, f"{text!r} is not a duration: a whole number with one of m h d w M Q Y, such as 5m or 1M")
        return int(match[1]) * _UNIT_S[match[2]] if match[2] in _UNIT_S else None

    def pairs(self, name: str) -> dict[str, str]:
        """Keys with plain values; of a list, its first value."""
        inner = self.maybe(name)
        if inner is None:
            return {}
        found: dict[str, str] = {}
        for key, node in inner._fields.items():
            value = node.value[0] if isinstance(node, yaml.SequenceNode) and node.value else node
            if isinstance(value, yaml.ScalarNode):
                found[key] = str(value.value)
        return found

    @property
    def strangers(self) -> tuple[str, ...]:
        """Names that nobody has asked for."""
        return tuple(name for name in self._fields if name not in self._asked)

    def _wrap(self, name: str, node: yaml.Node | None) -> Self:
        if not isinstance(node, yaml.MappingNode):
            raise self.error(name, "expected a mapping", node)
        return type(self)(self._path, node, f"{self._prefix}{name}.")


@dataclass(frozen=True, slots=True)
class Object:
    kind: str
    name: str
    display_name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: Fields


@dataclass(frozen=True, slots=True)
class File:
    """Every object of a file, in order. `notes` gathers, with places, what is read and yet not kept."""

    path: Path
    objects: dict[tuple[str, str], Object]
    notes: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Object]:
        return [each for each in self.objects.values() if each.kind == kind]

    def find(self, kind: str, name: str) -> Object | None:
        return self.objects.get((kind, name))

    def named(self, kind: str, name: str, place: Fields, field_name: str) -> Object:
        """The object that a reference means. Raises UsageError when the file has none."""
        found = self.find(kind, name)
        if found is None:
            near = difflib.get_close_matches(name, [each.name for each in self.of_kind(kind)], n=1)
            hint = f"; did you mean {near[0]}?" if near else "; put it into the same file"
            raise place.error(field_name, f"no {kind} of the name {name!r} is in this file{hint}")
        return found


def read(path: Path) -> File:
    """Raises UsageError with file, line and field for whatever is not OpenSLO v1."""
    file = File(path, {})
    for node in _nodes(path):
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(f"{path}:{node.start_mark.line + 1}: expected an OpenSLO object (apiVersion, kind, metadata, spec)")
        each = _object(Fields(path, node, ""), file)
        if (each.kind, each.name) in file.objects:
            raise each.spec.error("", f"a second {each.kind} of the name {each.name!r}")
        file.objects[each.kind, each.name] = each
    if not file.objects:
        raise UsageError(f"{path}: holds no OpenSLO object", hint="name a file of apiVersion openslo/v1")
    return file


def _nodes(path: Path) -> Iterator[yaml.Node]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path}: cannot be read: {reason}", hint="name an existing file") from error
    if len(text) > MAX_FILE_CHARS:
        raise UsageError(f"{path}: is larger than {MAX_FILE_CHARS} characters", hint="import it in parts")
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except RecursionError as error:
        raise UsageError(f"{path}: is nested too deeply to be OpenSLO") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: not YAML: {yaml_words(error)}", hint="mend the line named") from error
    for document in documents:
        if isinstance(document, yaml.SequenceNode):
            yield from document.value
        elif not (isinstance(document, yaml.ScalarNode) and document.value in ("", "null", "~")):
            yield document


def _object(top: Fields, file: File) -> Object:
    version = top.text("apiVersion")
    if version != API_VERSION:
        raise top.error("apiVersion", f"{version!r} is not read, only {API_VERSION}")
    kind = top.choice("kind", KINDS)
    metadata = top.fields("metadata")
    each = Object(
        kind=kind,
        name=metadata.text("name").strip(),
        display_name=metadata.text("displayName", ""),
        labels=metadata.pairs("labels"),
        annotations=metadata.pairs("annotations"),
        spec=top.fields("spec"),
    )
    if not each.name:
        raise metadata.error("name", "is empty")
    file.notes.extend(top.note(name, f"is no field of an OpenSLO {kind}; not read") for name in top.strangers)
    return each
