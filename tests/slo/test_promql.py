"""PromQL written without float noise, and read back: series, matchers, windows."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.slo import promql
from ops.slo.promql import Matcher, Reference, decimal, read, selector, window


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(1, 10000), "0.0001"),
        (Fraction(14), "14"),
        (Fraction(10000), "10000"),
        (Fraction(0), "0"),
        (Fraction(-5, 4), "-1.25"),
        (Fraction(1, 3), "0.333333333333"),
        (Fraction(2, 3), "0.666666666667"),
        (Fraction(20, 3), "6.66666666667"),
        (Fraction(1, 300_000), "0.00000333333333333"),
        (Fraction(10**13, 3), "3333333333333"),
        (1 - Fraction("0.999"), "0.001"),
    ],
)
def test_numbers_are_exact_where_they_end_and_have_twelve_digits_where_they_do_not(value: Fraction, text: str) -> None:
    """1 - 0.999 is 0.0010000000000000009 in floats."""
    assert decimal(value) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9))
def test_every_decimal_is_written_as_it_is(value: Decimal) -> None:
    assert Fraction(decimal(Fraction(value))) == Fraction(value)


@given(st.fractions(min_value=-(10**6), max_value=10**6))
def test_every_number_is_right_to_twelve_digits_and_is_promql(value: Fraction) -> None:
    text = decimal(value)
    assert abs(Fraction(text) - value) <= abs(value) / 10**11
    assert not read(f"vector({text})").error
    assert "e" not in text


def test_a_selector_has_the_venue_first_and_no_empty_parts() -> None:
    assert selector("up") == "up"
    assert selector("up", exchange="XDEMO") == 'up{exchange="XDEMO"}'
    assert selector("m", ' code=~"5..", ', "X", 'le="0.5"') == 'm{exchange="X",code=~"5..",le="0.5"}'


@given(st.text(max_size=20).filter(lambda text: "\r" not in text))
def test_any_text_can_be_quoted(text: str) -> None:
    """The parser here refuses a carriage return that Go would take."""
    reading = read(selector("up", exchange=text or "x"))
    assert [matcher.value for matcher in reading.references[0].matchers] == [text or "x"]


@pytest.mark.parametrize(("seconds", "text"), [(60, "59s"), (300, "4m59s"), (3600, "59m59s"), (21600, "5h59m59s"), (86400, "23h59m59s")])
def test_a_window_is_a_second_short_so_that_2x_and_3x_count_alike(seconds: int, text: str) -> None:
    assert window(seconds) == text


@pytest.mark.parametrize("text", ["", 'a="b"', 'a="b",c!~"d|e"', ' a = "b" , ', 'a="x\\"y"'])
def test_what_stands_inside_a_selector_is_taken(text: str) -> None:
    assert promql.is_where(text)
    assert not read(selector("m", text, "X")).error


@pytest.mark.parametrize("text", ["a=b", "a", '{a="b"}', 'a="b"}', 'a="b" or c="d"', 'a="b"c="d"', "a='b'", 'a="b\n"'])
def test_what_does_not_is_not(text: str) -> None:
    assert not promql.is_where(text)


def test_the_labels_of_a_where_are_found_past_its_values() -> None:
    assert promql.where_labels('a="x,b=\\"y\\"",c=~"d"') == ("a", "c")


def test_an_expression_gives_its_series_windows_and_how_far_back_they_lie() -> None:
    reading = read('rate(a_total{x="y"}[5m] offset 1m) / max_over_time(slo:bad:ratio{e!~"z"}[33d:3h]) > bool on () b')
    assert reading.references == (
        Reference("a_total", (Matcher("x", "=", "y"),), 300, 360, 1),
        Reference("slo:bad:ratio", (Matcher("e", "!~", "z"),), 0, 33 * 86400, 264),
        Reference("b", (), 0, 0, 1),
    )
    assert (reading.metrics, reading.back_s) == ({"a_total", "slo:bad:ratio", "b"}, 33 * 86400)


def test_a_name_given_as_a_matcher_counts() -> None:
    assert read('absent({__name__="x:y"})').metrics == {"x:y"}


@pytest.mark.parametrize("expr", ["", "sum(", "mul(a, b)", "rate(a)", 'a{b=~"("}', "(" * 100_000, "-" * 200_000 + "1"])
def test_what_is_no_expression_says_why(expr: str) -> None:
    assert read(expr).error


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_says_why_not(text: str) -> None:
    reading = read(text)
    assert bool(reading.error) != (reading.references != () or not reading.error)


def test_series_held_against_a_number_are_told() -> None:
    assert read("(a_total > 0) and b * 2 >= 3").compared == (("a_total", ">", 0.0),)


def test_the_queries_and_functions_of_a_template_are_found() -> None:
    text = '{{ with printf "slo:x{a=%q}" .Labels.a | query }}{{ . | first | value | humanize }}{{ end }}'
    text += '{{ query `up{b="c"}` }} at {{ mul 2 3 }}'
    assert promql.template_queries(text) == ("slo:x{a=%q}", 'up{b="c"}')
    assert promql.functions_called(text) == {"with", "printf", "query", "first", "value", "humanize", "end", "mul"}
