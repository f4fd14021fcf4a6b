"""Burn rates, budgets and money: exact, and without thresholds that no outage reaches or a healthy venue does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.session import Calendar, DayType, Hours, Maintenance, Phase, PhaseName, Zone
from ops.slo import factors
from ops.slo.factors import (
    bad_minutes_to_fire,
    budgets,
    derived_factor,
    faults,
    firings,
    highest_burn,
    month_minutes,
    severity_of,
    spike_threshold,
)
from ops.slo.model import Money, Policy, Severity, Spec, Terms, Tier
from ops.slo.parse import DEFAULT_TIERS
from ops.specs import parse_percent

EVERY_DAY = frozenset(range(7))
CALENDAR = Calendar(
    "XTEST",
    "America/New_York",
    date(2026, 1, 1),
    date(2026, 12, 31),
    (DayType("ordinary", (Phase(PhaseName.CONTINUOUS, 570, 960),), frozenset(range(5))),),
    {date(2026, 11, 26): "Thanksgiving"},
    {},
    (Maintenance(EVERY_DAY, 0, 240), Maintenance(EVERY_DAY, 1380, 1440)),
    None,
)
TERMS = {
    Zone.VOLATILE: Terms(Fraction("0.9999"), Fraction(500), Severity.PAGE),
    Zone.REGULAR: Terms(Fraction("0.9995"), Fraction(100), Severity.PAGE),
    Zone.EXTENDED: Terms(Fraction("0.999"), Fraction(20), Severity.TICKET),
    Zone.MAINTENANCE: Terms(Fraction("0.98"), Fraction(0), Severity.NONE),
}
POLICY = Policy("default", TERMS)
SPEC = Spec(
    Path("xtest.yaml"),
    "0" * 12,
    "XTEST",
    CALENDAR,
    15,
    "",
    (480, 1200),
    Money(Fraction(10000), Fraction(1, 20), Fraction(1, 2)),
    POLICY,
    DEFAULT_TIERS,
    (),
)
SHARES = st.fractions(Fraction(1, 10**6), Fraction(999_999, 10**6), max_denominator=10**6)
WINDOWS_S = st.integers(1, 72 * 60).map(lambda minutes: minutes * 60)


def with_zone(zone: Zone, **changes: object) -> Spec:
    return replace(SPEC, default=Policy("default", {**TERMS, zone: replace(TERMS[zone], **changes)}))


def test_a_month_has_the_minutes_of_its_sessions() -> None:
    """November 2026: 20 trading days (21 weekdays less Thanksgiving), 30 x 300 minutes of maintenance, an hour more for the clocks."""
    minutes = month_minutes(CALENDAR, 2026, 11)
    assert minutes[Hours.REGULAR] == 20 * 390
    assert minutes[Hours.MAINTENANCE] == 30 * 300 + 60
    assert sum(minutes.values()) == 30 * 1440 + 60


def test_four_nines_in_session_are_less_than_a_minute_a_month() -> None:
    """And not the 4.3 minutes of a venue that never closes, nor the 5.2 that are often told."""
    regular = budgets(CALENDAR, POLICY, 2026, 11)[0]
    assert regular.bad_minutes == Fraction(7800, 10000)
    assert regular.wall_clock_minutes == Fraction(43260, 10000)
    assert regular.usd == 390


def test_a_budget_is_weighed_by_the_share_of_cost() -> None:
    one = budgets(CALENDAR, Policy("own", TERMS, Fraction(1, 4)), 2026, 11)
    assert [each.usd_per_minute for each in one] == [125, 25, 5, 0]


def test_the_factors_of_a_wall_clock_month_are_five_times_too_high_in_session() -> None:
    """2 % within an hour: 14.4 of 30 days, but 2.8 of a stock exchange's month."""
    assert derived_factor(Fraction(2, 100), 30 * 1440, 3600) == Fraction("14.4")
    average = factors.average_month(CALENDAR)
    assert Fraction("2.6") < derived_factor(Fraction(2, 100), average[Hours.REGULAR], 3600) < Fraction("2.9")


