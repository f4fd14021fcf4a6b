"""The budget's arithmetic, exactly; and what is not recorded is unknown, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import conventions as names
from ops.adapters.fakes_queries import FakeQueries
from ops.errors import MetricsUnavailable
from ops.ports import Series
from ops.session import Calendar, DayType, Hours, Maintenance, Phase, PhaseName, Volatility, Zone
from ops.slo import budget
from ops.slo.budget import Facts, Line
from ops.slo.model import VENUE_SLO, Idle, Money, NoData, Policy, Probe, Selector, Severity, Slo, Spec, Terms
from ops.slo.parse import DEFAULT_TIERS

WEEKDAYS = frozenset(range(5))
CALENDAR = Calendar(
    name="TEST",
    timezone="America/New_York",
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
    day_types=(DayType("ordinary", (Phase(PhaseName.CONTINUOUS, 570, 960),), WEEKDAYS),),
    holidays={date(2026, 11, 26): "Thanksgiving"},
    closures={},
    maintenance=(Maintenance(frozenset(range(7)), 1380, 1440), Maintenance(frozenset(range(7)), 0, 240)),
    volatility=Volatility("vix_index", 20.0, 18.0, 1800, 14400),
)
DEFAULT = Policy(
    "default",
    {
        Zone.VOLATILE: Terms(Fraction(9999, 10000), Fraction(500), Severity.PAGE),
        Zone.REGULAR: Terms(Fraction(9995, 10000), Fraction(100), Severity.PAGE),
        Zone.EXTENDED: Terms(Fraction(999, 1000), Fraction(20), Severity.TICKET),
        Zone.MAINTENANCE: Terms(Fraction(98, 100), Fraction(0), Severity.TICKET),
    },
)


def slo(name: str, policy: Policy = DEFAULT, group_by: tuple[str, ...] = ()) -> Slo:
    sli = Probe(Selector("up"))
    return Slo(name, "", "gateway", "team", sli, policy, group_by, NoData.BAD, Idle.GOOD, 0, 60, "", "act", "runbooks/a.md", 1)


def spec(*slos: Slo, calendar: Calendar = CALENDAR) -> Spec:
    return Spec(
        path=Path("slo/test.yaml"),
        digest="0" * 12,
        exchange="XDEMO",
        calendar=calendar,
        scrape_interval_s=15,
        runbook_base="",
        deliver_tickets=(480, 1200),
        money=Money(Fraction(10000), Fraction(5, 100), Fraction(1, 2)),
        default=DEFAULT,
        tiers=DEFAULT_TIERS,
        slos=slos or (slo("orders"),),
    )


def at(text: str) -> float:
    """A UTC time."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


MID_MONTH_S = at("2026-11-18T20:30:00")
"""A Wednesday, half past three in New York."""
NOTHING = Facts(MID_MONTH_S, {}, {}, {}, None, None, None)


def counted(**slices: int) -> Mapping[Zone, Fraction]:
    return {Zone(int(name[1:])): Fraction(count) for name, count in slices.items()}


def line(report: budget.Report, zone: Zone, name: str = "orders") -> Line:
    return next(found for found in report.of(name) if found.zone is zone)


# --- minutes


def test_minutes_so_far_and_in_all_are_the_calendars() -> None:
    minutes = budget.zone_minutes(CALENDAR, MID_MONTH_S, counted(z2=100))
    assert minutes[Zone.REGULAR].total == 20 * 390, "21 weekdays of November 2026, less Thanksgiving"
    assert minutes[Zone.REGULAR].elapsed == 12 * 390 + 360
    assert minutes[Zone.MAINTENANCE].total == 30 * 300 + 60, "23:00 to 04:00; the hour that came twice on the 1st is among them"
    whole = sum(found.total or 0 for found in minutes.values())
    assert whole == 30 * 1440 + 60, "the month in which the clocks go back has an hour more"


