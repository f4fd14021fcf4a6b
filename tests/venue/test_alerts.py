"""Alerts load, fire as their unit tests say, name only series that exist, and lead to a runbook that is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from engine import conventions

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "alerts").glob("*.yaml"))
ALERTS = [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
PROMTOOL = shutil.which("promtool")
HAPROXY_SERIES = {"haproxy_backend_active_servers", "haproxy_server_check_up_down_total"}
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


def test_every_runbook_belongs_to_an_alert_and_its_links_lead_somewhere() -> None:
    named = {rule["annotations"]["runbook"] for rule in ALERTS}
    for book in (ROOT / "runbooks").glob("*.md"):
        text = book.read_text()
        assert f"runbooks/{book.name}" in named or not text.count("Alert: "), book
        for link in re.findall(r"\]\(([^)#]+\.md)", text):
            assert (book.parent / link).exists(), (book, link)


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