@given(SHARES, st.integers(1, 50_000), WINDOWS_S)
def test_burning_at_the_derived_factor_for_the_window_spends_exactly_the_budget(budget: Fraction, period: int, window_s: int) -> None:
    burn = derived_factor(budget, period, window_s)
    error_budget = Fraction(1, 1000)
    bad_minutes = burn * error_budget * Fraction(window_s, 60)
    assert bad_minutes == budget * error_budget * period


@given(SHARES, st.integers(1, 50_000), WINDOWS_S)
def test_the_arithmetic_is_that_of_exact_decimals(budget: Fraction, period: int, window_s: int) -> None:
    with localcontext() as context:
        context.prec = 60
        expected = Decimal(budget.numerator) / Decimal(budget.denominator) * period / (Decimal(window_s) / 60)
        burn = derived_factor(budget, period, window_s)
        found = Decimal(burn.numerator) / Decimal(burn.denominator)
        assert abs(found - expected) <= expected * Decimal(10) ** -50


@given(SHARES, WINDOWS_S, st.integers(1, 1440))
def test_no_outage_burns_faster_than_the_highest_burn_and_a_total_one_within_the_hours_reaches_it(
    objective: Fraction, window_s: int, in_a_day: int
) -> None:
    reach = highest_burn(window_s, in_a_day, 1 - objective)
    assert 0 < reach <= 1 / (1 - objective)
    if window_s <= in_a_day * 60:
        assert reach == 1 / (1 - objective)


@given(st.fractions(Fraction(101, 100), 50, max_denominator=100), SHARES)
def test_a_tier_fires_once_both_windows_have_reached_its_factor(burn: Fraction, error_budget: Fraction) -> None:
    tier = Tier("fast", Severity.PAGE, 3600, 300, factor=burn)
    minutes = bad_minutes_to_fire(tier, burn, error_budget)
    assert minutes / 60 / error_budget == burn, "the long window"
    assert minutes / 5 / error_budget >= burn, "the short one has got there before"


def test_the_default_alerts_have_no_fault() -> None:
    assert faults(SPEC) == ()


@pytest.mark.parametrize(("objective", "silent"), [("0.93", False), ("0.928571", True), ("0.9", True)])
def test_a_factor_that_no_outage_reaches_is_found(objective: str, silent: bool) -> None:
    """14 x 1/14 = 1: from an objective of 92.857 % down a total outage never burns at 14."""
    found = faults(with_zone(Zone.EXTENDED, objective=Fraction(objective)))
    assert [(fault.tier, fault.zone) for fault in found] == [("fast", Zone.EXTENDED)] * silent
    assert all("it can never fire" in fault.reason and "write a factor below" in fault.instead for fault in found)


def test_a_window_that_is_longer_than_the_session_lowers_what_can_be_reached() -> None:
    long = Tier("slow", Severity.TICKET, 86400, 3600, factor=Fraction(600))
    spec = replace(with_zone(Zone.REGULAR, objective=Fraction("0.9995")), tiers=(long,))
    assert [fault.zone for fault in faults(spec)] == [Zone.REGULAR], "390 of 1440 minutes at 99.95 % reach 541"


@pytest.mark.parametrize(("factor", "wrong"), [("0.69", True), ("1", True), ("1.01", False)])
def test_a_factor_that_a_healthy_venue_reaches_is_found(factor: str, wrong: bool) -> None:
    slow = Tier("slow", Severity.TICKET, 21600, 3600, factor=Fraction(factor))
    found = faults(replace(SPEC, tiers=(slow,)))
    assert [fault.zone for fault in found] == [Zone.VOLATILE, Zone.REGULAR, Zone.EXTENDED] * wrong
    assert all("it fires while all is well" in fault.reason for fault in found)


def test_a_budget_that_gives_a_factor_below_one_is_found_with_its_numbers() -> None:
    """10 % over three sessions: the tier of the books that means nothing here."""
    tier = Tier("slow", Severity.TICKET, 3 * 86400, 21600, budget=Fraction(1, 10))
    found = [fault for fault in faults(replace(SPEC, tiers=(tier,))) if fault.zone is Zone.VOLATILE]
    assert [fault.reason.split(":")[0] for fault in found] == ["burns at 0.1957 (from a budget of 10%)"]
    assert found[0].instead.startswith("write a larger budget")


