"""The generated tests pass on promtool for every kind of SLI and on calendars of three continents, and say what they could not show."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ops.slo import proofs, rulefile, rules
from ops.slo.model import Spec
from ops.slo.parse import load

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 240
HEAD = """\
version: opsctl/slo/v1
exchange: XTST
calendar: {calendar}.yaml
scrape_interval: 15s
budget: {{usd_per_month: 5000, page_share: 5%, ticket_share: 50%}}
zones:
  1: {{objective: 99.99%, cost_usd_per_minute: 500, severity: page}}
  2: {{objective: 99.95%, cost_usd_per_minute: 100, severity: page}}
  3: {{objective: 99.9%, cost_usd_per_minute: 20, severity: ticket}}
  4: {{objective: 98%, cost_usd_per_minute: 0, severity: ticket}}
slos:
"""
COMMON = "component: core, owner: sre, first_action: Look at it., runbook: runbooks/core-down.md, description: A promise."
KINDS = {
    "errors": "sli: {events: {total: requests_total, bad: errors_total, where: 'pool=~\"blue|green\"'}}, no_data: bad, minimum_events: 10",
    "answers": "sli: {events: {total: answers_total, good: answers_total, good_where: 'code=~\"2..\"'}}, no_data: bad, "
    "group_by: [gateway], offender: gateway",
    "refusals": "sli: {events: {total: orders_total, bad: orders_total, bad_where: 'code!=\"200\"'}}, no_data: good, "
    "idle: ignore, objectives: {1: 99%}",
    "rare": "sli: {events: {total: calls_total, good: calls_done_total}}, no_data: ignore, idle: ignore, slice: 5m",
    "pulse": "sli: {events: {total: beats_total, bad: missed_total}}, no_data: bad, idle: bad, objectives: {1: 99%, 2: 99%}",
    "acks": "sli: {latency: {histogram: ack_seconds, where: 'track!=\"warm\"', threshold: 500ms}}, no_data: bad, cost_share: 50%",
    "whole": "sli: {latency: {histogram: fill_seconds, threshold: 5s}}, no_data: ignore, group_by: [desk]",
    "feed": "sli: {freshness: {timestamp: tick_seconds, threshold: 60s}}, no_data: bad, group_by: [feed]",
    "desk": "sli: {probe: {metric: desk_ok}}, no_data: bad",
    "zombies": "sli: {threshold: {metric: zombie_orders, where: 'track!~\"warm|canary\"', above: 0}}, no_data: ignore",
    "servers": "sli: {threshold: {metric: active_servers, below: 1}}, no_data: bad",
    "own": "sli: {raw: {bad_ratio: 'sum(rate(own_bad_total[{{window}}])) / sum(rate(own_total[{{window}}]))'}}, no_data: ignore",
}
CALENDARS = {
    "xnys": (ROOT / "slo/calendars/xnys.yaml").read_text(encoding="utf-8"),
    "xtks": """\
version: opsctl/calendar/v1
name: XTKS
timezone: Asia/Tokyo
valid_from: 2026-01-01
valid_until: 2026-12-31
days:
  ordinary:
    weekdays: [mon, tue, wed, thu, fri]
    phases:
      - {phase: continuous, from: "09:00", to: "11:30"}
      - {phase: continuous, from: "12:30", to: "15:25"}
      - {phase: closing_auction, from: "15:25", to: "15:30"}
