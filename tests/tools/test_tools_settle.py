"""The money of a day: exact, and zero in sum."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import VenueError
from engine.tools.eod import check_settlement_days, load_holidays, parse_rate
from engine.tools.settle import Day, FeeRates, Settlement, fees_of, settlement_date
from engine.types import Instrument

AAPL = Instrument(0, "AAPL", Decimal("0.01"), 1_000_000)
FRIDAY = date(2026, 11, 20)


def settled(firm, bought, sold, cash, maker=0, taker=0):
    return Settlement(firm, AAPL, bought, sold, bought - sold, Decimal(cash), maker, taker)


def day_of(*settlements):
    return Day(FRIDAY, FRIDAY, settlements, fees_of(settlements, FeeRates()))


@pytest.mark.parametrize(
    ("trade", "days", "holidays", "settles"),
    [
        (date(2026, 11, 19), 1, [], date(2026, 11, 20)),
        (FRIDAY, 1, [], date(2026, 11, 23)),
        (FRIDAY, 1, [date(2026, 11, 23)], date(2026, 11, 24)),
        (FRIDAY, 2, [date(2026, 11, 23)], date(2026, 11, 25)),
        (date(2026, 12, 24), 1, [date(2026, 12, 25)], date(2026, 12, 28)),
        (FRIDAY, 0, [], FRIDAY),
    ],
)
def test_settlement_skips_weekends_and_holidays(trade, days, holidays, settles):
    assert settlement_date(trade, days, frozenset(holidays)) == settles


def test_fees_are_exact_and_a_firm_that_only_rested_is_paid():
    maker, taker = fees_of([settled(7, 0, 0, 0, maker=333), settled(8, 0, 0, 0, taker=333)], FeeRates())
    assert (maker.rebate, maker.fee, maker.net) == (Decimal("0.666"), 0, Decimal("-0.666"))
    assert (taker.rebate, taker.fee, taker.net) == (0, Decimal("0.999"), Decimal("0.999"))


def test_fees_of_a_firm_are_summed_over_its_instruments():
    (fees,) = fees_of([settled(7, 0, 0, 0, maker=1, taker=2), settled(7, 0, 0, 0, maker=10, taker=20)], FeeRates())
    assert (fees.maker_qty, fees.taker_qty) == (11, 22)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 10**9), st.integers(1, 10**9)), max_size=30))
def test_a_day_made_of_trades_adds_up(trades):
    sums = {}
    for buyer, seller, price, qty in trades:
        for firm, sign in ((buyer, 1), (seller, -1)):
            one = sums.setdefault(firm, settled(firm, 0, 0, 0))
            bought, sold = (qty, 0) if sign > 0 else (0, qty)
            sums[firm] = replace(
                one, bought=one.bought + bought, sold=one.sold + sold, cash=one.cash - sign * price * qty * AAPL.tick_size,
                maker_qty=one.maker_qty + sold, taker_qty=one.taker_qty + bought,
            )  # fmt: skip
    assert day_of(*sums.values()).broken_sums() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bought": 11}, "AAPL: shares bought less sold 1"),
        ({"cash": Decimal("-99.99")}, "AAPL: cash 0.01"),
        ({"taker_qty": 9}, "AAPL: maker less taker quantity 1"),
    ],
)
def test_what_does_not_add_up_is_named(change, said):
    good = (settled(7, 10, 0, "-100.00", taker=10), settled(8, 0, 10, "100.00", maker=10))
    assert day_of(*good).broken_sums() == []
    assert day_of(replace(good[0], **change), good[1]).broken_sums() == [said]


def test_rates_and_days_are_checked():
    assert parse_rate("0.002", "--taker-fee") == Decimal("0.002")
    for text in ("", "x", "-1", "NaN", "Infinity", "1e9"):
        with pytest.raises(VenueError, match="--taker-fee"):
            parse_rate(text, "--taker-fee")
    for days in (-1, 31):
        with pytest.raises(VenueError, match="--settlement-days"):
            check_settlement_days(days)


def test_holidays_are_dates_with_remarks_and_a_mistake_is_named_by_line(tmp_path):
    path = tmp_path / "holidays.txt"
    path.write_text("# 2026\n2026-11-26  # Thanksgiving\n\n2026-12-25\n")
    assert load_holidays(path) == {date(2026, 11, 26), date(2026, 12, 25)}
    assert load_holidays(None) == frozenset()
    path.write_text("2026-11-26\n26.12.2026\n")
    with pytest.raises(VenueError, match=r"holidays.txt:2: expected a date"):
        load_holidays(path)
