"""The arithmetic of the alerts in Python says what promtool says of the rules themselves; and a history with gaps is no good news."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops import conventions as names
from ops.adapters.fakes_queries import FakeQueries
from ops.errors import MetricsUnavailable, UsageError
from ops.ports import Series
from ops.session import Zone, volatility_high
from ops.slo import backtest, rulefile
from ops.slo.model import Events as EventsSli
from ops.slo.model import Idle, NoData, Policy, Raw, Selector, Severity, Slo, Spec, Tier
from ops.slo.rulefile import Group, RuleFile
from ops.slo.rules import CLOCK_FILE, rule_files
from ops.slo.simulate import History, Track, simulate
from slo.test_budget import CALENDAR, DEFAULT, at, slo, spec

MINUTE_S, HOUR_S = 60, 3600
START_S = int(at("2026-11-23T09:00:00"))
"""Monday, 04:00 in New York: maintenance ends."""
OPEN_S = START_S + 5 * HOUR_S + 30 * MINUTE_S

Badness = Callable[[int], float | None]


def raw(name: str, *, no_data: NoData = NoData.BAD, policy: Policy = DEFAULT) -> Slo:
    return replace(slo(name, policy), sli=Raw(f"bad_{name.replace('-', '_')}"), no_data=no_data)


# --- one scenario, twice: through promtool and through `simulate`


@dataclass(frozen=True)
class Scenario:
    """Badness of each SLO and the volatility index, by seconds since START_S."""

    spec: Spec
    bad: dict[str, Badness]
    index: Badness
    seconds: int


def orders(s: int) -> float | None:
    """A night's trouble, a total outage just after the open, and a long mild one."""
    t = START_S + s
    if START_S + HOUR_S <= t < START_S + HOUR_S + 40 * MINUTE_S:
        return 0.2
    if OPEN_S + MINUTE_S <= t < OPEN_S + 4 * MINUTE_S:
        return 1.0
    return 0.004 if OPEN_S + 2 * HOUR_S <= t < OPEN_S + 4 * HOUR_S else 0.0


def feed(s: int) -> float | None:
    """Not measured for a while at night; bad when the market closes."""
    t = START_S + s
    if START_S + 30 * MINUTE_S <= t < START_S + 50 * MINUTE_S:
        return None
    return 0.5 if OPEN_S + 6 * HOUR_S + 20 * MINUTE_S <= t < OPEN_S + 6 * HOUR_S + 45 * MINUTE_S else 0.0


def index(s: int) -> float | None:
    """Calm, then high from 12:30 on; missing before 05:00."""
    if s < HOUR_S:
        return None
    return 25.0 if s >= OPEN_S - START_S + 3 * HOUR_S else 12.0


CUSTOM = (
    Tier("spike", Severity.PAGE, 60, 60, bad_share=Fraction(3, 100)),
    Tier("fast", Severity.PAGE, 3600, 300, factor=Fraction(14)),
    Tier("slow", Severity.TICKET, 21600, 3600, factor=Fraction(3)),
    Tier("very-slow", Severity.TICKET, 10800, 1800, budget=Fraction(1, 50)),
)
LAX = Policy("feed", {zone: replace(terms, objective=Fraction(99, 100)) for zone, terms in DEFAULT.terms.items()}, Fraction(1, 2))
DAY = Scenario(
    replace(spec(raw("orders"), raw("feed", no_data=NoData.IGNORE, policy=LAX)), tiers=CUSTOM),
    {"orders": orders, "feed": feed},
    index,
    13 * HOUR_S,
)


def history(scenario: Scenario, step_s: int) -> History:
    steps = range(0, scenario.seconds + 1, step_s)
    rule = scenario.spec.calendar.volatility
    assert rule is not None
    samples = [(float(START_S + s), value) for s in steps if (value := scenario.index(s)) is not None]
    high = [volatility_high([sample for sample in samples if sample[0] <= START_S + s], START_S + s, rule) for s in steps]
    zones = backtest.zones_of(scenario.spec.calendar, START_S, step_s, high)
    tracks = tuple(Track(name, "", [bad(s) for s in steps]) for name, bad in scenario.bad.items())
    return History(START_S, step_s, zones, [True] * len(steps), tracks)