holidays: {2026-01-01: New Year's Day, 2026-01-02: Bank Holiday, 2026-01-12: Coming of Age Day, 2026-02-11: Foundation Day}
closures: {}
maintenance: [{days: all, from: "02:00", to: "05:00"}]
""",
    "crypto": """\
version: opsctl/calendar/v1
name: CRYPTO
timezone: UTC
valid_from: 2026-01-01
valid_until: 2026-12-31
days:
  ordinary:
    weekdays: [mon, tue, wed, thu, fri, sat, sun]
    phases: [{phase: continuous, from: "00:00", to: "24:00"}]
holidays: {}
closures: {}
maintenance: [{days: [sun], from: "06:00", to: "08:00"}]
volatility: {metric: dvol_index, above: 60, calm: 55, hold: 30m, memory: 4h}
""",
}


def spec_of(folder: Path, calendar: str, *names: str) -> Spec:
    """A spec of the SLOs of these names (none: of one of each kind)."""
    (folder / f"{calendar}.yaml").write_text(CALENDARS[calendar], encoding="utf-8")
    slos = "".join(f"  - {{name: {name}, {KINDS[name]}, {COMMON}}}\n" for name in names or KINDS)
    path = folder / "xtst.yaml"
    path.write_text(HEAD.format(calendar=calendar) + slos, encoding="utf-8")
    return load(path)


def written(folder: Path, spec: Spec) -> list[Path]:
    """Rules and tests in a folder; the test files' paths."""
    (folder / "tests").mkdir()
    for file in rules.rule_files(spec, "0"):
        (folder / file.name).write_text(rulefile.text(file, "Generated."), encoding="utf-8")
    texts = proofs.test_files(spec, "Generated.")
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def promtool(path: Path) -> str:
    """What `promtool test rules` complains of; '' when it passes."""
    program = shutil.which("promtool")
    assert program, "promtool is missing: apt-get install prometheus"
    done = subprocess.run([program, "test", "rules", str(path)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


FILES = ("xtst-01.test.yaml", "xtst-01-spike.test.yaml", "xtst-01-days.test.yaml")


@pytest.mark.parametrize("file", FILES)
def test_generated_tests_pass_for_every_kind_of_sli(tmp_path, file):
    paths = {path.name: path for path in written(tmp_path, spec_of(tmp_path, "xnys"))}
    assert tuple(paths) == FILES
    assert promtool(paths[file]) == ""


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("calendar", ["xtks", "crypto"])
def test_generated_tests_pass_on_other_calendars(tmp_path, calendar, file):
    paths = {path.name: path for path in written(tmp_path, spec_of(tmp_path, calendar, "errors", "rare", "feed"))}
    assert promtool(paths[file]) == ""


def blocks(spec: Spec) -> dict[str, dict]:
    """All blocks of all files by name, without the date."""
    return {block["name"].split(", from")[0]: block for text in proofs.test_files(spec).values() for block in yaml.safe_load(text)["tests"]}


def test_every_required_scene_is_there(tmp_path):
    assert {
        "healthy open",
        "a whole healthy day",
        "healthy close",
        "zone 1",
        "zone 2",
        "zone 3",
        "zone 4",
        "spike",
        "off-hours outage",
        "half day",
        "clock change, before (2026-03)",
        "clock change, after (2026-03)",
        "clock change, before (2026-10)",
        "clock change, after (2026-11)",
        "holiday",
        "month end",
        "missing",
        "targets die",
        "isolation 1",
        "isolation 2",
        "one second",
        "three requests at night",
        "dollars",
        "windows",
        "override",
    } <= set(blocks(spec_of(tmp_path, "xnys", "errors", "desk")))


def test_what_a_calendar_does_not_have_is_left_out_with_its_reason(tmp_path):
    spec = spec_of(tmp_path, "crypto", "errors")
    text = proofs.test_files(spec)["tests/xtst-01.test.yaml"]
    assert "# Left out: half day, because the calendar CRYPTO has no day that closes early." in text
    assert "# Left out: zone 3, because the calendar CRYPTO has no such hours." in text
    assert "# Left out: clock change, because UTC has none" in text


def test_a_raw_expression_is_said_to_be_unproved(tmp_path):
    text = proofs.test_files(spec_of(tmp_path, "xnys", "own", "errors"))["tests/xtst-01.test.yaml"]
    assert "# Nothing is claimed of own: an expression of one's own cannot be fed." in text


def test_every_slo_is_named_by_a_claim(tmp_path):
    spec = spec_of(tmp_path, "xnys", "errors", "acks", "desk", "zombies")
    told = yaml.safe_dump(blocks(spec)["zone 1"]["promql_expr_test"])
    assert [slo.name for slo in spec.slos if f'slo="{slo.name}"' not in told.replace("\\", "")] == []


def test_no_block_claims_nothing(tmp_path):
    assert [name for name, block in blocks(spec_of(tmp_path, "xnys")).items() if not block["promql_expr_test"]] == []


def test_the_same_spec_gives_the_same_text(tmp_path):
    first = proofs.test_files(spec_of(tmp_path, "xnys"))
    assert first == proofs.test_files(spec_of(tmp_path, "xnys"))


def test_each_file_of_rules_has_its_tests(tmp_path):
    (tmp_path / "xnys.yaml").write_text(CALENDARS["xnys"], encoding="utf-8")
    slo = "  - {{name: slo-{0}, sli: {{probe: {{metric: up, where: 'job=\"j{0}\"'}}}}, no_data: bad, " + COMMON + "}}\n"
    path = tmp_path / "xtst.yaml"
    path.write_text(HEAD.format(calendar="xnys") + "".join(slo.format(number) for number in range(30)), encoding="utf-8")
    paths = written(tmp_path, load(path))
    assert len(paths) == 6
    second = next(path for path in paths if path.name == "xtst-02-spike.test.yaml")
    assert "xtst-sli-02.rules.yaml" in second.read_text(encoding="utf-8")
    assert promtool(second) == ""
