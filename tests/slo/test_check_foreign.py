"""Rule files of others: each fault of thought that Prometheus loads without a word is found here, and its mended version is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops.errors import UsageError
from ops.slo import check_foreign

WORDS = "annotations: {summary: s, first_action: f, runbook: r}"
GUARD = f"""
      - alert: Missing
        expr: absent(acks_total)
        {WORDS}"""


def reasons(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "rules.yml"
    path.write_text(text, encoding="utf-8")
    return [f"{finding.place}: {finding.reason}" for finding in check_foreign.check(path)]


def rules(*entries: str, guard: str = GUARD) -> str:
    return "groups:\n  - name: g\n    interval: 30s\n    rules:" + "".join(f"\n      - {entry}" for entry in entries) + guard + "\n"


def alert(expr: str, more: str = WORDS, labels: str = "{}") -> str:
    return f"alert: Fault\n        expr: {expr}\n        labels: {labels}\n        {more}"


def told(description: str) -> str:
    return f"annotations: {{summary: s, first_action: f, runbook: r, description: '{description}'}}"


RATIO = "1 - sum(rate(acks_total[1h])) / sum(rate(orders_total[1h]))"
BURN = f"record: desk:burn:1h\n        expr: ({RATIO}) / on () desk:error_budget:ratio"
SHORT = "record: desk:burn:5m\n        expr: sum(rate(acks_total[5m]))"
BUDGET = "record: desk:error_budget:ratio\n        expr: vector(0.001)"
AGE = "record: desk:feed_age:ms\n        expr: max by (feed) ((time() - feed_last_tick_timestamp_seconds) * 1000)"

FAULTS = {
    "1 template functions that do not exist": (
        rules(alert("up == 0", told("about {{ mul $value 35 }} an hour"))),
        "'mul' is no function of a template",
        rules(alert("up == 0", told("about {{ $value | humanize }} an hour"))),
    ),
    "2 a series called like a function": (
        rules(alert("up == 0", labels="{severity: '{{ if eq (session_zone) \"1\" }}page{{ else }}ticket{{ end }}'}")),
        "'session_zone' is no function of a template",
        rules(alert("up == 0", labels="{severity: ticket}")),
    ),
    "3 a label that changes while the alert stands": (
        rules(alert("up == 0", labels="{severity: '{{ with query \"up\" }}{{ . | first | value }}{{ end }}'}")),
        "is computed: each change of it makes a new alert",
        rules(alert("up == 0", labels="{severity: ticket}")),
    ),
    "4 a window that nobody records": (
        rules(BUDGET, BURN, alert("desk:burn:1h > 14 and desk:burn:5m > 14")),
        "reads desk:burn:5m, which no rule records",
        rules(BUDGET, BURN, SHORT, alert("desk:burn:1h > 14 and desk:burn:5m > 14")),
    ),
    "5 one series of several": (
        rules(AGE, alert("up == 0", told('{{ with query "desk:feed_age:ms" }}{{ . | first | value }}{{ end }}'))),
        "shows one series of several",
        rules(AGE, alert("up == 0", told('{{ with query "max(desk:feed_age:ms)" }}{{ . | first | value }}{{ end }}'))),
    ),
    "6 hours where seconds are meant": (
        rules(
            BUDGET,
            BURN,
            alert("up == 0", told('{{ with query "720 / max(desk:burn:1h)" }}{{ . | first | value | humanizeDuration }}{{ end }}')),
        ),
        "gives hours to humanizeDuration",
        rules(
            BUDGET,
            BURN,
            alert("up == 0", told('{{ with query "max(720 * 3600 / desk:burn:1h)" }}{{ . | first | value | humanizeDuration }}{{ end }}')),
        ),
    ),
    "7 an age below what scrapes can tell": (
        rules(AGE, alert("desk:feed_age:ms > 100")),
        "a timestamp scraped every 15s cannot tell an age of 0.1s",
        rules(AGE, alert("desk:feed_age:ms > 60000")),
    ),
    "8 a counter held against a number": (
        rules(alert("zombie_orders_total > 0")),
        "zombie_orders_total is a counter: once over 0 it stays there",
        rules(alert("increase(zombie_orders_total[5m]) > 0")),
    ),
    "9 one long window": (
        rules(alert(f"{RATIO} > 0.005")),
        "looks at one window of 1h: it goes on long after recovery",
        rules(alert(f"{RATIO} > 0.005 and {RATIO.replace('1h', '5m')} > 0.005")),
    ),
    "10 inhibition without labels in common": (
        "inhibit_rules:\n  - source_matchers: ['alertname=\"Off\"']\n    target_matchers: ['severity=\"ticket\"']\n    equal: []\n",
        "equal is empty: an alert of one venue silences those of every other",
        "inhibit_rules:\n  - source_matchers: ['alertname=\"Off\"']\n    target_matchers: ['severity=\"ticket\"']\n    equal: [exchange]\n",
    ),
    "11 a zone that is only written on": (
        rules(alert("up == 0", labels="{severity: page, zone: active}")),
        "says zone 'active' at every hour, but its expression asks no zone",
        rules(alert("up == 0 and on () exchange_zone:active:bool{zone=~'1|2'} == 1", labels="{severity: page, zone: active}")).replace(
            "    rules:", "    rules:\n      - {record: exchange_zone:active:bool, expr: vector(1)}", 1
        ),
    ),
    "12 one objective for every hour": (
        rules(f"record: desk:burn:1h\n        expr: ({RATIO}) / 0.001"),
        "divides by 0.001: one objective for every hour",
        rules(BUDGET, BURN),
    ),
    "14 dollars at a fixed rate": (
        rules(alert("up == 0", told("about ${{ $value | printf `%.35f` }} an hour"))),
        "tells dollars at one fixed rate",
        rules(alert("up == 0", told("about {{ $value | humanize }} usd an hour"))),
    ),
    "15 nothing is said when the series are gone": (
        rules(alert("rate(orders_total[5m]) < 1"), guard=""),
        "no rule says anything when its series are missing",
        rules(alert("rate(orders_total[5m]) < 1")),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_thought_is_found_and_its_mended_version_is_not(name: str, tmp_path: Path) -> None:
    wrong, reason, right = FAULTS[name]
    assert [one for one in reasons(tmp_path, wrong) if reason in one], reasons(tmp_path, wrong)
    assert not [one for one in reasons(tmp_path, right) if reason in one]


def test_a_finding_names_the_line_of_its_rule(tmp_path: Path) -> None:
    found = reasons(tmp_path, rules(BUDGET, alert("zombie_orders_total > 0")))
    assert found == ["rules.yml:7: Fault: expr: zombie_orders_total is a counter: once over 0 it stays there, and the alert fires for ever"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("a: 1", "has neither groups nor inhibit_rules"),
        ("[1]", "1: expected a mapping"),
        ("groups: 1", "1: expected a list"),
        ("groups:\n  - rules:\n      - expr: [1]", "3: expected one value"),
        ("groups:\n  - rules: [1]", "2: expected a mapping"),
        ("groups: []\n---\ngroups: []", "not YAML (one document)"),
        ("", "1: expected a mapping"),
    ],
)
def test_what_is_no_rule_file_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    """A second document too: Prometheus drops it in silence."""
    with pytest.raises(UsageError) as refused:
        reasons(tmp_path, text)
    assert message in refused.value.message


ATOMS = st.one_of(
    st.text(max_size=8),
    st.integers(-5, 10**6),
    st.sampled_from(["a_total > 0", "sum(", "{{ query `x:y` | first }}", "9" * 5000 + "s", "5m", "page", "x:y:z"]),
)
WORDS = "groups rules name interval record alert expr for labels annotations severity zone inhibit_rules equal"
KEYS = st.sampled_from(WORDS.split())
TREES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


@given(TREES, st.lists(st.dictionaries(KEYS, ATOMS | st.dictionaries(KEYS, ATOMS, max_size=3), max_size=5), max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_yaml_has_findings_or_is_refused(tmp_path: Path, tree: object, entries: list[dict[str, object]]) -> None:
    for text in (yaml.safe_dump({"groups": [{"name": "g", "rules": entries}]}), yaml.safe_dump(tree)):
        try:
            found = reasons(tmp_path, text)
        except UsageError as refused:
            found = [refused.message]
        assert all(found)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        check_foreign.check(tmp_path / "none.yml")