def input_values(values: Sequence[float | None]) -> str:
    """promtool's notation: runs of one value, a series that ends (with its marker), missing samples."""
    runs = [("_" if value is None else f"{value:g}", sum(1 for _ in run)) for value, run in groupby(values)]
    return " ".join("stale" + " _" * (count - 1) if text == "_" else f"{text}+0x{count - 1}" for text, count in runs)


def firing_at(found: Sequence[Any], at_s: int) -> Counter[tuple[str, str, str, str]]:
    return Counter((f.alert, f.slo, str(int(f.zone)) if f.zone else "", str(f.severity)) for f in found if f.start_s <= at_s < f.end_s)


def proof(scenario: Scenario, folder: Path, step_s: int, alerts: str, times_s: Sequence[int]) -> Path:
    """A promtool test that expects at each time the alerts that `simulate` says."""
    found = simulate(scenario.spec, history(scenario, step_s))
    groups = rules_of(scenario.spec)
    (folder / "rules.yaml").write_text(rulefile.text(RuleFile("rules.yaml", groups), "for a test"), encoding="utf-8")
    steps = range(0, scenario.seconds + 1, step_s)
    inputs = {names.SERIES_CLOCK: f"{START_S}+{step_s}x{len(steps) - 1}", "vix_index": input_values([scenario.index(s) for s in steps])}
    for name, bad in scenario.bad.items():
        inputs[f'bad_{name.replace("-", "_")}{{exchange="XDEMO"}}'] = input_values([bad(s) for s in steps])
    expr = f'count by (alertname, slo, zone, severity) (ALERTS{{alertstate="firing",alertname=~"{alerts}"}})'
    wanted = []
    for s in times_s:
        held = {key: n for key, n in firing_at(found, START_S + s).items() if _matches(alerts, key[0])}
        samples = [{"labels": labels(key), "value": count} for key, count in sorted(held.items())]
        wanted.append({"expr": expr, "eval_time": f"{s}s", "exp_samples": samples})
    test = {
        "interval": f"{step_s}s",
        "input_series": [{"series": series, "values": values} for series, values in inputs.items()],
        "promql_expr_test": wanted,
    }
    order = [group.name for group in groups]
    whole = {"rule_files": ["rules.yaml"], "evaluation_interval": f"{step_s}s", "group_eval_order": order, "tests": [test]}
    path = folder / "test.yaml"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def rules_of(spec: Spec) -> tuple[Group, ...]:
    """The real rules, all but the clock. Alerts stand last, so that those on burn rates see this minute's and not the one's before (a live
    server sees it 15 s later), have no texts, and are not kept beyond their end."""
    groups = [group for file in rule_files(spec) if file.name != CLOCK_FILE for group in file.groups]
    recorded = (replace(group, rules=tuple(rule for rule in group.rules if rule.record)) for group in groups)
    told = (replace(rule, keep_firing_for_s=0, annotations={}) for group in groups for rule in group.rules if rule.alert)
    return (*recorded, Group("alerts", 15, tuple(told)))


def _matches(alerts: str, name: str) -> bool:
    return any(name == one or (one.endswith(".*") and name.startswith(one[:-2])) for one in alerts.split("|"))


def labels(key: tuple[str, str, str, str]) -> str:
    told = {"alertname": key[0], "slo": key[1], "zone": key[2], "severity": key[3]}
    return "{" + ",".join(f'{name}="{value}"' for name, value in told.items() if value) + "}"


