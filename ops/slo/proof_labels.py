"""Labels that meet a selector: what a generated test needs to write the series that a rule is to find.

A `where` is read into matchers; `labels_for` gives one label set that meets them all, `outside` changes a label set so that it meets a
second `where` no more (the orders that are not rejects, when rejects are orders with a code of their own).
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_MATCHER = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*")')
FILLER = "x"
"""The value of a label that may be anything."""

Labels = Mapping[str, str]
Matcher = tuple[str, str, str]


@lru_cache(maxsize=65536)
def matchers(where: str) -> tuple[Matcher, ...]:
    """('code', '=~', '5..') for each matcher of the inside of a selector."""
    return tuple((name, sign, json.loads(value)) for name, sign, value in _MATCHER.findall(where))


def meets(labels: Labels, where: str) -> bool:
    """Whether a series with these labels is selected; a label that is not there counts as empty, as in Prometheus."""
    return all(_meets(labels.get(name, ""), sign, value) for name, sign, value in matchers(where))


def labels_for(where: str) -> dict[str, str]:
    """The fewest labels that meet `where`. ValueError when none is found."""
    found: dict[str, str] = {}
    for name, sign, value in matchers(where):
        if name not in found and not _meets("", sign, value):
            found[name] = value if sign == "=" else sample(value) if sign == "=~" else FILLER
    if not meets(found, where):
        raise ValueError(f"no labels found that meet {{{where}}}")
    return found


def outside(labels: Labels, inside: str, keep: str) -> dict[str, str] | None:
    """`labels` changed in one label so that they meet `keep` and no longer `inside`; None when there is no such change."""
    if not meets(labels, inside):
        return dict(labels)
    for name, sign, value in matchers(inside):
        other = {**labels, name: {"!=": value, "!~": sample(value)}.get(sign, FILLER)}
        if meets(other, keep) and not meets(other, inside):
            return other
    return None


@lru_cache(maxsize=4096)
def sample(pattern: str) -> str:
    """A text that the (fully anchored) regular expression matches."""
    parser: Any = importlib.import_module("re._parser")
    try:
        text = "".join(_part(op, argument) for op, argument in parser.parse(pattern))
    except re.error as error:
        raise ValueError(f"cannot read the regular expression {pattern!r}: {error}") from error
    if not re.fullmatch(pattern, text):
        raise ValueError(f"no text found that matches {pattern!r}")
    return text


def _part(op: Any, argument: Any) -> str:  # noqa: PLR0911 - one line for each kind of part
    match str(op):
        case "LITERAL":
            return chr(argument)
        case "ANY" | "NOT_LITERAL":
            return "1" if argument == ord("0") else "0"
        case "IN":
            return _one_of(argument)
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, _, inside = argument
            return "".join(_part(*part) for part in inside) * max(int(least), 1)
        case "SUBPATTERN":
            return "".join(_part(*part) for part in argument[-1])
        case "BRANCH":
            return "".join(_part(*part) for part in argument[1][0])
        case _:
            return ""


def _one_of(choices: Any) -> str:
    kinds = {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}
    if str(choices[0][0]) == "NEGATE":
        taken = {argument for op, argument in choices[1:] if str(op) == "LITERAL"}
        return next(letter for letter in "xyz0123456789-_" if ord(letter) not in taken)
    op, argument = choices[0]
    if str(op) == "CATEGORY":
        return kinds.get(str(argument), FILLER)
    return chr(int(argument[0] if str(op) == "RANGE" else argument))


def _meets(actual: str, sign: str, value: str) -> bool:
    if sign in {"=", "!="}:
        return (actual == value) is (sign == "=")
    return (_compiled(value).fullmatch(actual) is not None) is (sign == "=~")


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """ValueError for what Prometheus can read and Python cannot, such as \\pL."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"cannot read the regular expression {pattern!r}: {error}") from error
