"""Input series of generated tests: labels that selectors find, values in promtool's words, and the badness that must come of them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.slo.model import DEFAULT_POLICY, Events, Freshness, Idle, Latency, NoData, Policy, Probe, Raw, Selector, Slo, Threshold
from ops.slo.proof_labels import labels_for, meets, outside, sample
from ops.slo.scenarios import BASE, RATE, Judge, Segment, badness, broken, gone, healthy, members, minutes, quiet, values

ALL_BAD, NONE_BAD = Fraction(1), Fraction(0)


def slo(sli, *, group_by=(), no_data=NoData.BAD, idle=Idle.GOOD, minimum_events=1, slice_s=60):
    return Slo("one", "", "", "", sli, Policy(DEFAULT_POLICY, {}), group_by, no_data, idle, minimum_events, slice_s, "", "", "", 1)


def names_of(found):
    return {series.name: series.role for member in found for series in member.series}


# Labels


@pytest.mark.parametrize(
    "where",
    [
        "",
        'code="500"',
        'code=~"5.."',
        'route!="operations",track!="warm"',
        'pool=~"blue|green",host=~"gw-[a-c]\\\\d+"',
        'track!~"warm|canary|",le=~".+"',
        'name=~"(?:a|b)x{2,3}[^0-9]"',
    ],
)
def test_labels_are_found_that_meet_a_selector(where):
    assert meets(labels_for(where), where)


def test_contradictions_are_refused():
    with pytest.raises(ValueError, match="no labels"):
        labels_for('code="500",code!="500"')


def test_what_is_outside_a_selector_keeps_the_other():
    assert outside({}, 'code=~"5.."', "") == {}
    assert outside({}, 'code!="200"', "") == {"code": "200"}
    assert outside({"code": "500"}, 'code="500"', 'code="500"') is None


@given(st.lists(st.sampled_from(["a", "5..", "x+", "[0-9]{2}", "(?:up|down)", r"\w\d", "b?", ".*"]), min_size=1, max_size=4))
def test_a_sample_matches_its_pattern(parts):
    pattern = "|".join(parts)
    assert meets({"label": sample(pattern)}, f'label=~"{pattern}"'.replace("\\", "\\\\"))


# Series


def test_a_part_of_the_total_is_counted_within_it():
    found = names_of(members(slo(Events(Selector("http_total"), bad=Selector("http_total", 'code=~"5.."'))), "X"))
    assert found == {"'http_total{exchange=\"X\"}'": "good", '\'http_total{exchange="X",code="500"}\'': "bad"}


def test_a_negative_matcher_does_not_find_the_rest():
    found = names_of(members(slo(Events(Selector("http_total"), bad=Selector("http_total", 'code!="200"'))), "X"))
    assert found == {'\'http_total{exchange="X",code="200"}\'': "good", "'http_total{exchange=\"X\"}'": "bad"}


def test_counters_of_their_own_are_fed_apart():
    found = names_of(members(slo(Events(Selector("orders_total"), good=Selector("done_total"))), "X"))
    assert found == {"'orders_total{exchange=\"X\"}'": "total", "'done_total{exchange=\"X\"}'": "good"}


def test_a_histogram_is_its_count_and_one_bucket():
    found = names_of(members(slo(Latency(Selector("ack_seconds"), Fraction(1, 2))), "X"))
    assert found == {"'ack_seconds_count{exchange=\"X\"}'": "total", '\'ack_seconds_bucket{exchange="X",le="0.5"}\'': "good"}


@pytest.mark.parametrize(
    ("sli", "role"),
    [
        (Probe(Selector("up")), "probe"),
        (Freshness(Selector("up"), Fraction(60)), "timestamp"),
        (Threshold(Selector("up"), above=Fraction(500)), "gauge 500 501"),
        (Threshold(Selector("up"), below=Fraction(1)), "gauge 1 0"),
    ],
)
def test_gauges_have_one_series(sli, role):
    assert names_of(members(slo(sli), "X")) == {"'up{exchange=\"X\"}'": role}


def test_groups_are_told_apart_unless_the_selector_fixes_them():
    free = members(slo(Probe(Selector("up")), group_by=("gateway",)), "X", groups=2)
    assert [member.group for member in free] == [(("gateway", "x1"),), (("gateway", "x2"),)]
    fixed = members(slo(Probe(Selector("up", 'gateway="a"')), group_by=("gateway",)), "X", groups=2)
    assert [member.group for member in fixed] == [(("gateway", "a"),)]


def test_an_expression_of_its_own_cannot_be_fed():
    assert members(slo(Raw("vector(0)")), "X") == ()


# Values


def test_values_run_on_from_segment_to_segment():
    timeline = (healthy(8), broken(4), healthy(2))
    assert values("total", timeline, 0) == f"{BASE}+1500x8 {BASE + 9 * 1500}+1500x3 {BASE + 13 * 1500}+1500x1"
    assert values("bad", timeline, 0) == f"{BASE}+0x8 {BASE + 1500}+1500x3 {BASE + 6000}+0x1"
    assert values("probe", timeline, 0) == "1+0x8 0+0x3 1+0x1"
    assert values("timestamp", timeline, 100) == "100+15x8 220+0x3 295+15x1"


def test_a_target_that_dies_is_marked_stale_and_begins_anew():
    assert values("total", (healthy(4), gone(4), healthy(4)), 0) == f"{BASE}+1500x4 stale _x3 {BASE}+1500x3"


# Badness


def judged(timeline, at, **settings):
    return badness(Judge.of(slo(Events(Selector("a"), bad=Selector("b")), **settings)), timeline, at)


def test_badness_is_the_share_of_the_window():
    timeline = (healthy(8), broken(8))
    assert [judged(timeline, at) for at in (8, 9, 10, 12)] == [NONE_BAD, Fraction(1, 4), Fraction(1, 2), ALL_BAD]
    assert judged((healthy(4), broken(8, Fraction(2, 100))), 12) == Fraction(2, 100)


@pytest.mark.parametrize(("no_data", "worth"), [(NoData.BAD, ALL_BAD), (NoData.GOOD, NONE_BAD), (NoData.IGNORE, None)])
def test_missing_data_is_worth_what_the_slo_says(no_data, worth):
    assert judged((healthy(8), gone(4)), 9, no_data=no_data) == worth


@pytest.mark.parametrize(("idle", "worth"), [(Idle.BAD, ALL_BAD), (Idle.GOOD, NONE_BAD), (Idle.IGNORE, None)])
def test_idleness_is_worth_what_the_slo_says(idle, worth):
    assert judged((quiet(12),), 9, idle=idle) == worth
    assert judged((quiet(8), Segment(1, total=3, bad=1), quiet(4)), 10, idle=idle, minimum_events=10) == worth


def test_a_feed_is_stale_once_its_bound_is_over():
    judge = Judge.of(slo(Freshness(Selector("a"), Fraction(60))))
    assert [badness(judge, (healthy(8), broken(8)), at) for at in (12, 13)] == [NONE_BAD, ALL_BAD]


def test_a_probe_counts_samples_and_a_threshold_any_of_them():
    timeline = (healthy(8), broken(1), healthy(8))
    assert badness(Judge.of(slo(Probe(Selector("a")))), timeline, 12) == Fraction(1, 5)
    assert badness(Judge.of(slo(Threshold(Selector("a"), above=Fraction(0)))), timeline, 12) == ALL_BAD


@given(st.integers(1, 50), st.integers(0, RATE))
def test_no_badness_leaves_the_unit_interval(steps, bad):
    timeline = (healthy(4), Segment(steps, bad=bad), healthy(4))
    assert all(0 <= (judged(timeline, at) or 0) <= 1 for at in range(1, steps + 9))


def test_a_minute_is_four_samples():
    assert minutes(5) == 20
