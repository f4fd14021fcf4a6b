"""What an SLO's slice is worth, judged by promtool: all cases in one call, each on metrics of its own."""

from fractions import Fraction

import pytest

from ops.slo import sli
from ops.slo.model import Events, Freshness, Idle, Latency, NoData, Probe, Raw, Selector, Threshold
from ops.slo.rulefile import Rule
from tests.slo.conftest import ask, make_slo, one_file, promtool_test, series

X = 'exchange="X"'


def bad(metric):
    return Events(total=Selector(metric), bad=Selector(metric, 'code="500"'))


def good(metric):
    return Events(total=Selector(metric), good=Selector(metric, 'code="200"'))


def case(name, kind, inputs, expected, **overrides):
    """`expected`: time -> badness, {group: badness}, or None for no slice."""
    return make_slo(name, kind, **overrides), inputs, expected


def counter(metric, values, labels='code="200"'):
    return series(f"{metric}{{{X},{labels}}}", values)


CASES = [
    # Prometheus was away for two minutes and a half: what it last saw is neither an outage nor forgotten.
    case("away-probe", Probe(Selector("z_up")), [series(f"z_up{{{X}}}", "1x8 _x10 1x20")], {"4m": 0, "5m": 0}),
    case("away-gauge", Threshold(Selector("z_depth"), above=Fraction(5)), [series(f"z_depth{{{X}}}", "1x8 _x10 1x20")], {"4m": 0, "5m": 0}),
    case(
        "away-age",
        Freshness(Selector("z_time"), Fraction(60)),
        [series(f"z_time{{{X}}}", "1000000+15x8 _x10 1000285+15x20")],
        {"4m": 0, "5m": 0},
    ),
    case("away-and-bad-again", Probe(Selector("z2_up")), [series(f"z2_up{{{X}}}", "1x8 _x10 0x20")], {"4m": 0, "6m": 1}),
    case("error-counter-that-never-counted", bad("a_total"), [counter("a_total", "0+15x20")], {"5m": 0}),
    case(
        "one-in-four-is-bad",
        bad("b_total"),
        [counter("b_total", "0+15x20"), counter("b_total", "0+5x20", 'code="500"')],
        {"5m": 0.25},
    ),
    case("no-good-series-is-all-bad", good("c_total"), [counter("c_total", "0+15x20", 'code="500"')], {"5m": 1}),
    case("good-and-total-alike", good("d_total"), [counter("d_total", "0+15x20")], {"5m": 0}),
    case("idle-is-not-missing", bad("e_total"), [counter("e_total", "7x20")], {"5m": 0}),
    case("idle-is-bad-when-said", bad("f_total"), [counter("f_total", "7x20")], {"5m": 1}, idle=Idle.BAD),
    case("busy-where-idle-is-bad", bad("f2_total"), [counter("f2_total", "0+9x20")], {"5m": 0}, idle=Idle.BAD),
    case("idle-is-ignored-when-said", bad("g_total"), [counter("g_total", "7x20")], {"5m": None}, idle=Idle.IGNORE),
    case("missing-where-idle-is-ignored", bad("g2_total"), [], {"5m": 1}, idle=Idle.IGNORE),
    case("one-of-three-fails-at-night", bad("h_total"), [counter("h_total", "0 1 2x18", 'code="500"')], {"1m": 0}, minimum_events=10),
    case("missing-is-bad", bad("i_total"), [], {"5m": 1}),
    case("missing-is-good", bad("j_total"), [], {"5m": 0}, no_data=NoData.GOOD),
    case("missing-is-ignored", bad("k_total"), [], {"5m": None}, no_data=NoData.IGNORE),
    case("target-dies", bad("l_total"), [counter("l_total", "0+15x8 stale _x20")], {"2m": 0, "2m15s": 1}),
    case(
        "one-target-of-two-dies",
        bad("l2_total"),
        [counter("l2_total", "0+15x8 stale _x20"), counter("l2_total", "0+15x20", 'code="201"')],
        {"2m15s": 0, "4m": 0},
    ),
    case("first-sample-is-idle", bad("m_total"), [counter("m_total", "_x4 1000+15x20")], {"45s": 1, "1m": 0, "1m15s": 0}),
    case("counter-reset", bad("n_total"), [counter("n_total", "0+15x8 0+15x20"), counter("n_total", "100x30", 'code="500"')], {"3m": 0}),
    case(
        "more-bad-than-all",
        Events(total=Selector("o_total"), bad=Selector("o2_total")),
        [counter("o_total", "0+5x20"), counter("o2_total", "0+9x20")],
        {"5m": 1},
    ),
    case("nan-counters", bad("o3_total"), [counter("o3_total", "NaNx20")], {"5m": "NaN"}),
    case(
        "groups-apart",
        bad("p_total"),
        [
            counter("p_total", "0+9x30", 'code="200",gw="a"'),
            counter("p_total", "0+3x30", 'code="500",gw="a"'),
            counter("p_total", "0+9x30", 'code="200",gw="b"'),
        ],
        {"5m": {'gw="a"': 0.25, 'gw="b"': 0}},
        group_by=("gw",),
    ),
    case(
        "one-group-vanishes",
        good("q_total"),
        [counter("q_total", "0+9x8 stale _x90", 'code="200",gw="a"'), counter("q_total", "0+9x90", 'code="200",gw="b"')],
        {
            "2m": {'gw="a"': 0, 'gw="b"': 0},
            "2m15s": {'gw="a"': 1, 'gw="b"': 0},
            "11m45s": {'gw="a"': 1, 'gw="b"': 0},
            "12m15s": {'gw="b"': 0},
        },
        group_by=("gw",),
    ),
    case("all-groups-never-there", bad("r_total"), [], {"5m": 1}, group_by=("gw",)),
    case(
        "idle-group-ignored",
        bad("s_total"),
        [counter("s_total", "0+9x30", 'code="200",gw="a"'), counter("s_total", "5x30", 'code="200",gw="b"')],
        {"5m": {'gw="a"': 0}},
        group_by=("gw",),
        idle=Idle.IGNORE,
    ),
    case(
        "two-label-sets",
        bad("t_total"),
        [
            counter("t_total", "0+9x30", 'code="200",gw="a",track="x"'),
            counter("t_total", "0+9x30", 'code="500",gw="a",track="y"'),
            counter("t_total", "0+9x30", 'code="200",gw="b",track="y"'),
        ],
        {"5m": {'gw="a",track="x"': 0, 'gw="a",track="y"': 1, 'gw="b",track="y"': 0}},
        group_by=("gw", "track"),
    ),
    case(
        "latency",
        Latency(Selector("u_seconds"), Fraction(1, 2)),
        [series(f"u_seconds_count{{{X}}}", "0+10x20"), series(f'u_seconds_bucket{{{X},le="0.5"}}', "0+9x20")],
        {"5m": 0.1},
    ),
    case(
        "latency-of-a-whole-second-as-go-writes-it",
        Latency(Selector("v_seconds", 'side="buy"'), Fraction(1)),
        [series(f'v_seconds_count{{{X},side="buy"}}', "0+10x20"), series(f'v_seconds_bucket{{{X},side="buy",le="1"}}', "0+10x20")],
        {"5m": 0},
    ),
    case(
        "latency-of-a-whole-second-as-python-writes-it",
        Latency(Selector("w_seconds"), Fraction(1)),
        [series(f"w_seconds_count{{{X}}}", "0+10x20"), series(f'w_seconds_bucket{{{X},le="1.0"}}', "0+10x20")],
        {"5m": 0},
    ),
    case("latency-bucket-missing", Latency(Selector("x_seconds"), Fraction(1)), [series(f"x_seconds_count{{{X}}}", "0+10x20")], {"5m": 1}),
    case("fresh", Freshness(Selector("aa_time"), Fraction(60)), [series(f"aa_time{{{X}}}", "999990+15x20")], {"4m": 0}),
    case("stale", Freshness(Selector("ab_time"), Fraction(60)), [series(f"ab_time{{{X}}}", "1000000x20")], {"1m": 0, "1m15s": 1}),
    case("time-is-not-a-number", Freshness(Selector("ac_time"), Fraction(60)), [series(f"ac_time{{{X}}}", "NaNx20")], {"1m": 1}),
    case("time-is-missing", Freshness(Selector("ad_time"), Fraction(60)), [], {"1m": 1}),
    case(
        "half-of-the-probes-fail",
        Probe(Selector("ba_up")),
        [series(f'ba_up{{{X},i="1"}}', "1x20"), series(f'ba_up{{{X},i="2"}}', "0x20")],
        {"5m": 0.5},
    ),
    case("probe-is-gone", Probe(Selector("bb_up")), [series(f"bb_up{{{X}}}", "1x8 stale _x20")], {"2m": 0, "2m15s": 1}),
    case(
        "queue-above",
        Threshold(Selector("ca_depth"), above=Fraction(10)),
        [series(f"ca_depth{{{X}}}", "10x10 11 10x20")],
        {"2m": 0, "2m45s": 1, "3m15s": 1, "4m": 0},
    ),
    case(
        "workers-below",
        Threshold(Selector("cb_workers"), below=Fraction(2)),
        [series(f'cb_workers{{{X},i="1"}}', "2x20"), series(f'cb_workers{{{X},i="2"}}', "1x20")],
        {"5m": 1},
    ),
    case(
        "a-gauge-that-is-not-a-number",
        Threshold(Selector("cc_depth"), above=Fraction(10)),
        [series(f"cc_depth{{{X}}}", "1 1 NaNx20")],
        {"15s": 0, "45s": 1, "5m": 1},
    ),
    case(
        "one-of-two-gauges-is-not-a-number",
        Threshold(Selector("cd_depth"), above=Fraction(10)),
        [series(f'cd_depth{{{X},i="1"}}', "NaNx20"), series(f'cd_depth{{{X},i="2"}}', "1x20")],
        {"5m": 1},
    ),
    case("raw", Raw("avg_over_time(da_ratio[{{window}}])"), [series("da_ratio", "0.25x20")], {"5m": 0.25}),
    case("raw-is-clamped", Raw("db_ratio"), [series("db_ratio", "7x20")], {"5m": 1}),
    case(
        "raw-keeps-its-groups-only",
        Raw("dc_ratio"),
        [series('dc_ratio{gw="a",slo="other",pod="1"}', "0.5x20"), series('dc_ratio{gw="a",slo="other",pod="2"}', "0.75x20")],
        {"5m": {'gw="a"': 0.75}},
        group_by=("gw",),
    ),
    case("raw-is-missing", Raw("dd_ratio"), [], {"5m": 1}),
]


