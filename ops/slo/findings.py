"""What `opsctl slo check` finds: a value that names the place, the reason, and what to write instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ops.errors import UsageError

SEE_EXAMPLE = "opsctl slo init --dry-run shows every setting with its meaning"
_FOLLOWS = (
    (r"is not one of (.+)$", r"write one of \1"),
    (r"did you mean (\S+)\?$", r"write \1"),
    (r"; known here: (.+)$", r"take it out, or write one of \1"),
    (r": (?:\w+[\[\].]+)*(\w+): is missing$", r"add `\1`; opsctl slo init --dry-run shows how"),
    (r"is written twice$", "take one of them out"),
    (r"is outside (\S+)\.\.(\S+)$", r"write a number from \1 to \2"),
    (r"expected a list", "write a list: a line with '- ' for each entry"),
    (r"expected a mapping", "write settings with their values: name: value"),
    (r"expected one value", "write one value"),
    (r": write (.+)$", r"write \1"),
)
_PLACED = re.compile(r"(?P<place>.+?:\d+(?:: [^\s:]+)?|[^\s:]+\.ya?ml): (?P<reason>.*)", re.DOTALL)


class Level(StrEnum):
    ERROR = "error"
    """It would not load, never fire, or fire for ever: nothing is generated."""
    WARNING = "warning"
    """It works, and is worth a look."""


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    place: str
    """'file:line: field', as far as there is one."""
    reason: str
    instead: str

    def __str__(self) -> str:
        return f"{self.level}: {self.place}: {self.reason}\n    instead: {self.instead}"


def error(place: str, reason: str, instead: str) -> Finding:
    return Finding(Level.ERROR, place, reason, instead)


def warning(place: str, reason: str, instead: str) -> Finding:
    return Finding(Level.WARNING, place, reason, instead)


def hint(problem: UsageError) -> str:
    """What to write instead: the error's own hint, or what follows from its reason."""
    if problem.hint:
        return problem.hint
    for pattern, instead in _FOLLOWS:
        if match := re.search(pattern, problem.message):
            return match.expand(instead)
    return SEE_EXAMPLE


def of_error(problem: UsageError) -> Finding:
    """A refusal of the parser as a finding."""
    match = _PLACED.fullmatch(problem.message)
    place, reason = (match["place"], match["reason"]) if match else ("", problem.message)
    return error(place, reason, hint(problem))
