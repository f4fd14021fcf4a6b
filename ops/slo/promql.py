"""Small helpers to write PromQL text, and (with promql-parser, imported only then) to read it back.

Writing is plain string work and quick; every number in a rule comes from `decimal`, so that no float noise reaches a threshold. Reading
gives what `check` asks of an expression: which series it touches, with which matchers, and how far back it looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

from ops.slo.rulefile import duration

SIGNIFICANT_DIGITS = 12
MAX_EXPR = 100_000
MAX_DEPTH = 200
DEFAULT_STEP_S = 60
"""Of a subquery that names no step: Prometheus' global evaluation interval, as it comes."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_MATCHER = r'\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"\s*'
_WHERE = re.compile(rf"(?:{_MATCHER}(?:,{_MATCHER})*,?\s*)?")
_WHERE_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`')
_QUERIED = re.compile(rf"\bquery\s+({_LITERAL.pattern})|({_LITERAL.pattern})[^|]*\|\s*query\b")
_ACTION = re.compile(r'\{\{((?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|(?!\}\}).)*)\}\}', re.DOTALL)
_COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


# Writing


def quote(value: str) -> str:
    """A PromQL string literal, as a Go double-quoted string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def selector(metric: str, where: str = "", exchange: str = "", extra: str = "") -> str:
    """`metric{exchange="X",<where>,<extra>}`; parts that are empty are left out."""
    own = f"exchange={quote(exchange)}" if exchange else ""
    inside = ",".join(part for part in (own, where.strip().rstrip(",").rstrip(), extra) if part)
    return f"{metric}{{{inside}}}" if inside else metric


def by(labels: Iterable[str]) -> str:
    """`by (a, b)`; `by ()` when there are none."""
    return f"by ({', '.join(labels)})"


def without(labels: Iterable[str]) -> str:
    """`without (a, b)`."""
    return f"without ({', '.join(labels)})"


def on(labels: Iterable[str]) -> str:
    """`on (a, b)`."""
    return f"on ({', '.join(labels)})"


def window(seconds: int) -> str:
    """3600 -> '59m59s': one second short, so that Prometheus 2.x and 3.x count the same samples at a window's edge."""
    assert seconds > 1, seconds
    return duration(seconds - 1)


def name_of(seconds: int) -> str:
    """3600 -> '1h': the last part of a recorded series' name."""
    return duration(seconds)


def decimal(value: Fraction | int) -> str:
    """Exactly where the decimal ends, else rounded to 12 significant digits: 1/8 -> '0.125', 1/3 -> '0.333333333333'."""
    exact = Fraction(value)
    sign, top, bottom = ("-" if exact < 0 else ""), abs(exact.numerator), exact.denominator
    places = _places(top, bottom)
    digits = str((2 * top * 10**places + bottom) // (2 * bottom)).rjust(places + 1, "0")
    if not places:
        return sign + digits
    whole, rest = digits[:-places], digits[-places:].rstrip("0")
    return sign + (f"{whole}.{rest}" if rest else whole)


def _places(top: int, bottom: int) -> int:
    """Decimals to write: all of them when the decimal ends, at most as many as give 12 significant digits when it does not."""
    rest, twos, fives = bottom, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest == 1:
        return max(twos, fives)
    lead = len(str(top)) - len(str(bottom))
    if top * 10 ** max(-lead, 0) < bottom * 10 ** max(lead, 0):
        lead -= 1
    return max(SIGNIFICANT_DIGITS - 1 - lead, 0)


# Judging small parts of text, without the parser


def is_metric(text: str) -> bool:
    return _METRIC.fullmatch(text) is not None


def is_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def is_where(text: str) -> bool:
    """Whether `text` can stand between the braces of a selector: label="value" pairs with commas, or nothing."""
    return _WHERE.fullmatch(text) is not None


def where_labels(where: str) -> tuple[str, ...]:
    """The labels that a (good) `where` matches on."""
    return tuple(_WHERE_LABEL.findall(where))


# Reading


@dataclass(frozen=True, slots=True)
class Matcher:
    """One of a selector; `op` is =, !=, =~ or !~."""

    label: str
    op: str
    value: str


@dataclass(frozen=True, slots=True)
class Reference:
    """One selector of an expression."""

    metric: str
    """'' when it names none (only by `__name__=~...`)."""
    matchers: tuple[Matcher, ...]
    window_s: int
    """The range it reads at a time; 0 for an instant."""
    back_s: int
    """How far back its oldest sample lies: its range, offsets, and the subqueries around it."""
    times: int
    """How often it is read at one evaluation: steps of the subqueries around it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an expression touches; `error` says why it is none."""

    references: tuple[Reference, ...] = ()
    compared: tuple[tuple[str, str, float], ...] = ()
    """Series held against a number as they are: (metric, operator, number)."""
    error: str = ""

    @property
    def metrics(self) -> frozenset[str]:
        return frozenset(reference.metric for reference in self.references if reference.metric)

    @property
    def back_s(self) -> int:
        return max((reference.back_s for reference in self.references), default=0)


def read(expr: str) -> Reading:
    """The series and windows of an expression, or what is wrong with it."""
    import promql_parser  # noqa: PLC0415 - only those who read PromQL pay for it

    if len(expr) > MAX_EXPR or _depth(expr) > MAX_DEPTH:
        return Reading(error=f"is longer than {MAX_EXPR} characters or nested deeper than {MAX_DEPTH}")
    try:
        tree = promql_parser.parse(expr)
    except ValueError as error:
        return Reading(error=str(error))
    return Reading(tuple(_references(tree, 0, 1)), tuple(_compared(tree)))


def template_queries(text: str) -> tuple[str, ...]:
    """The PromQL that a Prometheus template queries: `{{ query "..." }}` and `{{ with printf "..." .Labels.x | query }}`, with the verbs of
    printf left as they are."""
    return tuple(_unquoted(match.group(1) or match.group(2)) for action in actions(text) for match in _QUERIED.finditer(action))


def actions(text: str) -> tuple[str, ...]:
    """The insides of `{{ ... }}` of a template."""
    return tuple(match.group(1).strip().strip("-").strip() for match in _ACTION.finditer(text))


def functions_called(text: str) -> frozenset[str]:
    """Names that a template calls (or uses as keywords): bare words that are neither fields, variables nor literals."""
    words: set[str] = set()
    for action in actions(text):
        bare = _LITERAL.sub(" ", re.sub(r"/\*.*?\*/", " ", action, flags=re.DOTALL))
        words.update(re.findall(r"(?<![\w.$])[a-zA-Z_]\w*", bare))
    return frozenset(words)


def _depth(expr: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[()\[\]{}]", expr):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    return deepest + len(re.findall(r"[-+]{2,}", expr))


def _unquoted(literal: str) -> str:
    return literal[1:-1] if literal[0] == "`" else re.sub(r"\\(.)", r"\1", literal[1:-1])


