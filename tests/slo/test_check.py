"""`opsctl slo check` without a Prometheus: the generated rules are whole, and what is broken in them is found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ops.slo import check, check_rules, starter
from ops.slo.check import Report
from ops.slo.findings import Finding, Level
from ops.slo.model import Spec
from ops.slo.rulefile import Group, Rule, RuleFile
from ops.slo.rules import rule_files

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
ACTIONABLE = {"summary": "s", "first_action": "f", "runbook": "r", "description": "It costs 5 usd."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(HERE / "expected_failures" / "calendars", tmp_path / "slo" / "calendars")
    return tmp_path / "slo"


def checked(folder: Path, text: str, rules=rule_files) -> Report:
    (folder / "xdemo.yaml").write_text(text, encoding="utf-8")
    return check.run(folder, folder.parent / "runbooks", rules)


def starting(old: str = "", new: str = "") -> str:
    text = starter.text("XDEMO", "calendars/plain.yaml")
    assert old in text
    return text.replace(old, new, 1)


def found(*rules: Rule, known: frozenset[str] | None = frozenset({"up"})) -> list[Finding]:
    file = RuleFile("x.rules.yaml", (Group("g", 60, rules),))
    return list(check_rules.findings(check_rules.locate((file,)), known))


def reasons(findings: list[Finding]) -> list[str]:
    return [finding.reason for finding in findings]


def test_the_spec_to_start_from_has_no_error_and_what_it_generates_neither(folder: Path) -> None:
    report = checked(folder, starting())
    assert report.errors == ()
    assert {finding.place.rpartition(".")[2] for finding in report.warnings} == {"runbook"}


def test_what_this_repository_declares_has_no_error() -> None:
    assert check.run(CHECKOUT / "slo", CHECKOUT / "runbooks", rule_files).errors == ()


def test_a_runbook_that_is_there_is_no_warning(folder: Path) -> None:
    (folder.parent / "runbooks").mkdir()
    for name in ("order-ack-latency", "gateway-errors", "core-link-down"):
        (folder.parent / "runbooks" / f"{name}.md").write_text("# What to do\n", encoding="utf-8")
    assert checked(folder, starting()).findings == ()


def test_every_wrong_slo_and_every_wrong_file_is_told(folder: Path) -> None:
    (folder / "b.yaml").write_text("version: 9\n", encoding="utf-8")
    report = checked(folder, starting("no_data: bad", "no_data: x"))
    assert {Path(finding.place.split(":")[0]).name for finding in report.errors} == {"b.yaml", "xdemo.yaml"}
    assert report.specs == ()


def test_the_rules_say_how_long_the_prometheus_must_remember(folder: Path) -> None:
    cost = checked(folder, starting()).costs[0]
    assert (cost.slos, cost.retention_days) == (3, 34)
    assert 0 < cost.samples_per_minute_per_slo < 15_000


def test_without_rules_only_what_people_write_is_looked_at(folder: Path) -> None:
    report = checked(folder, starting("threshold: 500ms}}", "threshold: 450ms}}"), None)
    assert [finding.instead for finding in report.errors] == ["write 500ms, or add the bucket"]
    assert report.costs == ()


def test_terms_of_zone_1_without_a_volatility_are_a_warning(folder: Path) -> None:
    calendar = folder / "calendars" / "plain.yaml"
    calendar.write_text(calendar.read_text(encoding="utf-8").split("volatility:")[0], encoding="utf-8")
    found = [finding for finding in checked(folder, starting()).warnings if "no volatility" in finding.reason]
    line = starting().splitlines().index("  1: {objective: 99.99%, cost_usd_per_minute: 500, severity: page}") + 1
    assert [finding.place for finding in found] == [f"{folder / 'xdemo.yaml'}:{line}: zones.1"]


def test_a_series_that_is_generated_no_more_is_found_in_what_reads_it(folder: Path) -> None:
    def forgetful(spec: Spec) -> tuple[RuleFile, ...]:
        return tuple(replace(file, groups=tuple(without_5m(group) for group in file.groups)) for file in rule_files(spec))

    def without_5m(group: Group) -> Group:
        return replace(group, rules=tuple(rule for rule in group.rules if rule.record != "slo:burn_rate:5m"))

    errors = checked(folder, starting(), forgetful).errors
    assert "SloFastBurn: expr" in {error.place.partition(": ")[2] for error in errors}
    assert errors[0].reason == "reads slo:burn_rate:5m, which no rule records and no target is known to show: the alert can never fire"
    assert "slo:burn_rate:1h" in errors[0].instead


def test_an_alert_on_a_window_that_nobody_records_can_never_fire() -> None:
    burn = Rule("up", record="desk:burn:1h")
    alert = Rule("desk:burn:1h > 14 and desk:burn:5m > 14", alert="FastBurn", annotations=ACTIONABLE)
    assert reasons(found(burn, alert)) == [
        "reads desk:burn:5m, which no rule records and no target is known to show: the alert can never fire"
    ]


def test_a_metric_that_no_target_shows_is_dangling_too() -> None:
    assert reasons(found(Rule("no_such_metric", record="a:b:c"))) == [
        "reads no_such_metric, which no rule records and no target is known to show: the rule records nothing"
    ]
    assert found(Rule("no_such_metric", record="a:b:c"), known=None) == [], "a stranger's file may read what it likes"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rule("sum(", record="a:b:c"), "is not PromQL: unclosed left parenthesis"),
        (Rule("up", record="a_b_c"), "is not of the form level:metric:operation"),
        (Rule("up", record="a:b-c"), "is not of the form level:metric:operation"),
        (Rule("up", alert="slo_fast", annotations=ACTIONABLE), "is not a name in CamelCase"),
        (Rule("up", record="a:b:c", labels={"a-b": "x"}), "cannot be a label's name"),
        (Rule("up", record="a:b:c", labels={"__a": "x"}), "cannot be a label's name"),
        (Rule("up", alert="A", labels={"severity": "critical"}, annotations=ACTIONABLE), "'critical' is not one of page, ticket, none"),
        (
            Rule("up", alert="A", annotations={**ACTIONABLE, "runbook": " "}),
            "has no runbook: who is called cannot act on it",
        ),
        (
            Rule("up", alert="A", annotations={**ACTIONABLE, "summary": "{{ mul $value 35 }}"}),
            "'mul' is no function of a template: Prometheus refuses the whole file",
        ),
        (
            Rule("up", alert="A", annotations={**ACTIONABLE, "summary": '{{ query "sum(" }}'}),
            "queries what is not PromQL: unclosed left parenthesis",
        ),
        (
            Rule("up", alert="A", annotations={**ACTIONABLE, "summary": '{{ with printf "desk:x{a=%q}" .Labels.a | query }}{{ end }}'}),
            "reads desk:x, which no rule records and no target is known to show: the alert can never fire",
        ),
    ],
)
def test_each_fault_of_a_rule_is_found(rule: Rule, reason: str) -> None:
    assert reasons(found(rule)) == [reason]


def test_an_alert_on_money_says_what_it_costs() -> None:
    burn = Rule("up", record="slo:burn_rate:1h")
    alert = Rule("slo:burn_rate:1h > 14", alert="A", annotations={**ACTIONABLE, "description": "Bad."})
    assert reasons(found(burn, alert)) == ["does not say what it costs"]
    assert found(burn, replace(alert, annotations=ACTIONABLE)) == []


def test_an_alert_that_nobody_gets_needs_no_words() -> None:
    assert found(Rule("up", alert="MaintenanceWindow", labels={"severity": "none"})) == []


def test_two_rules_of_one_name_and_labels_overwrite_each_other() -> None:
    one, other = Rule("up", record="a:b:c", labels={"x": "1"}), Rule("up * 2", record="a:b:c", labels={"x": "1"})
    assert [finding.reason.split(":")[0] for finding in found(one, other)] == ["has the same name and labels as x.rules.yaml"]
    assert found(one, replace(other, labels={"x": "2"})) == []


def test_a_query_of_several_series_shows_one_of_them_at_random() -> None:
    text = '{{ with query "%s" }}{{ . | first | value }}{{ end }}'
    alert = Rule("up", alert="A", annotations={**ACTIONABLE, "summary": text % "up"})
    assert [(one.level, one.reason) for one in found(alert)] == [
        (Level.WARNING, "shows one series of several, whichever comes first"),
    ]
    assert found(replace(alert, annotations={**ACTIONABLE, "summary": text % "topk(1, up)"})) == []
