"""Single settings of a spec, each read with what to write instead when it is wrong. Shared by `parse` and `parse_sli`."""

from __future__ import annotations

import unicodedata
from fractions import Fraction

from ops.slo import promql
from ops.slo.model import Events, Latency
from ops.specs import Section, parse_number, parse_percent

COUNTERS = (Events, Latency)
"""SLI kinds that count events, so that a slice can be idle."""
MAX_WORDS = 300


def objective(section: Section, field: str) -> Fraction:
    """A promise: above 0 %, below 100 %."""
    value = percent(section, field, most=None)
    if value >= 1:
        raise section.error(
            field, f"{section.text(field)} leaves no budget at all", instead="write the most that you can promise, such as 99.99%"
        )
    return value


def percent(
    section: Section, field: str, default: str | None = None, *, zero: bool = False, most: Fraction | None = Fraction(1)
) -> Fraction:
    """Above 0 % (or from it) to 100 %."""
    text = section.text(field, default)
    try:
        value = parse_percent(text)
    except ValueError as error:
        raise section.error(field, f"{text!r} is not a percentage", instead=f"write {_as_percent(text)}") from error
    if value < 0 or (value == 0 and not zero) or (most is not None and value > most):
        raise section.error(field, f"{text} is not {'from' if zero else 'above'} 0% and at most 100%", instead="write a share, such as 5%")
    return value


def _as_percent(text: str) -> str:
    """'0.9999' -> '99.99%', '5' -> '5%'."""
    try:
        value = parse_number(text.strip().rstrip("%").strip())
    except ValueError:
        return "a number and its sign, such as 99.99%"
    if value < 0:
        return "a number above 0 and its sign, such as 99.99%"
    return f"{promql.decimal(value * 100 if value <= 1 else value)}%"


def one_line(section: Section, field: str) -> str:
    """Words for a person, in one line. They end in alerts, where '{{' would begin a template."""
    text = section.text(field, "").strip()
    if "\n" in text or "\r" in text or len(text) > MAX_WORDS:
        raise section.error(
            field, f"is not one line of at most {MAX_WORDS} characters", instead="write one sentence; the rest belongs in the run-book"
        )
    if "{{" in text:
        raise section.error(
            field, "holds '{{', which Prometheus would run as a template", instead="write plain words; values are added by the rules"
        )
    if not text.isprintable():
        raise section.error(field, "holds a character that cannot be printed", instead="write plain words")
    return text


def label(section: Section, field: str, value: str | None = None) -> str:
    """A label's name."""
    text = section.text(field) if value is None else value
    if not promql.is_label(text):
        raise section.error(field, f"{text!r} cannot be a label's name", instead="write letters, digits and _, such as gateway")
    return text


def metric(section: Section, field: str) -> str:
    """A metric's name, without braces."""
    text = section.text(field)
    if not promql.is_metric(text):
        where = " and its matchers in `where`" if "{" in text else ""
        raise section.error(
            field, f"{text!r} is not the name of a metric", instead=f"write the bare name{where}, such as exchange_order_ack_seconds"
        )
    return text


def where(section: Section, field: str) -> str:
    """The inside of a selector."""
    text = printable(section, field, section.text(field, "").strip())
    if not promql.is_where(text):
        raise section.error(
            field,
            f"{text!r} cannot stand inside a selector",
            instead='write label="value" pairs in single quotes: \'track="stable",code=~"5.."\'',
        )
    if "exchange" in promql.where_labels(text):
        raise section.error(field, "matches on exchange, which the rules add themselves", instead="take the matcher out")
    return text


_INVISIBLE = ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")


def printable(section: Section, field: str, text: str) -> str:
    """The text itself: an invisible character would break the line of a rule file, or the file."""
    odd = next((one for one in text if one not in "\n\t" and unicodedata.category(one) in _INVISIBLE), None)
    if odd is not None:
        raise section.error(field, f"has the invisible character {odd!r}", instead="take it out")
    return text