def test_regular_minutes_divide_as_the_recorded_slices_do() -> None:
    minutes = budget.zone_minutes(CALENDAR, MID_MONTH_S, counted(z1=1, z2=3))
    assert minutes[Zone.VOLATILE].total == Fraction(20 * 390, 4)
    assert minutes[Zone.REGULAR].elapsed == Fraction(3 * (12 * 390 + 360), 4)


def test_how_regular_minutes_divide_is_unknown_when_no_slice_is_recorded() -> None:
    minutes = budget.zone_minutes(CALENDAR, MID_MONTH_S, counted(z3=10))
    assert minutes[Zone.VOLATILE].total is None and minutes[Zone.REGULAR].elapsed is None
    assert minutes[Zone.EXTENDED].total is not None


def test_before_the_first_session_all_regular_minutes_are_zone_2() -> None:
    minutes = budget.zone_minutes(CALENDAR, at("2026-11-01T12:00:00"), {})
    assert (minutes[Zone.VOLATILE].total, minutes[Zone.REGULAR].total) == (0, 20 * 390)


def test_a_venue_without_volatility_has_no_zone_1() -> None:
    minutes = budget.zone_minutes(replace(CALENDAR, volatility=None), MID_MONTH_S, {})
    assert (minutes[Zone.VOLATILE].total, minutes[Zone.REGULAR].total) == (0, 20 * 390)


@given(st.integers(0, 30 * 1440 + 59), st.integers(0, 9000), st.integers(0, 9000))
def test_zones_add_up_to_the_month_exactly(minute: int, high: int, low: int) -> None:
    start_s, end_s = CALENDAR.month_bounds(2026, 11)
    minutes = budget.zone_minutes(CALENDAR, start_s + minute * 60, counted(z1=high, z2=low))
    if any(found.total is None for found in minutes.values()):
        assert high + low == 0
        return
    assert sum(found.elapsed or 0 for found in minutes.values()) == minute
    assert sum(found.total or 0 for found in minutes.values()) == Fraction(end_s - start_s, 60)


# --- lines


def test_a_budget_is_what_the_objective_leaves_of_the_zones_minutes() -> None:
    facts = replace(NOTHING, bad_minutes={("orders", "", Zone.REGULAR): Fraction(39, 40)}, slices=counted(z2=5040))
    found = line(budget.report(spec(), facts), Zone.REGULAR)
    assert found.budget_minutes == Fraction(39, 10), "0.05 % of 7,800 minutes"
    assert found.wall_clock_minutes == Fraction(43260, 2000)
    assert (found.spent, found.left) == (Fraction(1, 4), Fraction(3, 4))
    assert found.availability == 1 - Fraction(39, 40) / 5040
    assert found.loss_usd == Fraction(195, 2)
    assert found.forecast_minutes == Fraction(39, 40) / 5040 * 7800


@given(
    st.fractions(0, 10_000, max_denominator=1000),
    st.integers(1, 9000),
    st.integers(1, 9000),
    st.integers(600, 30 * 1440),
)
def test_the_arithmetic_is_exact(bad: Fraction, high: int, low: int, minute: int) -> None:
    start_s, _ = CALENDAR.month_bounds(2026, 11)
    keys = [("orders", "", zone) for zone in Zone]
    facts = replace(NOTHING, at_s=start_s + minute * 60, bad_minutes=dict.fromkeys(keys, bad), slices=counted(z1=high, z2=low, z3=1, z4=1))
    found = budget.report(spec(), facts)
    for one in found.of("orders"):
        minutes = found.minutes[one.zone]
        assert one.budget_minutes is not None and minutes.total is not None and minutes.elapsed is not None
        assert one.budget_minutes == (1 - one.objective) * minutes.total
        assert one.left is not None and one.left * one.budget_minutes == one.budget_minutes - bad
        assert one.loss_usd == bad * DEFAULT.terms[one.zone].cost_usd_per_minute
        if minutes.elapsed:
            assert one.forecast_minutes is not None and one.forecast_minutes * minutes.elapsed == bad * minutes.total
        else:
            assert one.forecast_minutes == bad


