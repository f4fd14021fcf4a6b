"""Alerts load, fire as their unit tests say, name only series that exist, and lead to a runbook that is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from engine import conventions
from ops.slo.model import Latency, Slo
from ops.slo.parse import load_all

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "alerts").glob("*.yaml"))
ALERTS = [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
SLOS = [slo for spec in load_all(ROOT / "slo") for slo in spec.slos]
PROMTOOL = shutil.which("promtool")
HAPROXY_SERIES = {"haproxy_backend_active_servers", "haproxy_backend_status", "haproxy_server_check_up_down_total"}
"""Checked against a running HAProxy in test_monitoring.py."""


def test_there_are_alerts_with_unique_names() -> None:
    assert len(ALERTS) >= 8
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_what_to_do_first_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "first_action", "runbook"}
    book = ROOT / notes["runbook"]
    assert book.is_file(), book
    assert f"`{rule['alert']}`" in book.read_text()


@pytest.mark.parametrize("slo", SLOS, ids=lambda slo: slo.name)
def test_an_slo_says_what_to_do_first_and_where_to_read_on(slo: Slo) -> None:
    assert slo.first_action
    book = ROOT / slo.runbook
    assert book.is_file(), book
    assert f"SLO: `{slo.name}`" in book.read_text()
    assert f"`{slo.name}`" in (ROOT / "slo" / "README.md").read_text()


def test_every_runbook_belongs_to_an_alert_or_an_slo_and_its_links_lead_somewhere() -> None:
    named = {rule["annotations"]["runbook"] for rule in ALERTS} | {slo.runbook for slo in SLOS} | generated_runbooks()
    for book in (ROOT / "runbooks").glob("*.md"):
        text = book.read_text()
        assert f"runbooks/{book.name}" in named or not re.search(r"^(Alert|SLO): ", text, re.M), book
        for link in re.findall(r"\]\(([^)#]+\.md)", text):
            assert (book.parent / link).exists(), (book, link)


def generated_runbooks() -> set[str]:
    """Of the alerts that come with every spec: budget, calendar, coverage. Each has its own, and it is there."""
    text = "".join(file.read_text() for file in (ROOT / "slo" / "generated").glob("*.rules.yaml"))
    named = {name for name in re.findall(r"runbooks/[a-z-]+\.md", text)}
    assert not [name for name in named if not (ROOT / name).is_file()]
    return named


@pytest.mark.parametrize("slo", SLOS, ids=lambda slo: slo.name)
def test_an_slo_counts_only_series_that_somebody_exposes_with_the_bucket_it_needs(slo: Slo) -> None:
    ours = {value for name, value in vars(conventions).items() if isinstance(value, str) and value.startswith("exchange_")}
    for metric in re.findall(r"metric='(\w+)'", repr(slo.sli)):
        assert metric in ours | HAPROXY_SERIES, metric
    if isinstance(slo.sli, Latency):
        buckets = {
            conventions.ORDER_ACK_SECONDS: conventions.ORDER_ACK_BUCKETS_S,
            conventions.MARKET_DATA_AGE_SECONDS: conventions.MARKET_DATA_AGE_BUCKETS_S,
        }
        assert float(slo.sli.threshold_s) in buckets[slo.sli.histogram.metric]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_names_only_series_that_somebody_exposes(rule: dict[str, str]) -> None:
    ours = {value for name, value in vars(conventions).items() if isinstance(value, str) and value.startswith("exchange_")}
    for series in re.findall(r"\b(?:exchange|haproxy|process)_\w+", rule["expr"]):
        assert series in ours | HAPROXY_SERIES, series


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_promtool_accepts_the_rules(file: Path) -> None:
    checked = subprocess.run([str(PROMTOOL), "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "tests" / "alerts").glob("*.yaml")), ids=lambda file: file.name)
def test_the_alerts_unit_tests_hold(file: Path) -> None:
    ran = subprocess.run([str(PROMTOOL), "test", "rules", str(file)], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_alert_fires_in_a_unit_test() -> None:
    text = "".join(file.read_text() for file in (ROOT / "tests" / "alerts").glob("*.yaml"))
    for rule in ALERTS:
        assert rule["alert"] in text, rule["alert"]