def expectation(name, at, value):
    expr = f'round(slo:bad:ratio{{slo="{name}"}}, 0.0001)'
    labels = f'{{exchange="X",policy="default",slo="{name}"%s}}'
    if value == "NaN":
        return ask(f'count(slo:bad:ratio{{slo="{name}"}} != slo:bad:ratio{{slo="{name}"}})', at, {"{}": 1})
    if value is None:
        return ask(expr, at, {})
    groups = value if isinstance(value, dict) else {"": value}
    return ask(expr, at, {labels % (f",{group}" if group else ""): number for group, number in groups.items()})


def recorded(slo, exchange="X"):
    labels = {"exchange": exchange, "slo": slo.name, "policy": slo.policy.name}
    return Rule(sli.bad_ratio(slo, exchange, 15), record="slo:bad:ratio", labels=labels)


def test_every_kind_of_sli_means_what_it_says(tmp_path):
    rules = [recorded(slo) for slo, _, _ in CASES]
    inputs = [one for _, given, _ in CASES for one in given] + [series("venue:clock:seconds", "1000000+15x100")]
    asked = [expectation(slo.name, at, value) for slo, _, expected in CASES for at, value in expected.items()]
    test = {"interval": "15s", "input_series": inputs, "promql_expr_test": asked}
    assert promtool_test(tmp_path, [one_file(rules)], [test]) == ""