def test_a_share_of_the_cost_is_a_share_of_the_dollars() -> None:
    half = Policy("orders", DEFAULT.terms, Fraction(1, 2))
    facts = replace(NOTHING, bad_minutes={("orders", "", Zone.REGULAR): Fraction(3)}, slices=counted(z2=5040))
    assert line(budget.report(spec(slo("orders", half)), facts), Zone.REGULAR).loss_usd == 150


def test_every_group_of_an_slo_has_lines_of_its_own() -> None:
    bad = {("feed", "feed=a", Zone.REGULAR): Fraction(1), ("feed", "feed=b", Zone.REGULAR): Fraction(2)}
    found = budget.report(spec(slo("feed", group_by=("feed",))), replace(NOTHING, bad_minutes=bad, slices=counted(z2=5040)))
    assert [one.group for one in found.of("feed") if one.zone is Zone.REGULAR] == ["feed=a", "feed=b"]
    worst = budget.worst(one for one in found.of("feed") if one.zone is Zone.REGULAR)
    assert worst is not None and worst.group == "feed=b"


@pytest.mark.parametrize(
    ("spent", "allowed"),
    [
        ("0", "all"),
        ("0.6999", "all"),
        ("0.7", "no full-traffic release"),
        ("0.7999", "no full-traffic release"),
        ("0.8", "canary or flag only"),
        ("0.9999", "canary or flag only"),
        ("1", "only fixes, rollback, flag-off"),
        ("7", "only fixes, rollback, flag-off"),
    ],
)
def test_what_may_be_released(spent: str, allowed: str) -> None:
    assert budget.releases(Fraction(spent)) == allowed


@given(st.fractions(0, 3), st.fractions(0, 3))
def test_the_policy_never_gets_looser_as_more_is_spent(one: Fraction, other: Fraction) -> None:
    order = [words for _, words in reversed(budget.RELEASE_POLICY)]
    less, more = sorted((one, other))
    assert order.index(budget.releases(less)) <= order.index(budget.releases(more))


# --- dollars


def test_the_forecast_in_dollars_keeps_each_zones_pace() -> None:
    bad = {(VENUE_SLO, "", Zone.REGULAR): Fraction(10), (VENUE_SLO, "", Zone.EXTENDED): Fraction(0)}
    facts = replace(NOTHING, bad_minutes=bad, slices=counted(z2=5040, z3=9000), loss_usd={(VENUE_SLO, ""): Fraction(1000)})
    dollars = budget.report(spec(), facts).dollars
    assert dollars.spent_usd == 1000 and dollars.remaining_usd == 9000 and dollars.spent == Fraction(1, 10)
    assert dollars.forecast_usd == Fraction(1000) * 7800 / 5040


def test_without_the_loss_what_remains_says_it() -> None:
    dollars = budget.report(spec(), replace(NOTHING, remaining_usd=Fraction(2500))).dollars
    assert dollars.spent_usd == 7500 and dollars.forecast_usd is None, "there is no pace"
    assert dollars.releases == "no full-traffic release"


# --- what is missing


def test_nothing_recorded_is_unknown_everywhere() -> None:
    found = budget.report(spec(), NOTHING)
    assert {one.zone for one in found.of("orders")} == set(Zone)
    for one in found.of("orders"):
        assert (one.bad_minutes, one.spent, one.left, one.availability, one.loss_usd, one.releases) == (None,) * 6
    assert (found.dollars.spent_usd, found.dollars.frozen, found.coverage) == (None, None, None)
    assert "none of the series" in found.warnings[0]


def test_a_zone_that_has_not_begun_has_spent_nothing() -> None:
    found = budget.report(spec(), replace(NOTHING, at_s=at("2026-11-01T05:30:00")))
    assert line(found, Zone.REGULAR).bad_minutes == 0 and line(found, Zone.REGULAR).left == 1
    assert line(found, Zone.MAINTENANCE).bad_minutes is None, "that one has had minutes"


def test_one_slo_without_series_is_named() -> None:
    facts = replace(NOTHING, bad_minutes={("orders", "", zone): Fraction(0) for zone in Zone}, slices=counted(z2=1), coverage=Fraction(1))
    found = budget.report(spec(slo("orders"), slo("feed")), facts)
    assert found.warnings == ("nothing recorded in some zone: feed",)
    assert line(found, Zone.REGULAR).left == 1 and line(found, Zone.REGULAR, "feed").left is None


