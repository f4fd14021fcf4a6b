"""Queries of OpenSLO files, taken apart: is this a counter, a gauge, an age, or something only Prometheus understands?

OpenSLO hands a query to its metric source as text; our spec names a metric and matchers, so that the generator chooses the window. The
shapes that people write for counters, gauges and ages are recognised here. Anything else stays text, with its windows made `{{window}}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ops.slo.promql import is_metric, is_where, quote

MAX_QUERY_CHARS = 4000
"""The parser is recursive and native: a query of ten thousand brackets would end the process, not the call."""
WINDOW = "{{window}}"
_PLACEHOLDER = re.compile(r"\[\s*(?:\{\{\s*\.?\s*[wW]indow\s*\}\}|\$\{?\w+\}?)\s*\]")
_RANGE = re.compile(r'("(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`)|\[\s*(?:[0-9.]+(?:ms|[smhdwy]))+\s*\]')
_COUNTS = ("rate", "increase")


@dataclass(frozen=True, slots=True)
class Series:
    """A plain selector, and what was done to it."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, sign, value."""
    across: str = ""
    """sum, max, min, avg, or ''."""
    by: tuple[str, ...] = ()
    """Labels of `sum by (...)`."""
    counted: bool = False
    """Inside rate() or increase(): a counter for certain."""
    averaged: bool = False
    """Inside avg_over_time()."""
    aged: bool = False
    """Subtracted from time()."""

    @property
    def where(self) -> str:
        """The matchers as PromQL, without braces."""
        return ",".join(f"{label}{sign}{quote(value)}" for label, sign, value in self.matchers)

    def equal(self, label: str) -> str:
        """The value that `label` must have; '' when none is named."""
        return next((value for name, sign, value in self.matchers if (name, sign) == (label, "=")), "")

    def without(self, label: str) -> Series:
        return replace(self, matchers=tuple(matcher for matcher in self.matchers if matcher[0] != label))


def readable(query: str) -> str:
    """The query with placeholders for a window (`[{{.window}}]`, `[$__rate_interval]`) made a real one.

    Raises ValueError when it is not PromQL.
    """
    if len(query) > MAX_QUERY_CHARS:
        raise ValueError(f"has {len(query)} characters; at most {MAX_QUERY_CHARS} are read")
    text = _PLACEHOLDER.sub("[1m]", query.strip())
    _parse(text)
    return text


def windowed(query: str) -> str:
    """The query with every range made `[{{window}}]`; ranges within quotes are text and stay."""
    return _RANGE.sub(lambda match: match.group(1) or f"[{WINDOW}]", readable(query))


def has_window(query: str) -> bool:
    """Whether any range was, or can be, made the slice's own."""
    return WINDOW in windowed(query)


def series(query: str) -> Series | None:
    """What a query of one of the known shapes reads; None when it is of another. Raises ValueError when it is not PromQL.

    Known: `x{..}`, `sum|max|avg|min [by (..)] (..)` around it, `rate|increase(x{..}[w])`, `avg_over_time(x{..}[w])`, `time() - x{..}`.
    """
    return _series(_bare(_parse(readable(query))))


def _parse(text: str) -> object:
    import promql_parser  # noqa: PLC0415  (a native library that most runs do not need)

    try:
        parsed: object = promql_parser.parse(text)
    except ValueError as error:
        raise ValueError(f"is not PromQL: {error}") from error
    return parsed


def _bare(node: object) -> object:
    while type(node).__name__ == "ParenExpr":
        node = node.expr  # type: ignore[attr-defined]
    return node


def _series(node: object) -> Series | None:
    kind = type(node).__name__
    if kind == "VectorSelector":
        return _selector(node)
    if kind == "Call":
        return _call(node)
    if kind == "AggregateExpr":
        return _aggregate(node)
    if kind == "BinaryExpr":
        return _age(node)
    return None


def _selector(node: object) -> Series | None:
    matchers = node.matchers  # type: ignore[attr-defined]
    if node.offset is not None or node.at is not None or matchers.or_matchers:  # type: ignore[attr-defined]
        return None
    name, parts = node.name or "", []  # type: ignore[attr-defined]
    for matcher in matchers.matchers:
        sign = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}[str(matcher.op).rpartition(".")[2]]
        if matcher.name != "__name__":
            parts.append((matcher.name, sign, matcher.value))
        elif sign == "=" and not name:
            name = matcher.value
        else:
            return None
    found = Series(name, tuple(parts))
    return found if is_metric(name) and is_where(found.where) else None


def _call(node: object) -> Series | None:
    function = node.func.name  # type: ignore[attr-defined]
    arguments = list(node.args)  # type: ignore[attr-defined]
    if function not in (*_COUNTS, "avg_over_time") or type(arguments[0]).__name__ != "MatrixSelector":
        return None
    inner = _selector(arguments[0].vector_selector)
    if inner is None:
        return None
    return Series(inner.metric, inner.matchers, counted=function in _COUNTS, averaged=function == "avg_over_time")


def _aggregate(node: object) -> Series | None:
    operation = str(node.op)  # type: ignore[attr-defined]
    modifier = node.modifier  # type: ignore[attr-defined]
    inner = _series(_bare(node.expr))  # type: ignore[attr-defined]
    if inner is None or inner.across or inner.aged or operation not in ("sum", "max", "min", "avg"):
        return None
    if (operation == "avg") != inner.averaged or (inner.counted and operation != "sum"):
        return None
    labels: tuple[str, ...] = ()
    if modifier is not None:
        if not str(modifier.type).endswith("By"):
            return None
        labels = tuple(modifier.labels)
    return Series(inner.metric, inner.matchers, operation, labels, inner.counted, inner.averaged)


def _age(node: object) -> Series | None:
    left, right = _bare(node.lhs), _bare(node.rhs)  # type: ignore[attr-defined]
    is_clock = type(left).__name__ == "Call" and left.func.name == "time"  # type: ignore[attr-defined]
    if str(node.op) != "-" or not is_clock or node.modifier is not None:  # type: ignore[attr-defined]
        return None
    inner = _series(right)
    if inner is None or inner.counted or inner.averaged or inner.aged:
        return None
    return Series(inner.metric, inner.matchers, inner.across, inner.by, aged=True)
