"""Dashboards load, read only series that exist, do not grow with the SLOs, and look the same each time they are made."""

import json
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from engine import conventions as venue
from ops import conventions as c
from ops.slo import dashboards, parse, rules
from ops.slo.model import Spec

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/slo"
OF_PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE"}


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse.load(ROOT / "slo/xdemo.yaml")


@pytest.fixture(scope="module")
def boards(spec: Spec) -> dict[str, dict[str, Any]]:
    return {path: json.loads(text) for path, text in dashboards.files([spec]).items()}


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def metrics(expr: str) -> set[str]:
    found: set[str] = set()

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.add(node.vector_selector.name)
        return True

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def test_a_venue_has_two_dashboards(boards: dict[str, dict[str, Any]]) -> None:
    assert list(boards) == ["dashboards/xdemo-operators.json", "dashboards/xdemo-managers.json"]
    assert [board["uid"] for board in boards.values()] == ["opsctl-xdemo-operators", "opsctl-xdemo-managers"]
    assert all(board["schemaVersion"] >= 36 and len(board["uid"]) <= 40 for board in boards.values())


def test_they_are_the_golden_files_made_of_a_small_spec() -> None:
    """Write them anew with: python -m tests.slo.test_dashboards"""
    for path, text in dashboards.files([parse.load(GOLDEN / "dashboards.yaml")]).items():
        assert text == (GOLDEN / path).read_text(encoding="utf-8"), path


def test_every_expression_reads_only_series_that_are_recorded_or_shown_by_the_venue(spec: Spec, boards: dict[str, dict[str, Any]]) -> None:
    recorded = {rule.record for file in rules.rule_files(spec) for rule in file.rules if rule.record}
    shown = {value for value in vars(venue).values() if isinstance(value, str) and value.startswith("exchange_")}
    shown |= {f"{name}_bucket" for name in (venue.ORDER_ACK_SECONDS, venue.MARKET_DATA_AGE_SECONDS)}
    for board in boards.values():
        for expr in expressions(board):
            read = metrics(expr)
            assert read, expr
            assert read <= recorded | shown | OF_PROMETHEUS, expr
            assert 'exchange="$exchange"' in expr


def test_variables_read_series_that_are_recorded(spec: Spec, boards: dict[str, dict[str, Any]]) -> None:
    recorded = {rule.record for file in rules.rule_files(spec) for rule in file.rules if rule.record}
    for board in boards.values():
        asked = [each["query"] for each in board["templating"]["list"] if each["type"] == "query"]
        assert len(asked) == 2
        for query in asked:
            read = re.fullmatch(r"label_values\((.+), (exchange|slo)\)", query)
            assert read
            assert metrics(read[1]) <= recorded


def test_panels_have_their_own_ids_and_do_not_overlap(boards: dict[str, dict[str, Any]]) -> None:
    for board in boards.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= dashboards.COLUMNS
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            assert not taken & cells, panel["title"]
            taken |= cells


def test_each_panel_says_what_it_shows_in_which_unit_and_what_it_means_when_it_is_empty(boards: dict[str, dict[str, Any]]) -> None:
    for board in boards.values():
        for panel in board["panels"]:
            defaults = panel["fieldConfig"]["defaults"]
            assert len(panel["description"]) > 20, panel["title"]
            assert defaults["unit"]
            assert defaults["noValue"]
            steps = [step["value"] for step in defaults["thresholds"]["steps"]]
            assert steps[0] is None
            assert steps[1:] == sorted(steps[1:]), panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("operators", ["Zone now", "Exposure", "Burn rate, 5m", "Burn rate, 1h", "Burn rate, 6h", "Bad minutes today", "Lost this month"]),
        ("operators", ["Firing", "Queue depth", "Acknowledgement, p99", "Market data age, p99", "Release: gateways by track"]),
        (
            "managers",
            ["Budget left", "Forecast", "Dollars by SLO and zone", "Availability by zone", "Changes", "Coverage", "Pages of the last"],
        ),
    ],
)
def test_a_dashboard_answers(boards: dict[str, dict[str, Any]], path: str, words: list[str]) -> None:
    titles = " / ".join(panel["title"] for panel in boards[f"dashboards/xdemo-{path}.json"]["panels"])
    assert [word for word in words if word not in titles] == []