def test_missing_history_is_told() -> None:
    facts = replace(
        NOTHING, bad_minutes={("orders", "", zone): Fraction(0) for zone in Zone}, slices=counted(z2=1), coverage=Fraction(98, 100)
    )
    assert "history is missing, figures are too low: 98.0%" in budget.report(spec(), facts).warnings[0]


# --- reading


def series(value: float, **labels: str) -> Series:
    return Series({"exchange": "XDEMO", **labels}, ((MID_MONTH_S - 100, value),))


def told() -> FakeQueries:
    return FakeQueries(
        {
            names.SERIES_BAD_MONTH: (
                series(1.25, slo="orders", policy="default", zone="2", month="202611"),
                series(9.0, slo="orders", policy="default", zone="2", month="202610"),
                series(0.5, slo="feed", policy="default", zone="3", month="202611", feed="a"),
                series(1.5, slo="venue", policy="default", zone="2", month="202611"),
            ),
            "count_over_time(slo:bad:slice": (Series({"zone": "2"}, ((MID_MONTH_S, 5040.0),)),),
            names.SERIES_LOSS_MONTH: (series(150.0, slo="venue", policy="default", month="202611"),),
            names.SERIES_COVERAGE: (series(0.5),),
            names.SERIES_BUDGET_REMAINING: (series(9850.0),),
            names.SERIES_CHANGE_FREEZE: (series(0.0),),
            names.SERIES_ZONE_NUMBER: (series(2.0),),
        }
    )


def test_the_months_series_are_read_and_last_months_left_out() -> None:
    facts = budget.read(told(), spec(slo("orders"), slo("feed", group_by=("feed",))), MID_MONTH_S)
    assert facts.bad_minutes == {
        ("orders", "", Zone.REGULAR): Fraction(5, 4),
        ("feed", "feed=a", Zone.EXTENDED): Fraction(1, 2),
        ("venue", "", Zone.REGULAR): Fraction(3, 2),
    }
    assert facts.slices == {Zone.REGULAR: 5040} and facts.loss_usd == {("venue", ""): 150}
    assert (facts.remaining_usd, facts.frozen, facts.coverage, facts.zone) == (9850, False, Fraction(1, 2), Zone.REGULAR)


def test_every_question_names_the_venue() -> None:
    queries = told()
    budget.read(queries, spec(), MID_MONTH_S)
    assert len(queries.asked) == 7
    assert all('exchange="XDEMO"' in query for query in queries.asked)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_unknown(value: float) -> None:
    queries = told()
    queries.told[names.SERIES_COVERAGE] = (series(value),)
    assert budget.read(queries, spec(), MID_MONTH_S).coverage is None


def test_a_prometheus_that_is_away_is_told() -> None:
    queries = told()
    queries.away = True
    with pytest.raises(MetricsUnavailable):
        budget.read(queries, spec(), MID_MONTH_S)


def test_the_curve_is_this_months_dollars_in_order() -> None:
    begun_s = CALENDAR.month_bounds(2026, 11)[0]
    points = tuple((begun_s + 3600.0 * hour, float(hour)) for hour in range(1, 400))
    queries = FakeQueries({names.SERIES_LOSS_MONTH: (Series({"slo": "venue", "month": "202611"}, points),)}, lookback_s=3600)
    curve = budget.spent_curve(queries, spec(), MID_MONTH_S)
    assert 200 < len(curve) <= budget.CURVE_POINTS + 1
    assert [usd for _, usd in curve] == sorted(usd for _, usd in curve)


def test_hours_are_those_of_the_calendar() -> None:
    minutes = budget.zone_minutes(CALENDAR, MID_MONTH_S, counted(z2=1))
    assert minutes[Zone.EXTENDED].total == CALENDAR.minutes(date(2026, 11, 1), date(2026, 11, 30))[Hours.EXTENDED]