def _seconds(value: timedelta | None) -> int:
    return 0 if value is None else round(value.total_seconds())


def _references(node: Any, back_s: int, times: int) -> Iterator[Reference]:
    """`back_s` and `times` come from the subqueries around the node."""
    kind = type(node).__name__
    if kind in ("VectorSelector", "MatrixSelector"):
        yield _reference(node, back_s, times)
    elif kind == "SubqueryExpr":
        step_s, range_s = _seconds(node.step) or DEFAULT_STEP_S, _seconds(node.range)
        yield from _references(node.expr, back_s + range_s + _seconds(node.offset), times * max(range_s // step_s, 1))
    else:
        for child in _children(node):
            yield from _references(child, back_s, times)


def _reference(node: Any, back_s: int, times: int) -> Reference:
    window_s = _seconds(node.range) if type(node).__name__ == "MatrixSelector" else 0
    selected = node.vector_selector if window_s else node
    matchers = tuple(Matcher(m.name, _OPS[str(m.op).rpartition(".")[2]], m.value) for m in selected.matchers.matchers)
    named = next((m.value for m in matchers if m.label == "__name__" and m.op == "="), "")
    return Reference(selected.name or named, matchers, window_s, back_s + window_s + max(_seconds(selected.offset), 0), times)


def _children(node: Any) -> Iterator[Any]:
    yield from (child for name in ("lhs", "rhs", "expr", "param") if (child := getattr(node, name, None)) is not None)
    yield from getattr(node, "args", None) or ()


def _compared(node: Any) -> Iterator[tuple[str, str, float]]:
    if type(node).__name__ == "BinaryExpr" and str(node.op).strip() in _COMPARISONS:
        left, right = _bare(node.lhs), _bare(node.rhs)
        if type(left).__name__ == "VectorSelector" and type(right).__name__ == "NumberLiteral":
            yield left.name or "", str(node.op).strip(), float(right.val)
    for child in _children(node):
        yield from _compared(child)


def _bare(node: Any) -> Any:
    while type(node).__name__ == "ParenExpr":
        node = node.expr
    return node
