"""`opsctl slo`: what a person sees, what a pipeline reads, and the exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ops.cli.slo import app
from ops.errors import OpsError, Unavailable, UsageError

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a venue's own, with a calendar and nothing else."""
    (tmp_path / "runbooks").mkdir()
    shutil.copytree(HERE / "expected_failures" / "calendars", tmp_path / "slo" / "calendars")
    monkeypatch.setenv("OPSCTL_DECLARED", str(tmp_path))
    return tmp_path


@pytest.fixture
def started(declared: Path) -> Path:
    assert run("init", "--calendar", "calendars/plain.yaml").exit_code == 0
    return declared


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(*words: object) -> OpsError:
    found = run(*words).exception
    assert isinstance(found, OpsError), found
    return found


def broken(declared: Path) -> Path:
    path = declared / "slo" / "xdemo.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("objective: 99.99%", "objective: 0.9999"), encoding="utf-8")
    return path


def test_init_writes_a_spec_that_passes_check_and_check_says_what_it_costs(started: Path) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert "3 SLOs: 0 errors, 3 warnings" in result.stdout
    assert "Prometheus must keep 34 days (--storage.tsdb.retention.time=34d)" in result.stdout


def test_init_replaces_nothing_unless_told(started: Path) -> None:
    assert refused("init").hint == "name another with --to, or replace it with --force"
    assert run("init", "--force", "--exchange", "XDEMO").exit_code == 0


def test_init_can_only_show(declared: Path) -> None:
    shown = run("init", "--dry-run", "--exchange", "XNYS")
    assert "exchange: XNYS " in shown.stdout
    assert not list((declared / "slo").glob("*.yaml"))
    assert json.loads(run("init", "--dry-run", "--output", "json").stdout)["written"] is False


def test_init_says_how_to_get_a_calendar_that_is_not_there(declared: Path) -> None:
    assert re.search(r"next: opsctl calendar import XLON --years \d{4}-\d{4}", run("init", "--calendar", "calendars/xlon.yaml").stderr)


@pytest.mark.parametrize("words", [("--exchange", "X Y"), ("--calendar", "a: b"), ("--calendar", "a\nb"), ("--to", "/none/x.yaml")])
def test_init_refuses_what_would_not_be_a_spec(declared: Path, words: tuple[str, str]) -> None:
    assert isinstance(refused("init", *words), UsageError)


def test_check_names_file_line_field_and_what_to_write_instead(started: Path) -> None:
    path = broken(started)
    line = path.read_text(encoding="utf-8").splitlines().index("  1: {objective: 0.9999, cost_usd_per_minute: 500, severity: page}") + 1
    result = run("check")
    assert result.exit_code == 2
    assert f"error: {path}:{line}: zones.1.objective: '0.9999' is not a percentage\n    instead: write 99.99%\n" in result.stdout


def test_check_as_json_is_for_a_pipeline(started: Path) -> None:
    good = json.loads(run("check", "--output", "json").stdout)
    assert (good["ok"], good["slos"], good["costs"][0]["retention_days"]) == (True, 3, 34)
    broken(started)
    bad = run("check", "--output", "json")
    found = json.loads(bad.stdout)
    assert (bad.exit_code, found["ok"], found["findings"][0]["level"], found["findings"][0]["instead"]) == (
        2,
        False,
        "error",
        "write 99.99%",
    )


def test_check_of_a_strangers_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("groups: [{name: g, rules: [{alert: A, expr: zombie_total > 0}]}]\n", encoding="utf-8")
    result = run("check", "--rules", path)
    assert result.exit_code == 2
    assert "rules.yml:1: A: expr: zombie_total is a counter" in result.stdout
    assert "1 rule file: " in result.stdout


def test_check_without_specs_says_how_to_begin(declared: Path) -> None:
    assert refused("check").hint == "write a first spec: opsctl slo init"


def test_check_live_of_a_prometheus_that_is_not_there_is_an_outage(started: Path) -> None:
    assert isinstance(refused("check", "--live", "--prometheus", "http://127.0.0.1:1"), Unavailable)


def test_generate_writes_once_and_check_sees_that_nothing_is_left_to_write(started: Path) -> None:
    planned = run("generate", "--dry-run")
    assert "would write" in planned.stdout
    assert not (started / "slo" / "generated").exists()
    assert run("generate", "--check").exit_code == 2
    assert "wrote" in run("generate").stdout
    assert (started / "slo" / "generated" / "clock.rules.yaml").is_file()
    again = run("generate", "--check", "--output", "json")
    assert (again.exit_code, json.loads(again.stdout)["written"]) == (0, [])


def test_nothing_is_generated_from_a_spec_with_an_error(started: Path) -> None:
    broken(started)
    result = run("generate")
    assert isinstance(result.exception, UsageError)
    assert "instead: write 99.99%" in result.stderr
    assert "nothing was written" in result.exception.message
    assert not (started / "slo" / "generated").exists()


def test_nothing_is_generated_from_a_factor_that_never_fires(started: Path) -> None:
    path = started / "slo" / "xdemo.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("factor: 14", "factor: 50"), encoding="utf-8")
    result = run("generate")
    assert isinstance(result.exception, UsageError)
    assert "a total outage of 1h reaches 50: it can never fire" in result.stderr