def promtool(path: Path) -> None:
    program = shutil.which("promtool")
    assert program, "promtool is not installed: tools/setup --tests"
    done = subprocess.run([program, "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[:6000]


@pytest.mark.e2e
def test_promtool_fires_the_same_alerts_at_every_minute_of_a_day(tmp_path: Path) -> None:
    found = simulate(DAY.spec, history(DAY, 60))
    seen = {(f.alert, f.slo, f.severity) for f in found}
    assert {
        ("SloSpike", "orders", Severity.PAGE),
        ("SloFastBurn", "orders", Severity.PAGE),
        ("SloFastBurn", "orders", Severity.TICKET),
        ("SloSlowBurn", "orders", Severity.TICKET),
        ("SloVerySlowBurn", "feed", Severity.TICKET),
        ("SloMissing", "feed", Severity.TICKET),
        ("PnlBudgetFastBurn", "venue", Severity.PAGE),
    } <= seen, "the day has one of each, or the test shows little"
    times_s = range(0, DAY.seconds + 1, 60)
    alerts = "SloSpike|SloMissing|SloFastBurn|SloSlowBurn|SloVerySlowBurn|Pnl.*|ChangeFreeze"
    promtool(proof(DAY, tmp_path, 60, alerts, times_s))


@pytest.mark.e2e
def test_promtool_fires_the_same_spikes_at_every_scrape_around_the_open(tmp_path: Path) -> None:
    def burst(s: int) -> float | None:
        t = START_S + s - OPEN_S
        return 1.0 if -30 <= t < 15 else 0.02 if 60 <= t < 90 else 0.5 if 120 <= t < 135 else 0.0

    def flap(s: int) -> float | None:
        return None if 300 <= START_S + s - OPEN_S < 420 else 0.0

    near = Scenario(replace(DAY.spec, tiers=CUSTOM[:1]), {"orders": burst, "feed": flap}, index, OPEN_S - START_S + 600)
    first = OPEN_S - START_S - 300
    found = simulate(near.spec, history(near, 15))
    assert {f.alert for f in found} >= {"SloSpike", "SloMissing"}
    promtool(proof(near, tmp_path, 15, "SloSpike|SloMissing", range(first, near.seconds + 1, 15)))


# --- properties


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.2, 1.0, None]), min_size=120, max_size=200))
def test_a_burn_alert_is_the_plain_sum_of_its_slices(values: list[float | None]) -> None:
    """Against the obvious way: for each minute, add up the window's slices."""
    minutes = len(values)
    tier = Tier("fast", Severity.PAGE, 3600, 300, factor=Fraction(14))
    one = replace(spec(raw("orders")), tiers=(tier,))
    zones = backtest.zones_of(one.calendar, OPEN_S, 60, [False] * minutes)
    found = simulate(one, History(OPEN_S, 60, zones, [True] * minutes, (Track("orders", "", values),)))
    bound = 14 * (1 - 0.9995)
    for minute in range(1, minutes):
        long, short = (sum(v or 0.0 for v in values[max(1, minute - count + 1) : minute + 1]) / count for count in (60, 5))
        if min(abs(long - bound), abs(short - bound)) > 1e-9:
            active = any(f.alert == "SloFastBurn" and f.start_s <= OPEN_S + minute * 60 < f.end_s for f in found)
            assert active == (long >= bound and short >= bound), minute


def test_a_night_outage_does_not_burn_the_session() -> None:
    zones = backtest.zones_of(CALENDAR, OPEN_S - HOUR_S, 60, [False] * 180)
    values = [1.0 if minute < 60 else 0.0 for minute in range(180)]
    found = simulate(spec(raw("orders")), History(OPEN_S - HOUR_S, 60, zones, [True] * 180, (Track("orders", "", values),)))
    assert found
    assert all(f.zone is not Zone.REGULAR for f in found if f.alert.startswith("Slo"))


def test_dollars_of_a_firing_are_those_of_its_slices() -> None:
    zones = backtest.zones_of(CALENDAR, OPEN_S, 60, [False] * 60)
    values = [1.0 if 10 <= minute < 15 else 0.0 for minute in range(60)]
    found = simulate(spec(raw("orders")), History(OPEN_S, 60, zones, [True] * 60, (Track("orders", "", values),)))
    spike = next(f for f in found if f.alert == "SloSpike")
    assert (spike.start_s, spike.end_s, spike.dollars, spike.peak) == (OPEN_S + 600, OPEN_S + 900, 500.0, 1.0)


