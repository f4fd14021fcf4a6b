"""`opsctl budget`: a table, JSON and pictures of the month, from a Prometheus that tells little, all, or nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops import conventions as names
from ops import wiring
from ops.adapters.fakes_queries import FakeQueries
from ops.cli import slo_plot
from ops.cli.main import program
from ops.config import declared_dir
from ops.errors import OpsError, UsageError
from ops.ports import Series
from ops.session import Zone
from ops.slo import parse
from ops.slo.backtest import Backtest
from ops.slo.model import Severity
from ops.slo.simulate import Firing

SPEC = parse.load(declared_dir("slo") / "xdemo.yaml")
FIRST = SPEC.slos[0].name
NOW_S = 1_795_030_200.0
"""Wednesday, 18 November 2026, 15:30 in New York."""
PNG = b"\x89PNG"


class Now:
    def wall_s(self) -> float:
        return NOW_S


def series(value: float, **labels: str) -> Series:
    return Series({"exchange": "XDEMO", **labels}, ((NOW_S - 60, value),))


def month(coverage: float = 1.0, spent: float = 1240.0) -> FakeQueries:
    """The first SLO overspent zone 2 by half; all others are clean."""
    allowed = float(1 - SPEC.slos[0].policy.terms[Zone.REGULAR].objective) * (20 * 390 - 180)
    bad = [
        series(1.5 * allowed if (slo.name, zone) == (FIRST, 2) else 0.0, slo=slo.name, zone=str(zone), month="202611")
        for slo in SPEC.slos
        for zone in range(1, 5)
    ]
    venue = [
        series(spent / 100 if zone == 2 else 0.0, slo="venue", policy="default", zone=str(zone), month="202611") for zone in range(1, 5)
    ]
    loss = Series({"slo": "venue", "month": "202611"}, tuple((NOW_S - 3600.0 * (300 - hour), spent * hour / 300) for hour in range(300)))
    slices = {1: 0.0, 2: 5040.0, 3: 14000.0, 4: 5100.0}
    return FakeQueries(
        {
            names.SERIES_BAD_MONTH: (*bad, *venue),
            "count_over_time(slo:bad:slice": tuple(Series({"zone": str(z)}, ((NOW_S, n),)) for z, n in slices.items() if n),
            names.SERIES_LOSS_MONTH: (Series(loss.labels, (*loss.points, (NOW_S - 60, spent))),),
            names.SERIES_COVERAGE: (series(coverage),),
            names.SERIES_BUDGET_REMAINING: (series(10000 - spent),),
            names.SERIES_CHANGE_FREEZE: (series(float(spent >= 10000)),),
            names.SERIES_ZONE_NUMBER: (series(2.0),),
        },
        lookback_s=7200,
    )


class Console:
    """Runs `opsctl budget …` against `queries`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries = month()
        monkeypatch.setattr(wiring, "queries", lambda _url: self.queries)
        monkeypatch.setattr(wiring, "venue_prometheus", lambda _state: ("XDEMO", "http://127.0.0.1:9"))
        monkeypatch.setattr("ops.adapters.clock.SystemClock", Now)

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(program("budget"), ["budget", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def fails(self, *words: str) -> OpsError:
        with pytest.raises(OpsError) as caught:
            CliRunner().invoke(program("budget"), ["budget", *words], catch_exceptions=False)
        return caught.value


@pytest.fixture
def opsctl(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.delenv("OPSCTL_PROMETHEUS", raising=False)
    yield Console(monkeypatch)


def test_the_table_says_what_counts_first(opsctl: Console) -> None:
    lines = opsctl().splitlines()
    assert "XDEMO" in lines[0] and "2026-11" in lines[0] and "now zone 2 (regular)" in lines[0]
    assert "$1,240 of $10,000 lost, 87 % left" in lines[1] and "by month's end" in lines[1]
    assert "all by the dollars" in lines[2] and "no change freeze" in lines[2]
    row = next(line for line in lines if line.startswith(FIRST))
    assert "-50 %" in row and row.rstrip().endswith("only fixes, rollback, flag-off")
    assert any(line.startswith("available, whole venue") and "99.753 %" in line for line in lines)


def test_one_slo_is_shown_zone_by_zone(opsctl: Console) -> None:
    said = opsctl("--slo", FIRST)
    assert "2 regular" in said and "3 extended" in said and "114  " in said
    assert SPEC.slos[1].name not in said


def test_json_has_all_figures_as_numbers(opsctl: Console) -> None:
    found = json.loads(opsctl("--json"))
    assert found == json.loads(opsctl("--output", "json"))
    assert found["dollars"]["spent_usd"] == 1240 and found["dollars"]["change_freeze"] is False and found["zone"] == 2
    assert {line["slo"] for line in found["slos"]} == {slo.name for slo in SPEC.slos}
    line = next(line for line in found["slos"] if (line["slo"], line["zone"]) == (FIRST, 2))
    assert (line["bad_minutes"], line["budget_minutes"], line["left_share"]) == (114.3, 76.2, -0.5)
    assert line["releases"] == "only fixes, rollback, flag-off"
    assert {line["slo"] for line in json.loads(opsctl("--json", "--slo", FIRST))["slos"]} == {FIRST}


def test_a_change_freeze_is_loud(opsctl: Console) -> None:
    opsctl.queries = month(spent=12_000)
    said = opsctl()
    assert "CHANGE FREEZE" in said and "only fixes, rollback, flag-off by the dollars" in said and "-20 % left" in said


def test_missing_history_is_a_warning(opsctl: Console) -> None:
    opsctl.queries = month(coverage=0.42)
    assert "history is missing, figures are too low: 42.0% of the month's minutes are recorded" in opsctl()


def test_a_prometheus_without_series_says_unknown_and_never_zero(opsctl: Console) -> None:
    opsctl.queries = FakeQueries()
    said = opsctl()
    assert "none of the series" in said and "unknown of $10,000 lost" in said and "change freeze unknown" in said
    assert "$0" not in said and "0.00" not in said and "100 %" not in said
    found = json.loads(opsctl("--json"))
    for line in (*found["venue"], *found["slos"]):
        assert (line["bad_minutes"], line["left_share"], line["availability"], line["releases"]) == (None,) * 4
    assert (found["dollars"]["spent_usd"], found["dollars"]["change_freeze"], found["coverage"]) == (None,) * 3


def test_a_misspelt_slo_is_told_with_the_nearest_name(opsctl: Console) -> None:
    error = opsctl.fails("--slo", FIRST[:-1])
    assert isinstance(error, UsageError) and FIRST in error.hint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--view", "operators"), "is a picture"),
        (("--plot", "a.txt"), "must end in"),
        (("--plot", "a.png", "--slo", FIRST), "shows all SLOs"),
        (("--exchange", "XNOWHERE"), "no SLOs are declared"),
    ],
)
def test_what_makes_no_sense_is_refused(opsctl: Console, words: tuple[str, ...], said: str) -> None:
    assert said in opsctl.fails(*words).message


@pytest.mark.parametrize("view", ["managers", "operators"])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize("told", ["all", "nothing"])
def test_a_picture_is_drawn(opsctl: Console, tmp_path: Path, view: str, suffix: str, told: str) -> None:
    if told == "nothing":
        opsctl.queries = FakeQueries()
    path = tmp_path / f"budget{suffix}"
    opsctl("--view", view, "--hours", "1.5", "--plot", str(path))
    head = path.read_bytes()[:100]
    assert head.startswith(PNG) if suffix == ".png" else b"<?xml" in head
    assert path.stat().st_size > 10_000


def test_a_picture_that_cannot_be_written_is_told(opsctl: Console, tmp_path: Path) -> None:
    assert "cannot be written" in opsctl.fails("--plot", str(tmp_path / "no" / "such.png")).message


def firing(alert: str, severity: Severity, **changes: Any) -> Firing:
    start_s = int(NOW_S) - 7200
    return replace(Firing(alert, FIRST, "", Zone.REGULAR, severity, start_s, start_s + 600, 20.0, 1000.0), **changes)


def backtest(*firings: Firing) -> Backtest:
    start_s, end_s = int(NOW_S) - 86400, int(NOW_S)
    zones = ((start_s, end_s - 40_000, Zone.EXTENDED), (end_s - 40_000, end_s, Zone.REGULAR))
    slos = tuple(slo.name for slo in SPEC.slos)
    gaps = ((start_s + 3600, start_s + 7200),)
    return Backtest("XDEMO", SPEC.calendar.timezone, start_s, end_s, 15, slos, firings, zones, gaps, dict.fromkeys(slos, 0.95), 1000.0)


def test_a_backtest_is_drawn_with_each_group_and_the_venue(tmp_path: Path) -> None:
    found = backtest(
        firing("SloSpike", Severity.PAGE),
        firing("SloSlowBurn", Severity.TICKET, group="gateway=a"),
        firing("PnlBudgetFastBurn", Severity.PAGE, slo="venue", zone=None),
    )
    path = tmp_path / "b.svg"
    slo_plot.draw_backtest(found, path)
    assert path.stat().st_size > 10_000
    rows = slo_plot._backtest_rows(found)
    assert rows[:2] == [(FIRST, ""), (FIRST, "gateway=a")] and rows[-1] == ("venue", "")


def test_a_backtest_without_firings_is_drawn_too(tmp_path: Path) -> None:
    slo_plot.draw_backtest(backtest(), tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(PNG)
    with pytest.raises(UsageError, match="must end in"):
        slo_plot.draw_backtest(backtest(), tmp_path / "b.doc")


# --- the process


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops.cli.main", "budget", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_prometheus_that_does_not_answer_is_exit_code_6() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = run("--prometheus", f"http://127.0.0.1:{port}", "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"]["exit_code"] == 6
    assert "cannot be reached" in done.stderr and "--prometheus" in done.stderr


def test_no_venue_is_exit_code_6_too(tmp_path: Path) -> None:
    done = run("--state", str(tmp_path))
    assert done.returncode == 6 and "opsctl up" in done.stderr


def test_what_is_no_address_is_a_usage_error() -> None:
    done = run("--prometheus", "file:///etc/passwd")
    assert done.returncode == 2 and "not the address" in done.stderr