def test_what_is_refused_is_one_json_document(started: Path) -> None:
    path = broken(started)
    result = run("generate", "--output", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["error"]["exit_code"], len(found["findings"])) == (2, False, 2, 1)
    assert str(path) in result.stderr


def test_a_file_that_is_no_text_is_told_by_its_name(started: Path) -> None:
    path = started / "slo" / "xdemo.yaml"
    path.write_bytes(b"\xff\xfe")
    assert run("check").stdout.startswith(f"error: {path}: cannot be read: it is not UTF-8 text\n")


def test_a_test_says_what_it_proves_and_how_much(started: Path, tmp_path: Path) -> None:
    assert run("generate").exit_code == 0
    promtool = tmp_path / "promtool"
    promtool.write_text("#!/bin/sh\nexit 0\n")
    promtool.chmod(0o755)
    good = run("test", "--promtool", promtool)
    assert (good.exit_code, good.stderr.count("xdemo-01")) == (0, 3)
    assert re.fullmatch(r"\d+ rules in \d files; \d+ tests with [\d,]+ claims: all pass\n", good.stdout)
    promtool.write_text("#!/bin/sh\n[ $1 = check ]\n")
    bad = run("test", "--promtool", promtool, "--output", "json")
    assert (bad.exit_code, json.loads(bad.stdout)["ok"], len(json.loads(bad.stdout)["failures"])) == (2, False, 3)


def test_a_test_without_promtool_says_what_to_install(started: Path) -> None:
    run("generate")
    found = refused("test", "--promtool", "/none/promtool")
    assert isinstance(found, Unavailable)
    assert "promtool" in found.hint


def test_explain_is_for_people_and_for_pipelines(started: Path) -> None:
    text = run("explain", "order-ack-latency", "--month", "2026-11").stdout
    assert "what is bad: the share of observations of exchange_order_ack_seconds" in text
    assert "zone 2 (trading): fast pages" in text
    data = json.loads(run("explain", "order-ack-latency", "--month", "2026-11", "--output", "json").stdout)
    assert (data["zones"][0]["minutes"], data["zones"][0]["bad_minutes"], len(data["alerts"])) == (8190, 81.9, 10)
    assert "bad min at $500.00" in run("explain", "order-ack-latency").stdout, "this month, when none is named"


def test_explain_says_when_holidays_are_not_known(started: Path) -> None:
    name = "gateway-errors"
    assert "are not in the calendar" in run("explain", name, "--month", "2099-01").stderr
    assert run("explain", name, "--month", "2026-11").stderr == ""


def test_a_venue_that_is_not_declared_is_told_with_those_that_are(started: Path) -> None:
    assert refused("explain", "gateway-errors", "--exchange", "XX").hint == "there are XDEMO"


def test_a_picture_of_no_kind_is_refused_before_anything_is_asked(started: Path) -> None:
    error = refused("backtest", "--from", "2026-11-02", "--to", "2026-11-03", "--plot", "x.txt", "--prometheus", "http://127.0.0.1:1")
    assert "must end in one of .png, .svg, .pdf" in error.message


def test_explain_knows_what_was_nearly_meant(started: Path) -> None:
    assert refused("explain", "order-ack").hint == "did you mean order-ack-latency?"
    assert refused("explain", "order-ack-latency", "--month", "2026-13").hint == "write it like 2026-11"


@pytest.mark.parametrize("when", ["yesterday", "2026-02-30", "9" * 30])
def test_backtest_refuses_what_is_no_time(started: Path, when: str) -> None:
    assert "is not a time" in refused("backtest", "--from", when, "--to", "2026-11-03").message


def test_an_slo_is_exported_and_imported_again(started: Path, tmp_path: Path) -> None:
    file = tmp_path / "openslo.yaml"
    exported = run("export", "core-link", "--to", file)
    assert exported.exit_code == 0
    assert "there is no money in OpenSLO" in exported.stderr
    assert "name: core-link" in run("import", file).stdout


def test_the_venue_is_named_when_there_are_several(started: Path) -> None:
    assert run("init", "--exchange", "XOTHER", "--calendar", "calendars/plain.yaml").exit_code == 0
    assert refused("explain", "core-link").hint == "name one with --exchange"
    assert run("explain", "core-link", "--exchange", "XOTHER").exit_code == 0
    assert refused("backtest", "--from", "2026-11-02", "--to", "2026-11-03").hint == "name one with --exchange: XDEMO, XOTHER"


@pytest.mark.parametrize("command", [None, "init", "check", "generate", "test", "backtest", "explain", "import", "export"])
def test_every_command_shows_examples(command: str | None) -> None:
    result = run(*([command] if command else []), "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.stdout


@pytest.mark.parametrize("heavy", ["rich", "jinja2", "matplotlib", "pandas", "promql_parser", "exchange_calendars", "numpy"])
def test_a_spec_is_read_without_heavy_imports(heavy: str) -> None:
    code = f"import sys, ops.slo.parse, ops.slo.factors, ops.slo.rules; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, timeout=60, check=False).returncode == 0
