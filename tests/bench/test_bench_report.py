"""The report of `make bench`, without a measurement: every figure has its row, and nothing unmeasured looks as if it held."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.figures import FIGURES, PARTS, Figure
from tests.bench.part_cli import imported
from tests.bench.report import PartResults, Results, Row, finish, summary, word

ROOT = Path(__file__).resolve().parents[2]
AT_MOST = Figure("deploy", "zero", "third FAIL to weight 0", "s", 1.0, peer="Other 0.28")
AT_LEAST = Figure("core", "replay", "replay", "records/s", 10.0, at_least=True)
LATER = Figure("core", "later", "replay", "records/s", 10.0, at_least=True, later=True)
PRINTED = Figure("venue", "down", "down", "s")


@pytest.mark.parametrize(
    ("figure", "value", "holds", "shown"),
    [
        (AT_MOST, 0.9, True, "yes"),
        (AT_MOST, 1.0, True, "yes"),
        (AT_MOST, 1.1, False, "NO"),
        (AT_LEAST, 10.0, True, "yes"),
        (AT_LEAST, 9.9, False, "NO"),
        (LATER, 9.9, False, "not yet"),
        (PRINTED, 5.0, None, ""),
        (AT_MOST, None, False, "ERROR"),
        (PRINTED, None, False, "ERROR"),
    ],
)
def test_a_row_holds_when_its_value_is_on_the_right_side_of_its_bar(
    figure: Figure, value: float | None, holds: bool | None, shown: str
) -> None:
    row = Row(figure, value)
    assert (row.holds, word(row)) == (holds, shown)


def test_the_file_is_a_list_of_rows_with_the_promised_fields(tmp_path: Path) -> None:
    results = Results([AT_MOST, PRINTED])
    results.part("deploy").put("zero", 0.011, "median of 4")
    results.part("venue").put("down", 1.5)
    assert finish(results.rows, tmp_path / "new" / "bench.json") == 0
    rows = json.loads((tmp_path / "new" / "bench.json").read_text())
    first = [rows[0][name] for name in ("name", "value", "unit", "bar", "peer", "holds", "note")]
    assert first == ["third FAIL to weight 0", 0.011, "s", 1.0, "Other 0.28", True, "median of 4"]
    assert (rows[1]["value"], rows[1]["bar"], rows[1]["peer"], rows[1]["holds"]) == (1.5, None, None, None)


def test_what_was_never_measured_is_an_error_row_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results([AT_MOST, PRINTED])
    results.part("venue").put("down", 1.5)
    assert finish(results.rows, tmp_path / "bench.json") == 1
    row = json.loads((tmp_path / "bench.json").read_text())[0]
    assert (row["value"], row["holds"], row["note"]) == (None, False, "not measured")
    assert "ERROR: third FAIL to weight 0: not measured" in capsys.readouterr().out


def test_a_bar_that_is_not_held_is_said_and_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results([AT_MOST, LATER])
    results.part("deploy").put("zero", 2.5)
    results.part("core").put("later", 3.0)
    assert finish(results.rows, tmp_path / "bench.json") == 0
    said = capsys.readouterr().out
    assert "0 of 1 bars hold" in said
    assert "NOT HELD: third FAIL to weight 0: 2.500 s, bar ≤ 1" in said


def test_what_was_measured_on_a_busy_machine_is_told_and_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results([AT_MOST, PRINTED])
    results.part("deploy").put("zero", 1.5, busy=True)
    results.part("venue").put("down", 1.5, busy=True)
    assert [(row.holds, word(row)) for row in results.rows] == [(None, "machine busy"), (None, "")]
    assert finish(results.rows, tmp_path / "bench.json") == 0
    row = json.loads((tmp_path / "bench.json").read_text())[0]
    assert (row["value"], row["holds"], row["busy"]) == (1.5, None, True)
    said = capsys.readouterr().out
    assert "0 of 0 bars hold" in said
    assert "NOT JUDGED, machine busy: third FAIL to weight 0: 1.500 s, bar ≤ 1" in said


@pytest.mark.parametrize(("relative", "holds"), [(False, True), (True, None)])
def test_a_bar_held_on_a_busy_machine_holds_unless_the_load_may_have_flattered_it(relative: bool, holds: bool | None) -> None:
    results = Results([replace(AT_MOST, relative=relative)])
    results.part("deploy").put("zero", 0.5, busy=True)
    assert [row.holds for row in results.rows] == [holds]
    assert ("NOT JUDGED" in summary(results.rows)) is relative


def break_down() -> None:
    raise OSError("the disk is gone")


def test_a_failure_costs_its_own_figures_and_keeps_what_was_measured_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    other = Figure("deploy", "after", "requests after", "requests", 0)
    results = Results([AT_MOST, other, PRINTED])
    part = results.part("deploy")
    with part.trying("zero", "after"):
        part.put("zero", 0.1)
        break_down()
    results.failed("deploy", "the part took longer than its limit")
    rows = {row.figure.key: row for row in results.rows}
    assert (rows["zero"].value, rows["after"].value, rows["after"].note) == (0.1, None, "OSError: the disk is gone")
    assert rows["down"].note == "not measured"
    assert "OSError" in capsys.readouterr().err


def test_a_part_that_breaks_leaves_the_others_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.bench import __main__ as bench
    from tests.bench import part_cli, part_venue

    def measure_cli(results: PartResults) -> None:
        results.put("help", 0.1)
        results.put("sdks", 0)

    def measure_venue(results: PartResults) -> None:
        raise RuntimeError("no venue today")

    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(part_cli, "measure", measure_cli)
    monkeypatch.setattr(part_venue, "measure", measure_venue)
    path = tmp_path / "bench.json"
    assert bench.main(["--only", "venue", "--only", "cli", "--result", str(path)]) == 1
    rows = json.loads(path.read_text())
    assert [(row["part"], row["value"]) for row in rows] == [("cli", 0.1), ("cli", 0), ("venue", None), ("venue", None)]
    assert all(row["note"] == "RuntimeError: no venue today" for row in rows[2:])
    assert "NOT HELD" not in summary([])


def test_every_figure_has_a_part_a_key_of_its_own_and_a_line_in_the_page() -> None:
    places = [(figure.part, figure.key) for figure in FIGURES]
    assert len(set(places)) == len(places)
    assert {figure.part for figure in FIGURES} == set(PARTS)
    page = re.sub(r"\s+", " ", (ROOT / "docs/bench.md").read_text())
    assert [figure.name for figure in FIGURES if f"| {figure.name} |" not in page] == []


def test_imported_modules_are_read_from_pythons_own_list() -> None:
    said = "import time: self [us] | cumulative | imported package\nimport time:  5 |  5 |   requests.adapters\nimport time: 1 | 1 | json\n"
    assert imported(said) >= {"requests", "json"}
