"""What surrounds the engine's figures: a busy machine is seen, and a peer that cannot be built says why."""

from pathlib import Path

import pytest

from tests.bench import engine_peers, engine_tools
from tests.bench.bed import BenchError
from tests.bench.engine_tools import Answer, middle, spread
from tests.bench.figures import FIGURES
from tests.bench.report import PartResults, Results

ANSWERS = "import json; print(json.dumps({'per_s': [1.0, 2.0]}))"


def pressure(path: Path, avg10: str, total: int) -> Path:
    path.write_text(f"some avg10={avg10} avg60=0.10 avg300=0.20 total={total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    return path


@pytest.mark.parametrize(("share", "busy", "said"), [(0.06, True, "6.0 %"), (0.05, False, "5.0 %"), (None, False, "unknown")])
def test_a_machine_is_busy_when_some_task_waited_for_more_than_a_twentieth_of_the_time(share: float | None, busy: bool, said: str) -> None:
    answer = Answer({}, share)
    assert answer.busy is busy
    assert said in answer.load


def test_the_share_is_of_the_time_of_the_command_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_tools, "PRESSURE", pressure(tmp_path / "cpu", "80.00", 5_000_000))
    answer = engine_tools.watched(["python3", "-c", ANSWERS], "a command", 20)
    assert answer.data == {"per_s": [1.0, 2.0]}
    assert answer.waited_share == 0
    assert not answer.busy


def test_without_pressure_figures_of_the_kernel_the_share_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_tools, "PRESSURE", tmp_path / "missing")
    assert engine_tools.watched(["python3", "-c", ANSWERS], "a command", 20).waited_share is None


def test_a_measurement_that_fails_tells_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="exchange_bench ended with exit code 3, not 0: no room on the disk"):
        engine_tools.watched(
            ["python3", "-c", "import sys; print('no room on the disk', file=sys.stderr); sys.exit(3)"], "exchange_bench", 20
        )


def test_medians_and_spreads_are_of_all_runs() -> None:
    assert middle([3.0, 1.0, 2.0]) == 2.0
    assert spread([3e6, 1e6, 2e6], 1e-6) == "median of 3; 1.00 to 3.00"


def test_a_machine_without_maven_gets_a_plain_sentence_and_an_error_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_peers.shutil, "which", lambda program: None if program == "mvn" else f"/usr/bin/{program}")
    results = Results([figure for figure in FIGURES if figure.asked and figure.part == "engine"])
    part: PartResults = results.part("engine")
    with part.trying("peer-one", "peer-many"):
        engine_peers.measure(part, 5)
    assert [row.value for row in results.rows] == [None, None]
    assert {row.note for row in results.rows} == {"exchange-core is left out: mvn not found; install a JDK of 11 or later and Maven"}
