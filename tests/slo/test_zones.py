"""The calendar's rules, as promtool evaluates them with a clock that the test sets."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ops import calendars
from ops.session import Calendar, DayType, Maintenance, Phase, PhaseName, Volatility, Zone, volatility_high
from ops.slo import zones
from ops.slo.rulefile import Group, RuleFile, text

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60
NUMBER = "exchange:zone:number"
XNYS = calendars.load(ROOT / "slo/calendars/xnys.yaml")
XTKS = calendars.load(ROOT / "slo/calendars/xtks.yaml")
CALM = {"vix_index": "15x2000"}


def rule_text(groups: tuple[Group, ...]) -> str:
    return text(RuleFile("test.rules.yaml", groups), "Written by a test.")


def promtool(folder: Path, *arguments: str) -> str:
    """What promtool complains about; '' when it passes."""
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return done.stdout + done.stderr if done.returncode else ""


class Story:
    """Some minutes of a venue, from a local time on, with what is expected on the way."""

    def __init__(self, calendar: Calendar, start: str, minutes: int, series: dict[str, str] | None = None, clock: bool = True) -> None:
        self.zone = ZoneInfo(calendar.timezone)
        self.start_s = self.at_s(start)
        inputs = dict(series or {}) | ({"venue:clock:seconds": f"{self.start_s}+60x{minutes}"} if clock else {})
        self.test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in inputs.items()],
            "promql_expr_test": [],
            "alert_rule_test": [],
        }

    def at_s(self, when: str) -> int:
        moment = datetime.fromisoformat(when)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).timestamp())

    def sees(self, when: str, samples: dict[str, float], expr: str = NUMBER) -> "Story":
        """At a local (or, with an offset, any) time, exactly these series of `expr`."""
        expected = [{"labels": labels, "value": value} for labels, value in samples.items()]
        self.test["promql_expr_test"].append({"expr": expr, "eval_time": f"{self.at_s(when) - self.start_s}s", "exp_samples": expected})
        return self

    def zones(self, **at: int) -> "Story":
        """zones(t0930=2): the zone at local times of the first day."""
        day = datetime.fromtimestamp(self.start_s, self.zone).date()
        for when, zone in at.items():
            self.sees(f"{day}T{when[1:3]}:{when[3:5]}", {'exchange:zone:number{exchange="XDEMO"}': zone})
        return self

    def fires(self, when: str, alert: str, *expected: dict[str, object]) -> "Story":
        case = {"eval_time": f"{self.at_s(when) - self.start_s}s", "alertname": alert, "exp_alerts": list(expected)}
        self.test["alert_rule_test"].append(case)
        return self


def complaints(folder: Path, calendar: Calendar, *stories: Story) -> str:
    (folder / "calendar.yaml").write_text(rule_text(zones.calendar_groups("XDEMO", calendar)))
    tests = {"rule_files": ["calendar.yaml"], "evaluation_interval": "1m", "tests": [story.test for story in stories]}
    (folder / "test.yaml").write_text(json.dumps(tests))
    return promtool(folder, "test", "rules", "test.yaml")


def test_promtool_takes_the_rules_of_every_shipped_calendar(tmp_path):
    (tmp_path / "clock.yaml").write_text(rule_text(zones.clock_groups()))
    names = ["clock.yaml"]
    for path in sorted((ROOT / "slo/calendars").glob("*.yaml")):
        names.append(path.name)
        (tmp_path / path.name).write_text(rule_text(zones.calendar_groups(path.stem.upper(), calendars.load(path))))
    assert len(names) == 6
    assert promtool(tmp_path, "check", "rules", *names) == ""


def test_a_wrong_expectation_is_noticed(tmp_path):
    """The harness itself: a story that claims something false must fail."""
    assert "exchange:zone:number" in complaints(tmp_path, XNYS, Story(XNYS, "2026-03-10T09:25", 20, CALM).zones(t0930=3))


def test_an_ordinary_day_of_new_york(tmp_path):
    story = Story(XNYS, "2026-03-10T00:00", 1440, CALM)
    story.zones(t0000=4, t0359=4, t0400=3, t0929=3, t0930=2, t1559=2, t1600=3, t2259=3, t2300=4, t2359=4)
    assert complaints(tmp_path, XNYS, story) == ""


def test_the_open_follows_the_clocks_in_spring_and_autumn(tmp_path):
    stories = [
        Story(XNYS, "2026-03-06T14:20+00:00", 20, CALM).zones(t0929=3, t0930=2),
        Story(XNYS, "2026-03-09T13:20+00:00", 20, CALM).zones(t0929=3, t0930=2),
        Story(XNYS, "2026-10-30T13:20+00:00", 20, CALM).zones(t0929=3, t0930=2),
        Story(XNYS, "2026-11-02T14:20+00:00", 20, CALM).zones(t0929=3, t0930=2),
    ]
    assert complaints(tmp_path, XNYS, *stories) == ""


def minute(value):
    return {'exchange:local_time:minute_of_day{exchange="XDEMO"}': value}


def test_the_hour_that_is_skipped_and_the_hour_that_comes_twice(tmp_path):
    name = "exchange:local_time:minute_of_day"
    spring = Story(XNYS, "2026-03-08T06:55+00:00", 20, CALM)
    spring.sees("2026-03-08T06:59+00:00", minute(119), name).sees("2026-03-08T07:00+00:00", minute(180), name)
    autumn = Story(XNYS, "2026-11-01T05:55+00:00", 80, CALM)
    autumn.sees("2026-11-01T05:59+00:00", minute(119), name).sees("2026-11-01T06:00+00:00", minute(60), name)
    autumn.sees("2026-11-01T07:00+00:00", minute(120), name)
    assert complaints(tmp_path, XNYS, spring, autumn) == ""


def test_a_shift_of_half_an_hour(tmp_path):
    """Lord Howe Island is 10:30 ahead in winter and 11:00 in summer."""
    island = replace(XTKS, timezone="Australia/Lord_Howe")
    name = "exchange:local_time:minute_of_day"
    autumn = Story(island, "2026-04-04T14:55+00:00", 20)
    autumn.sees("2026-04-04T14:59+00:00", minute(119), name).sees("2026-04-04T15:00+00:00", minute(90), name)
    spring = Story(island, "2026-10-03T15:25+00:00", 20)
    spring.sees("2026-10-03T15:29+00:00", minute(119), name).sees("2026-10-03T15:30+00:00", minute(150), name)
    assert complaints(tmp_path, island, autumn, spring) == ""


def test_a_half_day_a_holiday_and_a_weekend(tmp_path):
    stories = [
        Story(XNYS, "2026-11-27T09:25", 300, CALM).zones(t0929=3, t0930=2, t1259=2, t1300=3),
        Story(XNYS, "2026-11-26T09:25", 300, CALM).zones(t0930=3, t1259=3),
        Story(XNYS, "2026-11-28T09:25", 10, CALM).zones(t0930=3),
    ]
    assert complaints(tmp_path, XNYS, *stories) == ""


def test_a_closure_wins_over_the_day_and_over_a_half_day(tmp_path):
    closed = replace(XNYS, closures={date(2026, 3, 10): "power failure", date(2026, 11, 27): "storm"})
    stories = [Story(closed, f"{day}T09:25", 10, CALM).zones(t0930=3) for day in ("2026-03-10", "2026-11-27")]
    stories.append(Story(closed, "2026-12-24T09:25", 10, CALM).zones(t0930=2))
    assert complaints(tmp_path, closed, *stories) == ""


def test_a_lunch_break_is_not_trading(tmp_path):
    story = Story(XTKS, "2026-03-10T08:50", 420)
    story.zones(t0859=3, t0900=2, t1129=2, t1130=3, t1229=3, t1230=2, t1529=2, t1530=3)
    assert complaints(tmp_path, XTKS, story) == ""


def test_auctions_are_trading(tmp_path):
    phases = (Phase(PhaseName.OPENING_AUCTION, 470, 480), Phase(PhaseName.CONTINUOUS, 480, 990), Phase(PhaseName.CLOSING_AUCTION, 990, 995))
    london = replace(XTKS, timezone="Europe/London", day_types=(DayType("ordinary", phases, frozenset(range(5))),))
    assert complaints(tmp_path, london, Story(london, "2026-07-01T07:45", 540).zones(t0749=3, t0750=2, t0800=2, t1634=2, t1635=3)) == ""


def test_weekdays_that_are_not_in_a_row(tmp_path):
    """Sunday to Thursday, as in Riyadh; and a second kind of ordinary day."""
    week = (
        DayType("ordinary", (Phase(PhaseName.CONTINUOUS, 600, 900),), frozenset({6, 0, 1})),
        DayType("short", (Phase(PhaseName.CONTINUOUS, 600, 660),), frozenset({3})),
    )
    riyadh = replace(XTKS, timezone="Asia/Riyadh", day_types=week, maintenance=(Maintenance(frozenset({2, 4}), 600, 720),))
    days = {"2026-03-01": 2, "2026-03-02": 2, "2026-03-03": 2, "2026-03-04": 4, "2026-03-05": 3, "2026-03-06": 4, "2026-03-07": 3}
    stories = [Story(riyadh, f"{day}T11:00", 5).zones(t1102=zone) for day, zone in days.items()]
    assert complaints(tmp_path, riyadh, *stories) == ""


def labels(name, **more):
    pairs = sorted({"exchange": "XDEMO", **more}.items())
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in pairs) + "}"


def test_a_month_ends_at_local_midnight_and_a_slice_belongs_to_its_start(tmp_path):
    story = Story(XNYS, "2026-01-31T22:55", 80, CALM)
    for when, day, month in (("2026-01-31T23:59", 20260131, 202601), ("2026-02-01T00:00", 20260201, 202602)):
        story.sees(when, {labels("exchange:local_date:info", date=day, month=month): 1}, "exchange:local_date:info")
    name = "exchange_zone:slice:info"
    for when, zone, hours, day, month in (
        ("2026-01-31T23:00", 3, "extended", 20260131, 202601),
        ("2026-01-31T23:01", 4, "maintenance", 20260131, 202601),
        ("2026-02-01T00:00", 4, "maintenance", 20260131, 202601),
        ("2026-02-01T00:01", 4, "maintenance", 20260201, 202602),
    ):
        story.sees(when, {labels(name, zone=zone, hours=hours, day=day, month=month): 1}, name)
    name = "exchange:recent_days:info"
    story.sees("2026-01-31T23:59", {labels(name, day=20260131): 1, labels(name, day=20260130): 1}, name)
    story.sees("2026-02-01T00:00", {labels(name, day=20260201): 1, labels(name, day=20260131): 1}, name)
    assert complaints(tmp_path, XNYS, story) == ""


def test_one_of_four_zones_is_active_and_named(tmp_path):
    story = Story(XNYS, "2026-03-10T09:25", 10, CALM)
    for when, zone, hours in (("2026-03-10T09:29", 3, "extended"), ("2026-03-10T09:30", 2, "regular")):
        name = "exchange_zone:active:bool"
        story.sees(when, {labels(name, zone=number): float(number == zone) for number in (1, 2, 3, 4)}, name)
        name = "exchange_zone:now:info"
        story.sees(when, {labels(name, zone=zone, hours=hours): 1}, name)
    name = "exchange_zone:slice:info"
    story.sees("2026-03-10T09:30", {labels(name, zone=3, hours="extended", day=20260310, month=202603): 1}, name)
    story.sees("2026-03-10T09:31", {labels(name, zone=2, hours="regular", day=20260310, month=202603): 1}, name)
    assert complaints(tmp_path, XNYS, story) == ""


VIX = {
    "missing": ("_x60", {"t1030": 1}),
    "calm": ("15x60", {"t1030": 2}),
    "high": ("25x60", {"t1030": 1}),
    "exactly at the bound": ("20x60", {"t1030": 2}),
    "flapping about the bound": ("19.9 20.1 19.9 20.1 " + "19.9 20.1 " * 28, {f"t10{m:02}": 1 for m in range(2, 59, 7)}),
    "flapping between calm and the bound": ("18.5 19.9 " * 30, {"t1030": 2}),
    "high once, then between calm and the bound": ("21 19x200", {"t1005": 1, "t1040": 1}),
    "high once, then calm": ("21 17x200", {"t1005": 1, "t1029": 1, "t1031": 2}),
    "the exporter died": ("15x10 _x100", {"t1005": 2, "t1039": 2, "t1041": 1}),
    "not a number": ("NaN " * 60, {"t1030": 1}),
    "a number, then none": ("15x10" + " NaN" * 100, {"t1005": 2, "t1041": 1}),
}


@pytest.mark.parametrize("case", VIX)
def test_volatility_splits_trading_with_a_memory_and_errs_on_the_strict_side(tmp_path, case):
    values, expected = VIX[case]
    assert complaints(tmp_path, XNYS, Story(XNYS, "2026-03-10T10:00", 110, {"vix_index": values}).zones(**expected)) == ""


@pytest.mark.parametrize("case", VIX)
def test_the_twin_in_python_says_the_same_of_the_index(case):
    values, expected = VIX[case]
    samples = list(enumerate(spelled_out(values)))
    for when, zone in expected.items():
        at = (int(when[1:3]) - 10) * 60 + int(when[3:5])
        seen = [(index * 60.0, value) for index, value in samples if value is not None and index <= at]
        assert XNYS.volatility
        assert (Zone.VOLATILE if volatility_high(seen, at * 60.0, XNYS.volatility) else Zone.REGULAR) == zone, when


def spelled_out(values):
    for part in values.split():
        value, _, more = part.partition("x")
        yield from [None if value == "_" else float(value)] * (int(more) + (value != "_") if more else 1)


def test_two_exporters_of_the_index_may_disagree(tmp_path):
    story = Story(XNYS, "2026-03-10T10:00", 40, {'vix_index{source="a"}': "15x60", 'vix_index{source="b"}': "25x60"})
    assert complaints(tmp_path, XNYS, story.zones(t1030=1)) == ""


def test_without_a_volatility_rule_all_trading_is_regular(tmp_path):
    plain = replace(XNYS, volatility=None)
    assert complaints(tmp_path, plain, Story(plain, "2026-03-10T10:00", 5).zones(t1002=2)) == ""


def test_the_override_wins_while_it_is_there_and_says_something_known(tmp_path):
    series = {
        'exchange_zone_override{exchange="XDEMO"}': "_x2 3x4 stale _x1 4x2 9x2 0x2 NaN NaN stale",
        'exchange_zone_override{exchange="XOTHER"}': "4x60",
    }
    story = Story(XNYS, "2026-03-10T10:00", 30, CALM | series)
    story.zones(t1001=2, t1002=3, t1006=3, t1007=2, t1009=4, t1012=2, t1015=2, t1018=2, t1021=2)
    assert complaints(tmp_path, XNYS, story) == ""


def test_of_two_overrides_the_stricter_counts(tmp_path):
    series = {f'exchange_zone_override{{exchange="XDEMO", by="{who}"}}': f"{zone}x60" for who, zone in (("a", 4), ("b", 2))}
    assert complaints(tmp_path, XNYS, Story(XNYS, "2026-03-10T03:00", 5, CALM | series).zones(t0302=2)) == ""


def test_without_a_clock_somebody_is_woken(tmp_path):
    expected = {
        "exp_labels": {"exchange": "XDEMO", "severity": "page"},
        "exp_annotations": {
            "summary": "XDEMO is not in exactly one zone: its SLOs are judged by the wrong terms, or not at all.",
            "first_action": "Query venue:clock:seconds, then exchange:zone:number: the first that is missing is the cause.",
            "runbook": "runbooks/zone-invariant.md",
        },
    }
    blind = Story(XNYS, "2026-03-10T10:00", 5, CALM, clock=False).fires("2026-03-10T10:02", "ZoneInvariant", expected)
    well = Story(XNYS, "2026-03-10T10:00", 5, CALM).fires("2026-03-10T10:02", "ZoneInvariant")
    assert complaints(tmp_path, XNYS, blind, well) == ""


def test_a_calendar_that_ends_in_60_days_is_told_of(tmp_path):
    expected = {
        "exp_labels": {"exchange": "XDEMO", "severity": "ticket"},
        "exp_annotations": {
            "summary": "The calendar XNYS of XDEMO ends in 59d 23h 59m 0s; after it, holidays count as trading days.",
            "first_action": "opsctl calendar import XNYS with the years to come, then opsctl slo generate.",
            "runbook": "runbooks/calendar-horizon.md",
        },
    }
    story = Story(XNYS, "2028-11-02T00:55", 10, CALM)
    story.fires("2028-11-02T01:00", "CalendarHorizon").fires("2028-11-02T01:01", "CalendarHorizon", expected)
    assert complaints(tmp_path, XNYS, story) == ""


def test_the_horizon_is_the_end_of_the_clock_changes_when_that_comes_first():
    long = replace(XNYS, valid_until=date(2050, 12, 31))
    assert datetime.fromtimestamp(zones.horizon_s(long), UTC) == datetime(2035, 1, 1, 5, tzinfo=UTC)
    assert datetime.fromtimestamp(zones.horizon_s(XNYS), UTC) == datetime(2029, 1, 1, 5, tzinfo=UTC)


def test_the_clock_stands_alone_so_that_tests_can_set_it():
    (group,) = zones.clock_groups()
    assert [(rule.record, rule.expr) for rule in group.rules] == [("venue:clock:seconds", "vector(time())")]
    assert all("time()" not in rule.expr for group in zones.calendar_groups("XDEMO", XNYS) for rule in group.rules)


def test_a_runbook_base_is_put_before_runbooks():
    (group,) = zones.calendar_groups("XDEMO", XNYS, "https://git.example/venue/")
    alerts = {rule.alert: rule.annotations["runbook"] for rule in group.rules if rule.alert}
    assert alerts == {
        "ZoneInvariant": "https://git.example/venue/runbooks/zone-invariant.md",
        "CalendarHorizon": "https://git.example/venue/runbooks/calendar-horizon.md",
    }


def test_the_bounds_of_volatility_are_written_without_noise():
    rule = Volatility("vvix", 20.1, 0.1, 1800, 14400)
    assert "> bool 20.1)" in zones.volatility_high("XDEMO", rule)
    assert "> bool 0.1)" in zones.volatility_high("XDEMO", rule)