def test_each_group_is_judged_by_itself() -> None:
    zones = backtest.zones_of(CALENDAR, OPEN_S, 60, [False] * 60)
    tracks = (Track("orders", "gateway=a", [0.0] * 60), Track("orders", "gateway=b", [1.0] * 60))
    found = simulate(spec(raw("orders")), History(OPEN_S, 60, zones, [True] * 60, tracks))
    assert {f.group for f in found if f.alert == "SloSpike"} == {"gateway=b"}
    assert not any(f.alert == "SloMissing" for f in found)


def test_dollars_of_the_month_begin_anew_with_the_month() -> None:
    cheap = replace(spec(raw("orders")), money=replace(DAY.spec.money, budget_usd_per_month=Fraction(1000)))
    start_s = int(at("2026-12-01T04:30:00"))  # half an hour before December begins in New York
    zones = [Zone.REGULAR] * 121
    found = simulate(cheap, History(start_s, 60, zones, [True] * 121, (Track("orders", "", [1.0] * 121),)))
    freezes = [(f.start_s - start_s, f.end_s - start_s) for f in found if f.alert == "ChangeFreeze"]
    assert freezes == [(600, 1860), (2400, 7260)], "ten minutes cost it all; the slice from midnight on is December's"


# --- asking


def gauge(values: Badness, seconds: int, **labels: str) -> Series:
    points = ((float(START_S + s), value) for s in range(0, seconds + 1, 15) if (value := values(s)) is not None)
    return Series(labels, tuple(points))


def told(up: Badness = lambda _s: 1.0) -> FakeQueries:
    series = {f"bad_{name}": (gauge(bad, DAY.seconds),) for name, bad in DAY.bad.items()}
    answers = {"count_over_time(up": (gauge(up, DAY.seconds),), "vix_index": (gauge(lambda _s: 0.0, DAY.seconds),), **series}
    return FakeQueries(answers, lookback_s=15)


def test_a_run_asks_for_what_the_rules_would_have_read() -> None:
    queries, said = told(), list[str]()
    found = backtest.run(DAY.spec, queries, OPEN_S, OPEN_S + 2 * HOUR_S, said.append)
    assert any("vix_index" in query for query in queries.asked)
    assert said[-2:] == ["feed (2 of 2)", "judging"]
    assert found.step_s == backtest.FINE_STEP_S and found.slos == ("orders", "feed")
    pages = [f for f in found.firings if f.severity is Severity.PAGE]
    assert found.pages == len(pages) and {f.alert for f in pages} == {"SloSpike", "SloFastBurn"}
    assert found.loss_usd == pytest.approx(300, abs=1), "three minutes of zone 2"
    assert found.known == {"orders": 1.0, "feed": 1.0} and found.gaps == ()
    assert found.zones == ((OPEN_S, OPEN_S + 2 * HOUR_S, Zone.REGULAR),)


def test_a_gap_of_the_server_is_told_and_counts_for_nothing() -> None:
    hole = (OPEN_S - START_S + 60, OPEN_S - START_S + HOUR_S)
    found = backtest.run(DAY.spec, told(lambda s: None if hole[0] <= s < hole[1] else 1.0), OPEN_S, OPEN_S + 2 * HOUR_S, lambda _text: None)
    assert found.gaps == ((OPEN_S + 60, OPEN_S + HOUR_S),)
    assert found.known["orders"] == pytest.approx(0.5, abs=0.02)
    assert not any(f.alert in ("SloSpike", "SloMissing") for f in found.firings), "the outage lies in the gap: nobody could have told"


