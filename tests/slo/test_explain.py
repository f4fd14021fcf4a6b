"""`explain`: one SLO in words that a person can repeat, with figures from the calendar."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from ops.slo import explain, parse, starter
from ops.slo.model import Events, Freshness, Latency, Probe, Raw, Selector, Sli, Spec, Threshold

HERE = Path(__file__).parent


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    shutil.copytree(HERE / "expected_failures" / "calendars", tmp_path / "calendars")
    (tmp_path / "xdemo.yaml").write_text(starter.text("XDEMO", "calendars/plain.yaml"), encoding="utf-8")
    return parse.load(tmp_path / "xdemo.yaml")


def test_an_slo_is_told_in_words(spec: Spec) -> None:
    one = explain.explain(spec, spec.slos[0], 2026, 11)
    assert one.measured == (
        'Of each 1m, what is bad: the share of observations of exchange_order_ack_seconds{track="stable"} above 500 ms.'
    )
    assert one.missing == "When its series are missing, the time counts as bad. A slice with fewer than 10 events counts as good."
    assert (one.month, one.runbook) == ("2026-11", "runbooks/order-ack-latency.md")


def test_each_alert_is_one_sentence_with_its_time_at_total_outage(spec: Spec) -> None:
    told = explain.explain(spec, spec.slos[1], 2026, 11).alerts
    assert told[:2] == (
        "zone 1 (trading, volatile): spike pages when 3% of the last 1m is bad; after a total outage of 2s, at the latest 37s.",
        "zone 1 (trading, volatile): fast pages when the budget burns 14 times too fast over 1h and over 5m; "
        "after a total outage of 6s, at the latest 2m11s.",
    )
    assert told[-1].startswith("zone 4 (maintenance): slow opens a ticket when the budget burns 3 times too fast over 6h and over 1h")
    assert len(told) == 10, "three in zones 1 and 2, two in 3 and 4: the spike only pages"


def test_minutes_and_dollars_are_those_of_the_month(spec: Spec) -> None:
    november, december = (explain.explain(spec, spec.slos[1], 2026, month).budgets[1] for month in (11, 12))
    assert (november.minutes, december.minutes) == (21 * 390, 23 * 390)
    assert (november.bad_minutes, november.usd) == (Fraction(5, 10000) * 8190, Fraction(5, 10000) * 8190 * 100)


@pytest.mark.parametrize(
    ("indicator", "words"),
    [
        (Events(Selector("a"), bad=Selector("b", 'c="d"')), 'the share of events of a that b{c="d"} counts'),
        (Events(Selector("a"), good=Selector("b")), "the share of events of a that b does not count"),
        (Latency(Selector("h"), Fraction(5, 2)), "the share of observations of h above 2.5 s"),
        (Freshness(Selector("t"), Fraction(60)), "all of it while t is older than 60 s"),
        (Probe(Selector("up")), "the share of it in which up is not 1"),
        (Threshold(Selector("depth"), above=Fraction(1000)), "all of it when depth was above 1000 at any time"),
        (Threshold(Selector("rate"), below=Fraction(1, 2)), "all of it when rate was below 0.5 at any time"),
        (Raw("avg(x)"), "the value of avg(x)"),
    ],
)
def test_every_kind_of_sli_has_its_words(spec: Spec, indicator: Sli, words: str) -> None:
    from dataclasses import replace

    assert explain.measured(replace(spec.slos[0], sli=indicator, group_by=("feed", "desk"))) == (
        f"Of each 1m, what is bad, for each feed and desk apart: {words}."
    )


@pytest.mark.parametrize(("seconds", "text"), [("0", "0s"), ("0.1", "1s"), ("50.4", "51s"), ("3600", "1h"), ("3661", "1h1m1s")])
def test_durations_are_rounded_up(seconds: str, text: str) -> None:
    assert explain.duration(Fraction(seconds)) == text
