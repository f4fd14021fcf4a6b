"""`opsctl slo check --live`: what a Prometheus says of the series, against one in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ops.adapters.fakes_queries import FakeQueries
from ops.errors import MetricsUnavailable
from ops.ports import Series
from ops.slo import check_live, parse
from ops.slo.model import Spec

HERE = Path(__file__).parent
NOW_S = 1_000_000.0
HEAD = """\
version: opsctl/slo/v1
exchange: X
calendar: calendars/plain.yaml
budget: {usd_per_month: 10000}
zones:
  1: {objective: 99.99%, cost_usd_per_minute: 500, severity: ticket}
  2: {objective: 99.95%, cost_usd_per_minute: 100, severity: ticket}
  3: {objective: 99.9%, cost_usd_per_minute: 20, severity: ticket}
  4: {objective: 98%, cost_usd_per_minute: 0, severity: none}
slos:
  - name: one
    no_data: bad
"""
EVENTS = "sli: {events: {total: a_total, bad: b_total}}"
LATENCY = "sli: {latency: {histogram: h_seconds, threshold: 500ms}}"
COUNT_A, COUNT_B = 'count(a_total{exchange="X"})', 'count(b_total{exchange="X"})'
SCRAPES = "max(count_over_time("
ANSWER = "increase("


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(HERE / "expected_failures" / "calendars", tmp_path / "calendars")
    return tmp_path


def spec_of(folder: Path, *lines: str) -> Spec:
    (folder / "x.yaml").write_text(HEAD + "".join(f"    {line}\n" for line in lines), encoding="utf-8")
    return parse.load(folder / "x.yaml")


def one(value: float, **labels: str) -> tuple[Series, ...]:
    return (Series(labels, ((NOW_S, value),)),)


def healthy(**changes: tuple[Series, ...]) -> FakeQueries:
    told = {COUNT_A: one(1), COUNT_B: one(1), SCRAPES: one(40), ANSWER: one(0.25)}
    return FakeQueries(
        told | {{"answer": ANSWER, "scrapes": SCRAPES, "a": COUNT_A, "b": COUNT_B}[name]: found for name, found in changes.items()}
    )


def reasons(spec: Spec, queries: FakeQueries) -> list[str]:
    return [f"{finding.level}: {finding.reason}" for finding in check_live.findings(spec, None, queries, NOW_S)]


def test_a_prometheus_that_has_everything_gives_no_finding(folder: Path) -> None:
    assert reasons(spec_of(folder, EVENTS), healthy()) == []


def test_a_series_that_is_not_there_is_an_error_and_the_rest_is_not_asked(folder: Path) -> None:
    queries = healthy(a=())
    assert reasons(spec_of(folder, EVENTS), queries) == ['error: a_total{exchange="X"} has no series in this Prometheus']
    assert not any(ANSWER in query for query in queries.asked)


def test_a_counter_of_what_goes_wrong_may_be_missing_until_it_does(folder: Path) -> None:
    assert reasons(spec_of(folder, EVENTS), healthy(b=())) == [
        'warning: b_total{exchange="X"} has no series yet: right if nothing has ever gone wrong'
    ]


def test_a_bucket_that_is_not_there_is_an_error(folder: Path) -> None:
    told = {'count(h_seconds_count{exchange="X"})': one(1), SCRAPES: one(40), ANSWER: one(0)}
    spec = spec_of(folder, LATENCY)
    assert reasons(spec, FakeQueries(told)) == ["error: h_seconds has no bucket at 0.5s"]
    bucket = 'count(h_seconds_bucket{exchange="X",le=~"0[.]5([.]0+)?"})'
    assert reasons(spec, FakeQueries(told | {bucket: one(1)})) == []


def test_fewer_scrapes_than_declared_are_a_warning(folder: Path) -> None:
    assert reasons(spec_of(folder, EVENTS), healthy(scrapes=one(20))) == [
        'warning: a_total{exchange="X"} was scraped 20 times in 10 minutes, where 15s mean 40'
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((), "error: gives nothing at all"),
        (one(1.5), "error: gives 1.5, which is no share"),
        (one(float("nan")), "error: gives nan, which is no share"),
        (one(0, gateway="a") + one(0, gateway="b"), "error: gives several series, but has no group_by"),
    ],
)
def test_an_sli_gives_one_share(folder: Path, answer: tuple[Series, ...], reason: str) -> None:
    assert reasons(spec_of(folder, EVENTS), healthy(answer=answer)) == [reason]


def test_an_sli_whose_data_may_be_missing_may_give_nothing(folder: Path) -> None:
    (folder / "x.yaml").write_text("", encoding="utf-8")
    spec = spec_of(folder, EVENTS)
    text = (folder / "x.yaml").read_text(encoding="utf-8").replace("no_data: bad", "no_data: ignore")
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    assert reasons(parse.load(spec.path), healthy(answer=())) == []


def test_each_group_gives_one_share_and_its_label_is_there(folder: Path) -> None:
    spec = spec_of(folder, EVENTS, "group_by: [gateway]")
    assert reasons(spec, healthy(answer=one(0, gateway="a") + one(1, gateway="b"))) == []
    assert reasons(spec, healthy(answer=one(0, gateway="a") + one(1, gateway="a"))) == [
        "error: gives several series for one of its groups (gateway)"
    ]
    assert reasons(spec, healthy(answer=one(0, desk="a"))) == ["error: none of its series has the label gateway"]


@pytest.mark.parametrize(
    ("time", "size", "expected"),
    [
        ("45d", "0B", []),
        ("0s", "0B", ["error: this Prometheus keeps 15 days; the month's budget needs 34, and would look unspent"]),
        ("1y", "", []),
        ("2w", "0", ["error: this Prometheus keeps 14 days; the month's budget needs 34, and would look unspent"]),
        ("0s", "5GB", ["warning: this Prometheus forgets early when it holds 5GB: the month's budget may look unspent"]),
    ],
)
def test_the_prometheus_must_remember_a_month(folder: Path, time: str, size: str, expected: list[str]) -> None:
    queries = healthy()
    queries.server_flags = {"storage.tsdb.retention.time": time, "storage.tsdb.retention.size": size}
    assert reasons(spec_of(folder, EVENTS), queries) == expected


def test_a_prometheus_that_is_away_is_no_finding(folder: Path) -> None:
    queries = healthy()
    queries.away = True
    with pytest.raises(MetricsUnavailable):
        reasons(spec_of(folder, EVENTS), queries)


def test_the_sli_is_asked_without_series_that_only_the_loaded_rules_record(folder: Path) -> None:
    told = {"count(t_seconds": one(1), SCRAPES: one(40), "vector(time())": one(0)}
    queries = FakeQueries(told)
    assert reasons(spec_of(folder, "sli: {freshness: {timestamp: t_seconds, threshold: 60s}}", "slice: 2m"), queries) == []
    assert not any("venue:clock:seconds" in query or "exchange_zone:" in query for query in queries.asked)