def test_a_spike_within_what_the_objective_allows_is_found_only_where_it_can_page() -> None:
    slower = (DEFAULT_TIERS[0], replace(DEFAULT_TIERS[1], factor=Fraction(1, 2)), DEFAULT_TIERS[2])
    found = faults(replace(with_zone(Zone.REGULAR, objective=Fraction("0.97")), tiers=slower))
    assert [fault.zone for fault in found if fault.tier == "spike"] == [Zone.REGULAR]
    maintenance = replace(with_zone(Zone.MAINTENANCE, objective=Fraction("0.97")), tiers=slower)
    assert [fault.tier for fault in faults(maintenance) if fault.tier == "spike"] == []


@pytest.mark.parametrize(("objective", "threshold"), [("0.9999", "0.03"), ("0.998", "0.03"), ("0.99", "0.14"), ("0.9", "1")])
def test_a_spike_is_never_less_than_the_fast_burn(objective: str, threshold: str) -> None:
    """What is an ordinary minute of a loose promise wakes nobody; a total outage always does."""
    spec = with_zone(Zone.REGULAR, objective=Fraction(objective))
    assert spike_threshold(spec, spec.default.terms[Zone.REGULAR]) == Fraction(threshold)
    (told,) = [each for each in firings(spec, spec.default) if (each.tier.name, each.zone) == ("spike", Zone.REGULAR)]
    assert (told.factor, told.earliest_s) == (Fraction(threshold), Fraction(threshold) * 60)


def test_there_is_no_spike_where_nobody_is_woken() -> None:
    assert spike_threshold(SPEC, TERMS[Zone.EXTENDED]) is None
    silent = replace(SPEC, tiers=(replace(DEFAULT_TIERS[0], severity=Severity.NONE), *DEFAULT_TIERS[1:]))
    assert spike_threshold(silent, TERMS[Zone.VOLATILE]) is None


def test_hours_that_a_venue_does_not_have_are_no_fault() -> None:
    around_the_clock = replace(CALENDAR, day_types=(DayType("all", (Phase(PhaseName.CONTINUOUS, 0, 1440),), EVERY_DAY),), maintenance=())
    spec = replace(with_zone(Zone.EXTENDED, objective=Fraction("0.5")), calendar=around_the_clock)
    assert faults(spec) == ()


@pytest.mark.parametrize(
    ("tier", "zone", "expected"),
    [
        ("page", "page", "page"),
        ("page", "ticket", "ticket"),
        ("ticket", "page", "ticket"),
        ("page", "none", "none"),
        ("none", "page", "none"),
    ],
)
def test_an_alert_is_the_milder_of_what_its_speed_and_its_zone_say(tier: str, zone: str, expected: str) -> None:
    burn = Tier("fast", Severity(tier), 3600, 300, factor=Fraction(14))
    assert severity_of(burn, Terms(Fraction("0.99"), Fraction(0), Severity(zone))) == expected


def test_the_spike_exists_where_it_may_page_only() -> None:
    found = {(firing.tier.name, int(firing.zone)) for firing in firings(SPEC, POLICY)}
    assert found == {("spike", 1), ("fast", 1), ("slow", 1), ("spike", 2), ("fast", 2), ("slow", 2), ("fast", 3), ("slow", 3)}


def test_a_total_outage_is_told_at_the_computed_time() -> None:
    found = {(firing.tier.name, int(firing.zone)): firing for firing in firings(SPEC, POLICY)}
    assert found["spike", 1].latest_s <= 45, "the bound for 15 s scrapes"
    assert found["fast", 1].earliest_s == Fraction(14, 10000) * 3600
    assert found["slow", 3].earliest_s == Fraction(3, 1000) * 21600
    assert found["slow", 3].severity is Severity.TICKET


@given(st.integers(1, 10**8 - 1))
def test_a_share_is_written_as_it_was_read(millionths_of_a_percent: int) -> None:
    ratio = Fraction(millionths_of_a_percent, 10**8)
    assert parse_percent(factors.share(ratio)) == ratio
