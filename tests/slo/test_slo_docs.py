"""docs/slo.md names every series, every alert and every setting that there is, and no other."""

import re
from pathlib import Path

import pytest

from ops.conventions import SERIES_ZONE_OVERRIDE
from ops.slo import parse, rules
from ops.slo.model import Severity, Spec

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/slo.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse.load(ROOT / "slo/xdemo.yaml")


def rows(heading: str) -> list[str]:
    """The first cells of the tables of a section."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| (`.+?) \|", section, re.M)


def names(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_recorded_series_is_told_of_and_no_other(spec: Spec) -> None:
    recorded = {rule.record for file in rules.rule_files(spec) for rule in file.rules if rule.record}
    assert names(rows("Recorded series")) == recorded
    assert f"`{SERIES_ZONE_OVERRIDE}{{" in PAGE


def test_every_alert_is_told_of_with_its_severity(spec: Spec) -> None:
    found: dict[str, set[str]] = {}
    for rule in (rule for file in rules.rule_files(spec) for rule in file.rules if rule.alert):
        found.setdefault(rule.alert, set()).add(rule.labels["severity"])
    told = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.partition("\n## Alerts\n")[2].partition("\n## ")[0], re.M))
    assert set(told) == set(found)
    for alert, severities in found.items():
        assert {word for word in re.findall(r"\w+", told[alert]) if word in tuple(Severity)} >= severities, alert


def asked_for(*files: str) -> set[str]:
    """Names of the settings that the reader of specs asks for."""
    text = "".join((ROOT / "ops/slo" / name).read_text(encoding="utf-8") for name in files)
    getter = (
        r"(?:text|choice|integer|duration|number|percent|section|sections|texts|has|one_line|where|metric|objective|_minute|_only|_said)"
    )
    return set(re.findall(rf'\b{getter}\((?:(?:section|inner|slo)(?:, )?)?"([a-z_]+)"', text))


def test_every_setting_is_told_of() -> None:
    settings = asked_for("parse.py", "parse_sli.py")
    assert {"exchange", "no_data", "slos", "threshold", "runbook_base"} <= settings
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`|^```.*?^```", PAGE, re.M | re.S))))
    assert settings - told == set()