def test_the_judge_would_notice_a_wrong_slice(tmp_path):
    slo, inputs, _ = CASES[0]
    test = {"interval": "15s", "input_series": inputs, "promql_expr_test": [expectation(slo.name, "5m", 1)]}
    assert "exp:" in promtool_test(tmp_path, [one_file([recorded(slo)])], [test])


def test_a_long_slice_does_not_reach_back_before_the_open(tmp_path):
    """Five-minute slices: everything failed until the open at 10m, nothing after it."""
    slo = make_slo("long", bad("a_total"), slice_s=300)
    zone = 'exchange_zone:slice:info{exchange="X",zone="%s",hours="%s",day="20260302",month="202603"}'
    inputs = [
        counter("a_total", "0+10x40 400x40", 'code="500"'),
        counter("a_total", "0x40 0+10x40"),
        series(zone % (3, "extended"), "1x43 stale"),
        series(zone % (2, "regular"), "_x44 1x40"),
    ]
    value = {'slo:bad:ratio{exchange="X",policy="default",slo="long"}': 0}
    asked = [
        ask("slo:bad:ratio", "9m", {key: 1 for key in value}),
        *(ask("slo:bad:ratio", at, value) for at in ("11m", "12m", "14m", "16m")),
    ]
    test = {"interval": "15s", "input_series": inputs, "promql_expr_test": asked}
    assert promtool_test(tmp_path, [one_file([recorded(slo)])], [test]) == ""


@pytest.mark.parametrize(
    ("kind", "label", "expected"),
    [
        (bad("a_total"), "gw", 'sum by (gw) (increase(a_total{exchange="X",code="500"}[5m])) > 0'),
        (Raw("anything"), "gw", ""),
    ],
)
def test_the_worst_part_is_asked_for_where_the_sli_can_tell(kind, label, expected):
    assert sli.bad_events(make_slo("one", kind), "X", label, 300) == expected


def test_the_series_of_another_venue_do_not_count():
    kinds = [case_[0] for case_ in CASES if not isinstance(case_[0].sli, Raw)]
    assert kinds
    assert all('{exchange="X"' in sli.bad_ratio(slo, "X", 15) for slo in kinds)
