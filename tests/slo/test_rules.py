"""Slices, windows, dollars and months, judged by promtool with the clock of a real date in place of its own."""

from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from ops.session import Zone
from ops.slo import promql, rulefile, rules
from ops.slo.model import Events, NoData, Policy, Raw, Selector, Terms, Tier
from ops.slo.rulefile import RuleFile
from tests.slo.conftest import DEFAULT, TERMS, TIERS, ask, make_slo, make_spec, promtool_test, series

MONTHLY = ("exchange:local", "exchange:recent", "exchange_zone:", "exchange:zone", "exchange:slices", "slo:bad", "slo_policy:cost_share")
NEW_YORK = ZoneInfo("America/New_York")


def at(text):
    """Local time -> Unix seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp())


def clock(start, step_s, steps):
    return series("venue:clock:seconds", f"{at(start)}+{step_s}x{steps}")


def judged(tmp_path, spec, inputs, asked, interval="1m", files=None):
    files = files or [file for file in rules.rule_files(spec, "1.0") if file.name != rules.CLOCK_FILE]
    test = {"interval": interval, "input_series": inputs, "promql_expr_test": asked}
    return promtool_test(tmp_path, files, [test], interval)


def by_the_hour(spec):
    """What the month is made of, with slices stamped by the moment at which they end: an hourly clock has no minute before."""
    stamp = 'label_replace(exchange:local_date:info, "day", "$1", "date", "(.+)")'
    now = f"exchange_zone:now:info * on (exchange) group_left (day, month) {stamp}"
    for file in rules.rule_files(spec):
        groups = tuple(
            replace(
                group,
                rules=tuple(
                    replace(rule, expr=now) if rule.record == "exchange_zone:slice:info" else rule
                    for rule in group.rules
                    if rule.record.startswith(MONTHLY)
                ),
            )
            for group in file.groups
        )
        if file.name != rules.CLOCK_FILE and any(group.rules for group in groups):
            yield RuleFile(file.name, groups)


def raw(name, **overrides):
    return make_slo(name, Raw(f'{name}_badness{{exchange="XDEMO"}}'), **overrides)


def of_raw(name, values):
    return series(f'{name}_badness{{exchange="XDEMO"}}', values)


def test_the_first_bad_minute_of_a_session_is_one_bad_minute(tmp_path):
    """Monday after the clocks changed; the night before was an outage from 02:00 to 09:00 by its own hours, the open is at 90 minutes."""
    spec = make_spec(slos=(raw("a"),))
    inputs = [clock("2026-03-09T08:00", 60, 400), of_raw("a", "1x60 0x29 1 0x300")]
    asked = [
        ask('slo:burn_rate:1h{slo="a",hours="regular"}', "1h30m", {}),
        ask('round(slo:burn_rate:1h{slo="a"}, 0.001)', "1h31m", {'{exchange="XDEMO",hours="regular",policy="default",slo="a"}': 16.667}),
        ask('round(slo:burn_rate:5m{slo="a"}, 0.001)', "1h31m", {'{exchange="XDEMO",hours="regular",policy="default",slo="a"}': 200}),
        ask('round(slo:burn_rate:5m{slo="a"}, 0.001)', "1h36m", {'{exchange="XDEMO",hours="regular",policy="default",slo="a"}': 0}),
        ask('round(slo:burn_rate:6h{slo="a"}, 0.001)', "1h31m", {'{exchange="XDEMO",hours="regular",policy="default",slo="a"}': 2.778}),
        ask(
            'count_values without () ("v", slo:burn_rate:1h{slo="a"} > 900)',
            "1h",
            {'{exchange="XDEMO",hours="extended",policy="default",slo="a",v="1000"}': 1},
        ),
        ask('slo:loss_usd:1h{slo="a"}', "1h", {'slo:loss_usd:1h{exchange="XDEMO",policy="default",slo="a"}': 1200}),
        ask('slo:loss_usd:1h{slo="a"}', "2h15m", {'slo:loss_usd:1h{exchange="XDEMO",policy="default",slo="a"}': 100}),
    ]
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_the_venue_is_as_bad_as_the_worst_of_its_slos_by_their_share(tmp_path):
    half = Policy("b", TERMS, cost_share=Fraction(1, 2))
    spec = make_spec(slos=(raw("a"), raw("b", policy=half), raw("c", no_data=NoData.IGNORE)))
    inputs = [clock("2026-03-09T10:00", 60, 20), of_raw("a", "0x5 0.25x5 0.75x10"), of_raw("b", "0x5 1x15")]
    found = 'sum by (slo, policy) (slo:bad:slice{slo="venue"})'
    asked = [ask(found, time, {'{slo="venue",policy="default"}': value}) for time, value in (("3m", 0), ("8m", 0.5), ("15m", 0.75))]
    asked += [
        ask(
            'slo_policy:cost:usd_per_minute{policy="b",zone="2"}',
            "3m",
            {'slo_policy:cost:usd_per_minute{exchange="XDEMO",policy="b",zone="2"}': 50},
        )
    ]
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_what_is_not_a_number_counts_as_bad(tmp_path):
    spec = make_spec(slos=(raw("a"),))
    inputs = [clock("2026-03-09T10:00", 60, 20), of_raw("a", "0x5 NaNx10")]
    asked = [ask('sum(slo:bad:slice{slo="a"})', time, {"{}": value}) for time, value in (("3m", 0), ("8m", 1))]
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_groups_are_kept_in_every_window_and_total(tmp_path):
    sli = Events(Selector("r_total"), bad=Selector("r_total", 'code="500"'))
    spec = make_spec(slos=(make_slo("a", sli, group_by=("gw",)),))
    inputs = [
        clock("2026-03-09T10:00", 60, 70),
        series('r_total{exchange="XDEMO",gw="x",code="200"}', "0+60x70"),
        series('r_total{exchange="XDEMO",gw="y",code="500"}', "0+60x70"),
    ]
    names = [
        "slo:burn_rate:5m",
        "slo:burn_rate:1h",
        "slo:loss_usd:1h",
        "slo:bad_minutes:day",
        "slo:bad_minutes:month",
        "slo:loss_usd:month",
    ]
    asked = [ask(f'sum by (gw) ({name}{{slo="a"}} > bool 0)', "1h5m", {'{gw="x"}': 0, '{gw="y"}': 1}) for name in names]
    assert judged(tmp_path, spec, inputs, asked) == ""


@pytest.mark.parametrize(
    ("start", "probes"),
    [
        (
            "2026-02-25T00:00",
            (
                "2026-03-01T00:00",
                "2026-03-01T01:00",
                "2026-03-08T05:00",
                "2026-03-09T00:00",
                "2026-03-31T23:00",
                "2026-04-01T00:00",
                "2026-04-01T01:00",
                "2026-04-02T13:00",
            ),
        ),
        (
            "2026-10-28T00:00",
            (
                "2026-10-31T23:00",
                "2026-11-01T00:00",
                "2026-11-01T04:00",
                "2026-11-02T00:00",
                "2026-11-02T12:00",
                "2026-11-30T23:00",
                "2026-12-01T01:00",
                "2026-12-02T23:00",
            ),
        ),
    ],
    ids=["clocks-go-forward", "clocks-go-back"],
)
def test_the_month_from_its_days_is_the_sum_of_its_slices(tmp_path, start, probes):
    """One slice an hour, each worth another amount; at midnights and month ends, in local time."""
    spec = make_spec(slos=(raw("a"),))
    inputs = [clock(start, 3600, 900), of_raw("a", "0+0.001x900")]
    asked = []
    for probe in probes:
        since = f"{at(probe) - at(start)}s"
        month = f'month="{probe[:7].replace("-", "")}"'
        dense = f"sum by (slo, zone) (sum_over_time(slo:bad:slice{{{month}}}[40d]))"
        counted = f'sum(count_over_time(slo:bad:slice{{slo="venue",{month}}}[40d]))'
        asked += [
            ask(f"max(abs({dense} - on (slo, zone) slo:bad_minutes:month)) < bool 1e-9", since, {"{}": 1}),
            ask(f"count(slo:bad_minutes:month) - count({dense})", since, {"{}": 0}),
            ask(f"sum(exchange:slices:month) - {counted}", since, {"{}": 0}),
        ]
    assert judged(tmp_path, spec, inputs, asked, "1h", list(by_the_hour(spec))) == ""


def test_the_budget_is_what_the_month_has_left(tmp_path):
    """Wednesday: 40 bad minutes at $100, and from 11:00 on 100 more."""
    spec = make_spec(slos=(raw("a"),))
    inputs = [clock("2026-03-11T10:00", 60, 180), of_raw("a", "0 1x39 0x19 1x100 0x20")]
    remaining = 'exchange:pnl_budget_remaining:usd{exchange="XDEMO"}'
    asked = [
        ask(remaining, "50m", {remaining: 6000}),
        ask('exchange:change_freeze:bool{exchange="XDEMO"}', "50m", {'exchange:change_freeze:bool{exchange="XDEMO"}': 0}),
        ask(remaining, "2h45m", {remaining: -4100}),
        ask('exchange:change_freeze:bool{exchange="XDEMO"}', "2h45m", {'exchange:change_freeze:bool{exchange="XDEMO"}': 1}),
        ask("exchange:slo_coverage:ratio < bool 0.05", "2h45m", {'{exchange="XDEMO"}': 1}),
    ]
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_a_crash_over_a_months_end_charges_the_old_month_to_nobody(tmp_path):
    """Killed at 23:59, back at 00:01: nothing marks the end of October's series, which Prometheus looks back at for five minutes."""
    spec = make_spec(slos=(raw("a"),))
    before = "9900+0x9 _x30"
    inputs = [
        series("venue:clock:seconds", f"_x10 {at('2026-11-01T00:01')}+60x30"),
        of_raw("a", "_x10 0x30"),
        series('slo:loss_usd:month{exchange="XDEMO",slo="venue",policy="default",month="202610"}', before),
        series('exchange:local_date:info{exchange="XDEMO",date="20261031",month="202610"}', "1+0x9 _x30"),
    ]
    remaining = 'exchange:pnl_budget_remaining:usd{exchange="XDEMO"}'
    asked = [ask(remaining, f"{minute}m", {remaining: 10000}) for minute in (13, 14, 18)]
    asked.append(ask('ALERTS{alertname=~"Pnl.*|ChangeFreeze"}', "18m", {}))
    assert judged(tmp_path, spec, inputs, asked) == ""