def test_what_is_not_a_number_is_bad() -> None:
    queries = told()
    queries.told["bad_orders"] = (gauge(lambda _s: math.nan, DAY.seconds),)
    found = backtest.run(DAY.spec, queries, OPEN_S, OPEN_S + HOUR_S, lambda _text: None)
    assert any(f.alert == "SloSpike" and f.slo == "orders" and f.peak == 1.0 for f in found.firings)


def test_the_override_of_zones_wins() -> None:
    queries = told()
    queries.told[names.SERIES_ZONE_OVERRIDE] = (gauge(lambda _s: 4.0, DAY.seconds),)
    found = backtest.run(DAY.spec, queries, OPEN_S, OPEN_S + HOUR_S, lambda _text: None)
    assert {zone for _, _, zone in found.zones} == {Zone.MAINTENANCE} and found.pages == 0


def test_series_that_only_loaded_rules_record_are_not_asked_for() -> None:
    stale = replace(raw("orders"), sli=EventsSli(Selector("requests_total"), bad=Selector("errors_total")), slice_s=300, minimum_events=1)
    fresh = replace(raw("feed"), sli=Raw(f"{names.SERIES_CLOCK} - feed_seconds"))
    queries = told()
    backtest.run(replace(DAY.spec, slos=(stale, fresh)), queries, OPEN_S, OPEN_S + HOUR_S, lambda _text: None)
    assert any("errors_total[5m]" in query or "errors_total" in query for query in queries.asked)
    recorded = (names.SERIES_CLOCK, names.SERIES_ZONE_SLICE, "scalar(group")
    assert [query for query in queries.asked if any(name in query for name in recorded)] == []
    assert any("clamp(vector(time()) - feed_seconds" in query for query in queries.asked)


def test_a_long_slice_counts_once_it_lies_in_the_present_hours() -> None:
    queries = told()
    queries.told["bad_orders"] = (gauge(lambda _s: 1.0, DAY.seconds),)
    long = replace(raw("orders"), slice_s=300)
    found = backtest.run(replace(DAY.spec, slos=(long,)), queries, OPEN_S, OPEN_S + HOUR_S, lambda _text: None)
    first = min(f.start_s for f in found.firings if f.alert == "SloSpike" and f.zone is Zone.REGULAR)
    assert first == OPEN_S + 300


def test_one_that_ignores_idle_slices_is_missing_only_without_its_series() -> None:
    quiet = replace(
        raw("orders"), sli=EventsSli(Selector("requests_total"), bad=Selector("errors_total")), idle=Idle.IGNORE, no_data=NoData.IGNORE
    )
    queries = told()
    queries.told["count(requests_total"] = (gauge(lambda s: 1.0 if s < OPEN_S - START_S + 1800 else None, DAY.seconds),)
    found = backtest.run(replace(DAY.spec, slos=(quiet,)), queries, OPEN_S, OPEN_S + HOUR_S, lambda _text: None)
    missing = [f.start_s - OPEN_S for f in found.firings if f.alert == "SloMissing"]
    assert missing == [1860]


def test_no_history_at_all_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no history"):
        backtest.run(DAY.spec, FakeQueries(), OPEN_S, OPEN_S + HOUR_S, lambda _text: None)


@pytest.mark.parametrize("seconds", [0, -60, 30, 63 * 86400])
def test_a_time_that_cannot_be_looked_at_is_a_usage_error(seconds: int) -> None:
    with pytest.raises(UsageError):
        backtest.run(DAY.spec, told(), OPEN_S, OPEN_S + seconds, lambda _text: None)


def test_a_prometheus_that_is_away_is_told() -> None:
    queries = told()
    queries.away = True
    with pytest.raises(MetricsUnavailable):
        backtest.run(DAY.spec, queries, OPEN_S, OPEN_S + HOUR_S, lambda _text: None)


def test_a_long_time_is_judged_by_the_minute() -> None:
    queries = told()
    found = backtest.ask(DAY.spec, queries, OPEN_S, OPEN_S + backtest.FINE_UP_TO_S + 60, lambda _text: None)
    assert found.step_s == backtest.COARSE_STEP_S
