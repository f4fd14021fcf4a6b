"""Columns, exact prices and averages."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from engine.tools.text import average_text, count_text, price_text, table

TICKS = st.sampled_from([Decimal("0.01"), Decimal("0.5"), Decimal("1"), Decimal("0.00000001"), Decimal("25"), Decimal("0.10")])


@given(st.integers(-(10**18), 10**18), TICKS)
def test_a_price_is_the_exact_product_of_ticks_and_tick(ticks, tick):
    assert Fraction(price_text(ticks, tick)) == ticks * Fraction(tick)


def test_a_price_has_the_decimals_of_its_tick():
    assert [price_text(15010, Decimal(tick)) for tick in ("0.01", "0.0001", "0.5", "5")] == ["150.10", "1.5010", "7505.0", "75050"]


@given(st.integers(1, 10**9), st.integers(1, 10**9), TICKS)
def test_an_average_is_exact_or_says_that_it_is_not(notional, qty, tick):
    said = average_text(notional, qty, tick)
    true = notional * Fraction(tick) / qty
    if said.startswith("~"):
        assert said != "~" and abs(Fraction(said[1:]) - true) <= Fraction(1, 10**6)
        assert Fraction(said[1:]) != true
    else:
        assert Fraction(said) == true


def test_without_a_trade_there_is_no_average():
    assert average_text(0, 0, Decimal("0.01")) == "-"
    assert average_text(1, 3, Decimal("0.01")) == "~0.00333333"


def test_columns_are_aligned_and_end_without_blanks():
    assert table(("name", "n"), [("a", "1"), ("long name", "200")], left=(0,)) == ["name         n", "a            1", "long name  200"]
    assert table(("left",), [("x",)], left=(0,)) == ["left", "x"]


def test_one_is_no_plural():
    assert [count_text(number, "order") for number in (0, 1, 2000)] == ["0 orders", "1 order", "2,000 orders"]