def test_files_hold_twenty_five_slos_each_and_name_every_slo_once():
    files = rules.rule_files(make_spec(60), "1.0")
    names = [file.name for file in files]
    assert names == [
        "clock.rules.yaml",
        "xdemo-calendar.rules.yaml",
        "xdemo-sli-01.rules.yaml",
        "xdemo-sli-02.rules.yaml",
        "xdemo-sli-03.rules.yaml",
        "xdemo-slo.rules.yaml",
        "xdemo-burn-01.rules.yaml",
    ]
    recorded = [rule.labels["slo"] for file in files for rule in file.rules if rule.record == "slo:bad:ratio"]
    assert sorted(recorded) == sorted(f"slo-{n}" for n in range(60))
    assert max(sum(rule.record == "slo:bad:ratio" for rule in file.rules) for file in files) == 25


def test_a_hundred_slos_have_at_most_two_rules_each():
    count = sum(len(file.rules) for file in rules.rule_files(make_spec(100)))
    assert 100 < count <= 200


def test_a_spec_of_many_policies_has_no_rule_for_each():
    slos = tuple(
        make_slo(f"s{n}", policy=Policy(f"s{n}", TERMS | {Zone.REGULAR: Terms(Fraction(1000 - n, 1001), Fraction(1), "page")}))
        for n in range(100)
    )
    count = sum(len(file.rules) for file in rules.rule_files(make_spec(slos=slos)))
    assert count <= 200


def test_thresholds_are_exact_decimals():
    tiers = (*TIERS, Tier("odd", TIERS[1].severity, 7200, 600, factor=Fraction("2.7")))
    texts = "\n".join(rulefile.text(file, "x") for file in rules.rule_files(make_spec(3, tiers=tiers)))
    assert ">= 2.7 and" in texts
    assert promql.decimal(1 / DEFAULT.terms[Zone.VOLATILE].error_budget_ratio) == "10000"
    assert "vector(10000)" in texts and "00000001" not in texts and "99999999" not in texts


def test_a_factor_from_a_share_of_the_budget_differs_by_hours():
    tier = replace(TIERS[1], factor=None, budget=Fraction(2, 100))
    spec = make_spec(tiers=(TIERS[0], tier))
    text = "\n".join(rule.expr for file in rules.rule_files(spec) for rule in file.rules if rule.alert == "SloFastBurn")
    assert 'hours="regular"} >= 2.8' in text and 'hours="extended"} >= 1' in text


def test_rules_are_the_same_at_every_run():
    assert rules.rule_files(make_spec(30)) == rules.rule_files(make_spec(30))
