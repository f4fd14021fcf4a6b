"""Rule files as text: what is written reads back the same, and is one document."""

import pytest
import yaml

from ops.slo import rulefile
from ops.slo.rulefile import Group, Rule, RuleFile

LONG = "a long text that several rules share, " * 5
AWKWARD = (
    "plain",
    'it\'s "both" quotes',
    "back\\slash",
    "colon: and # hash",
    "- dash",
    "{{ $labels.slo }}",
    "two\nlines",
    "{{ a `\nb: c\n` }}",
    "ünïcode",
    "'single'",
    "&anchor *alias",
    "yes",
    "1.0",
)


def read(rules, header="made by a test"):
    text = rulefile.text(RuleFile("x.rules.yaml", (Group("g", 15, tuple(rules)),)), header)
    return text, yaml.safe_load(text)["groups"][0]


@pytest.mark.parametrize("value", AWKWARD)
def test_any_text_reads_back_as_it_was(value):
    _, group = read([Rule(value, alert="A", labels={"one": value.split("\n")[0]}, annotations={"summary": value})])
    rule = group["rules"][0]
    assert rule["expr"] == value
    assert rule["labels"]["one"] == value.split("\n")[0]
    assert rule["annotations"]["summary"] == value


def test_every_setting_of_a_rule_is_written():
    _, group = read([Rule("up", alert="A", for_s=90, keep_firing_for_s=3600), Rule("vector(1)", record="a:b:c")])
    assert group["interval"] == "15s"
    assert group["rules"] == [
        {"alert": "A", "expr": "up", "for": "1m30s", "keep_firing_for": "1h"},
        {"record": "a:b:c", "expr": "vector(1)"},
    ]


def test_a_long_annotation_that_rules_share_is_written_once_and_read_by_all():
    text, group = read([Rule("up", alert=name, annotations={"first_action": LONG, "summary": name}) for name in "ABC"])
    assert text.count(LONG) == 1
    assert [rule["annotations"]["first_action"] for rule in group["rules"]] == [LONG] * 3


def test_two_long_texts_of_one_name_are_not_mixed_up():
    texts = [LONG + "1", LONG + "2", LONG + "1", LONG + "2"]
    _, group = read([Rule("up", alert=f"A{n}", annotations={"summary": text}) for n, text in enumerate(texts)])
    assert [rule["annotations"]["summary"] for rule in group["rules"]] == texts


def test_the_rules_of_a_text_are_counted():
    text, _ = read([Rule("up", record=f"a:b:c{n}") for n in range(7)])
    assert text.startswith("# made by a test\n")
    assert rulefile.rules_in(text) == 7


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("groups: []\n---\ngroups: []\n", "2 YAML documents"),
        ("", "0 YAML documents"),
        ("rules: []\n", "no groups"),
        ("groups: [{name: a}]\n", "no groups"),
        ("- 1\n", "no groups"),
    ],
)
def test_what_prometheus_would_read_only_in_part_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        rulefile.rules_in(text)


@pytest.mark.parametrize(("seconds", "text"), [(15, "15s"), (3599, "59m59s"), (3600, "1h"), (90000, "1d1h")])
def test_durations_are_exact(seconds, text):
    assert rulefile.duration(seconds) == text