def test_thresholds_of_burn_rates_are_those_of_the_alerts(spec: Spec, boards: dict[str, dict[str, Any]]) -> None:
    panels = {panel["title"]: panel for panel in boards["dashboards/xdemo-operators.json"]["panels"]}
    for tier in spec.tiers:
        if tier.factor is not None:
            for seconds in (tier.long_s, tier.short_s):
                window = {300: "5m", 3600: "1h", 21600: "6h"}[seconds]
                steps = panels[f"Burn rate, {window}"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
                assert float(tier.factor) in [step["value"] for step in steps]


def test_zones_are_named(boards: dict[str, dict[str, Any]]) -> None:
    panel = boards["dashboards/xdemo-operators.json"]["panels"][0]
    shown = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert [shown[zone]["text"] for zone in "1234"] == ["1 trading, volatile", "2 trading", "3 extended hours", "4 maintenance"]
    assert metrics(panel["targets"][0]["expr"]) == {c.SERIES_ZONE_NUMBER}


def test_a_thousand_slos_make_the_same_files_as_one_and_at_once(spec: Spec) -> None:
    one = replace(spec, slos=spec.slos[:1])
    many = replace(spec, slos=tuple(replace(spec.slos[0], name=f"slo-{number}") for number in range(1000)))
    start = time.process_time()
    made = dashboards.files([many])
    assert time.process_time() - start < 0.2
    assert made == dashboards.files([one])


RECORDED = {
    'exchange_zone:now:info{exchange="XDEMO",zone="2",hours="regular"}': "1x90",
    'slo_policy:cost:usd_per_minute{exchange="XDEMO",policy="default",zone="2"}': "100x90",
    'slo_policy:cost:usd_per_minute{exchange="XDEMO",policy="own",zone="2"}': "50x90",
    'exchange:pnl_budget_remaining:usd{exchange="XDEMO"}': "9700x90",
    'slo:loss_usd:month{exchange="XDEMO",slo="venue",policy="default",month="197001"}': "300x90",
    'slo:bad_minutes:month{exchange="XDEMO",slo="a",policy="own",zone="2",month="197001",gateway="g1"}': "4x90",
    'slo:bad_minutes:month{exchange="XDEMO",slo="a",policy="own",zone="2",month="197001",gateway="g2"}': "1x90",
    'slo:bad_minutes:day{exchange="XDEMO",slo="a",policy="own",zone="2",day="19700101",month="197001"}': "3x90",
    'slo:bad_minutes:day{exchange="XDEMO",slo="a",policy="own",zone="2",day="19691231",month="196912"}': "9x90",
    'slo:bad:slice{exchange="XDEMO",slo="venue",policy="default",zone="2",hours="regular",day="19700101",month="197001"}': "0.25x90",
    'slo:bad:slice{exchange="XDEMO",slo="venue",policy="default",zone="3",hours="extended",day="19691231",month="196912"}': "1x90",
    'exchange:slices:month{exchange="XDEMO",month="197001"}': "1000x90",
    'exchange:local_date:info{exchange="XDEMO",date="19700101",month="197001"}': "1x90",
    'exchange:local_time:seconds{exchange="XDEMO"}': "1339200x90",
    'exchange:local_time:minute_of_day{exchange="XDEMO"}': "720x90",
    'ALERTS_FOR_STATE{exchange="XDEMO",severity="page",alertname="SloSpike",slo="a"}': "1x30 _x9 2400x50",
}
"""What the rules would have recorded by 01:30; local time stands at noon of the 16th of a month with 31 days."""
SHOWN = {
    "Exposure: an hour of outage": ('{exchange="XDEMO"}', 6000),
    "Budget left": ('{exchange="XDEMO"}', 0.97),
    "Bad minutes today": ('{exchange="XDEMO",slo="a"}', 3),
    "Forecast at month's end": ('{exchange="XDEMO"}', 600),
    "Dollars by SLO and zone": ('{exchange="XDEMO",slo="a",zone="2"}', 200),
    "Availability by zone": ('{exchange="XDEMO",zone="2",month="197001"}', 0.75),
    "Availability by SLO": ('{exchange="XDEMO",slo="a"}', 0.996),
    "Pages of the last 30 days": ('{alertname="SloSpike",slo="a"}', 2),
}


def test_a_prometheus_gives_the_figures_that_the_panels_promise(boards: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    panels = {panel["title"]: panel for board in reversed(boards.values()) for panel in board["panels"]}
    asked = [
        {
            "expr": panels[title]["targets"][0]["expr"].replace("$exchange", "XDEMO").replace("$slo", ".+"),
            "eval_time": "90m",
            "exp_samples": [{"labels": labels, "value": value}],
        }
        for title, (labels, value) in SHOWN.items()
    ]
    given = [{"series": series, "values": values} for series, values in RECORDED.items()]
    tests = [{"interval": "1m", "input_series": given, "promql_expr_test": asked}]
    (tmp_path / "test.yaml").write_text(json.dumps({"evaluation_interval": "1m", "tests": tests}), encoding="utf-8")
    command = ["promtool", "test", "rules", str(tmp_path / "test.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_venues_have_files_of_their_own(spec: Spec) -> None:
    made = dashboards.files([spec, replace(spec, exchange="XOTHER")])
    assert len(made) == 4
    assert "XDEMO" not in made["dashboards/xother-operators.json"]


if __name__ == "__main__":
    for name, content in dashboards.files([parse.load(GOLDEN / "dashboards.yaml")]).items():
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_text(content, encoding="utf-8")
