"""The generated tests are worth something: each fault that is put into the generated rules makes at least one of them fail.

A mutation is a fault that somebody could make in the generator. It is put into the rules' text and the scene that should notice is run,
first with the rules as they are.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.slo.test_proofs import promtool, spec_of, written

NAMES = ("errors", "answers", "acks", "desk", "zombies")
EVERY_MINUTE, EVERY_QUARTER, EVERY_FIVE = "xtst-01.test.yaml", "xtst-01-spike.test.yaml", "xtst-01-days.test.yaml"
WINDOWS, BURN, SLI, CALENDAR = ("xtst-slo.rules.yaml", "xtst-burn-01.rules.yaml", "xtst-sli-01.rules.yaml", "xtst-calendar.rules.yaml")
ALL = "*.rules.yaml"


@dataclass(frozen=True)
class Mutation:
    """`pattern` (a regular expression) becomes `instead` wherever it stands in the files of rules that `rules` matches; `scene` of a test
    file must notice."""

    rules: str
    pattern: str
    instead: str
    scene: str
    tests: str = EVERY_MINUTE


MUTATIONS = {
    "zone gate dropped": Mutation(WINDOWS, r"\n +and on \(exchange, hours\) \(topk .* \^ 0\)$", "", "off-hours outage"),
    "hours forgotten by slices": Mutation(
        CALENDAR, r'"hours", "(extended|maintenance)", "zone"', '"hours", "regular", "zone"', "off-hours outage"
    ),
    "wall-clock denominator": Mutation(
        WINDOWS, r"\) / 60$", ') / scalar(sum(count_over_time(slo:bad:slice{slo="venue"}[59m59s])))', "zone 1"
    ),
    "hour's window too short": Mutation(WINDOWS, r"\[59m59s\]", "[29m59s]", "off-hours outage"),
    "long window too short": Mutation(WINDOWS, r"\[5h59m59s\]", "[2h59m59s]", "windows", EVERY_FIVE),
    "window of sixty-one slices": Mutation(WINDOWS, r"\[59m59s\]", "[1h]", "windows", EVERY_FIVE),
    "objective of another zone": Mutation(WINDOWS, r"vector\(10000\)", "vector(2000)", "zone 1"),
    "factor changed": Mutation(BURN, r">= 14\b", ">= 140", "zone 3"),
    "long window alone": Mutation(BURN, r" and slo:burn_rate:5m\{[^}]*\} >= \S+\)", ")", "zone 1"),
    "short window alone": Mutation(BURN, r"\(slo:burn_rate:1h\{[^}]*\} >= \S+ and ", "(", "one second"),
    "page turned ticket": Mutation(BURN, r'severity: "page"', 'severity: "ticket"', "zone 1"),
    "ticket turned page": Mutation(WINDOWS, r'"severity", "ticket"', '"severity", "page"', "zone 3"),
    "tickets not kept": Mutation(BURN, r"keep_firing_for: 13h", "keep_firing_for: 1m", "zone 3"),
    "bound itself is bad": Mutation(SLI, r"<= bool 0\b", "< bool 0", "zone 2"),
    "spike at any failure": Mutation(ALL, r"\b0\.03\b", "0.001", "one second", EVERY_QUARTER),
    "spike only at a total outage": Mutation(WINDOWS, r"vector\(0\.03\)", "vector(1)", "spike", EVERY_QUARTER),
    "missing data forgotten": Mutation(SLI, r"\n +or (?:on \(\) )?vector\(1\)", "", "missing"),
    "dead target seen a minute late": Mutation(SLI, r"\) \+ 0 \* sum\(requests_total\{[^}]*\}\)", ")", "targets die", EVERY_QUARTER),
    "missing error counter is all bad": Mutation(SLI, r"(errors_total.*?) or vector\(0\)\)", r"\1)", "healthy open"),
    "no minimum of events": Mutation(SLI, r">= 10\b", "> 0", "three requests at night"),
    "groups judged together": Mutation(SLI, r"(?:sum|group) by \(gateway\)", "sum", "isolation 2"),
    "losses of SLOs added up": Mutation(
        WINDOWS, r"max by \(exchange, zone, hours, day, month\)", "sum by (exchange, zone, hours, day, month)", "dollars"
    ),
    "freeze below zero": Mutation(WINDOWS, r"<= bool 0", "< bool -1000", "dollars"),
    "dollars of another zone": Mutation(WINDOWS, r"vector\(500\)", "vector(100)", "dollars"),
    "days that are over forgotten": Mutation(
        WINDOWS, r" or max_over_time\(slo:bad_minutes:day\{[^}]*\}\[33d:3h\]\)", "", "month end", EVERY_FIVE
    ),
    "month in UTC": Mutation(CALENDAR, r"(- 18000)([^>]*?)", r"\2", "month end", EVERY_FIVE),
    "no daylight saving": Mutation(CALENDAR, r"\) \+ 3600", ") + 0", "clock change, after (2026-03)"),
    "slice charged to the zone at its end": Mutation(CALENDAR, r" offset 1m", "", "healthy open"),
    "holiday forgotten": Mutation(CALENDAR, r"20260119\|", "", "holiday"),
    "half day forgotten": Mutation(CALENDAR, r"20261127\|?", "", "half day"),
    "volatility bound changed": Mutation(CALENDAR, r"> bool 20\b", "> bool 30", "zone 1"),
    "override ignored": Mutation(CALENDAR, r"exchange_zone_override\{", "exchange_zone_override_not{", "override"),
    "maintenance an hour short": Mutation(CALENDAR, r" < 240\b", " < 60", "zone 4"),
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    written(folder, spec_of(folder, "xnys", *NAMES))
    return folder


def laid_out(generated: Path, folder: Path, mutation: Mutation, *, mutated: bool) -> Path:
    """The rules, with or without the fault, and the one scene; the test file's path."""
    changes = 0
    for path in generated.glob(ALL):
        text = path.read_text(encoding="utf-8")
        if mutated and path.match(mutation.rules):
            text, count = re.subn(mutation.pattern, mutation.instead, text, flags=re.MULTILINE)
            changes += count
        (folder / path.name).write_text(text, encoding="utf-8")
    assert changes or not mutated, f"nothing in {mutation.rules} is like {mutation.pattern}"
    tests = yaml.safe_load((generated / "tests" / mutation.tests).read_text(encoding="utf-8"))
    tests["tests"] = [block for block in tests["tests"] if block["name"].split(", from")[0] == mutation.scene]
    assert tests["tests"], mutation.scene
    (folder / "tests").mkdir()
    path = folder / "tests" / mutation.tests
    path.write_text(yaml.safe_dump(tests), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_in_the_rules_is_noticed(generated, tmp_path, name):
    said = promtool(laid_out(generated, tmp_path, MUTATIONS[name], mutated=True))
    assert "FAILED" in said
    assert "exp:" in said, "the rules were not even read"


@pytest.mark.parametrize("scene", sorted({(mutation.tests, mutation.scene) for mutation in MUTATIONS.values()}))
def test_the_same_scene_passes_without_the_fault(generated, tmp_path, scene):
    tests, name = scene
    assert promtool(laid_out(generated, tmp_path, Mutation("", "", "", name, tests), mutated=False)) == ""
