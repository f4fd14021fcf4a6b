"""A stub says what the spec knows, tells only of commands that exist, and is written in the shape of the pages that people wrote."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from ops.slo import parse, rules, runbooks
from ops.slo.model import NoData, Spec

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse.load(ROOT / "slo/xdemo.yaml")


def test_each_runbook_that_an_alert_names_has_a_stub(spec: Spec) -> None:
    pages = runbooks.stubs([spec])
    assert {slo.runbook for slo in spec.slos} <= set(pages)
    named = {rule.annotations.get("runbook", "") for file in rules.rule_files(spec) for rule in file.rules if rule.alert}
    plain = {name.removeprefix(spec.runbook_base) for name in named if name and "{{" not in name}
    assert plain
    assert plain <= set(pages)


def test_a_stub_tells_whose_alert_it_is_what_it_means_what_first_and_when_it_is_over(spec: Spec) -> None:
    page = runbooks.stubs([spec])["runbooks/order-ack-latency.md"]
    slo = next(slo for slo in spec.slos if slo.name == "order-ack-latency")
    assert "Alerts: `SloSpike`, `SloFastBurn`, `SloSlowBurn`, `SloMissing` of `order-ack-latency`." in page
    assert f"- **First**: {slo.first_action}" in page
    assert "Members of XDEMO: more of them than promised wait longer than 500 ms." in page
    assert "`opsctl slo explain order-ack-latency`: promised are 99 % in zone 1" in page
    assert "Burn alerts end within 5 to 60 minutes" in page


def test_the_alerts_a_stub_names_are_those_that_the_rules_have(spec: Spec) -> None:
    known = {rule.alert for file in rules.rule_files(spec) for rule in file.rules if rule.alert}
    for path, page in runbooks.stubs([spec]).items():
        line = next(line for line in page.splitlines() if line.startswith(("Alert:", "Alerts:")))
        assert set(re.findall(r"`([A-Z]\w+)`", line)) <= known, path


@pytest.mark.parametrize("part", ["**What it means.**", "## Look", "## Put right", "## Keep in mind"])
def test_stubs_have_the_parts_of_the_pages_that_people_wrote(spec: Spec, part: str) -> None:
    assert all(part in page for page in runbooks.stubs([spec]).values())
    assert part in (ROOT / "runbooks/gateway-down.md").read_text(encoding="utf-8")


def test_commands_in_stubs_exist(spec: Spec) -> None:
    from tools.gen import APPS, paths

    known = set(paths(APPS["opsctl"]))
    told = {
        tuple(words.split())
        for page in runbooks.stubs([spec]).values()
        for words in re.findall(r"`opsctl ([a-z]+(?: (?:explain|show))?)", page)
    }
    assert ("slo", "explain") in told
    assert told <= known


def test_slos_that_share_a_page_share_its_stub(spec: Spec) -> None:
    first, second = (replace(slo, runbook="runbooks/one.md") for slo in spec.slos[:2])
    page = runbooks.stubs([replace(spec, slos=(first, second))])["runbooks/one.md"]
    assert f"of `{first.name}`, `{second.name}`." in page
    assert f'slo=~"{first.name}|{second.name}"' in page
    assert page.count("- **First**:") == 2


def test_a_page_elsewhere_is_not_written_and_an_unnamed_one_has_its_own_name(spec: Spec) -> None:
    away, unnamed = replace(spec.slos[0], runbook="https://wiki.example/a"), replace(spec.slos[1], runbook="")
    pages = runbooks.stubs([replace(spec, slos=(away, unnamed))])
    assert not any("://" in path for path in pages)
    assert f"runbooks/{unnamed.name}.md" in pages


@pytest.mark.parametrize("no_data", list(NoData))
def test_a_stub_says_what_missing_data_count_as(spec: Spec, no_data: NoData) -> None:
    slo = replace(spec.slos[0], no_data=no_data)
    page = runbooks.stubs([replace(spec, slos=(slo,))])[slo.runbook]
    assert {NoData.BAD: "count as bad", NoData.GOOD: "count as good", NoData.IGNORE: "count as nothing"}[no_data] in page


def test_stubs_hold_no_template_of_prometheus(spec: Spec) -> None:
    assert not [path for path, page in runbooks.stubs([spec]).items() if "{{" in page]
