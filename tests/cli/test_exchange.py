"""The program `exchange` by itself: its help, its version, its exit codes, and keys that are only planned."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine import COMMIT, __version__
from engine.cli import app
from engine.config import VenueError
from engine.keys import load_keys
from tools.gen import help_of, paths

ROOT = Path(__file__).resolve().parents[2]
OPERATE = [path for path in paths(app) if path[:1] == ("control",) and path[1:] and path[1] != "status"]
CHANGES = [("snapshot",), ("keys", "new"), ("log", "repair"), *OPERATE]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("path", paths(app), ids=" ".join)
def test_every_command_and_group_of_exchange_shows_an_example(path: tuple[str, ...]) -> None:
    assert "Example:" in help_of("exchange", path)


@pytest.mark.parametrize("path", CHANGES, ids=" ".join)
def test_whatever_changes_something_has_a_dry_run(path: tuple[str, ...]) -> None:
    assert "--dry-run" in help_of("exchange", path)


def test_the_program_says_its_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"exchange {__version__} (commit {COMMIT})\n")


def test_the_exit_codes_of_exchange_are_documented_and_no_other_is_used() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    told = {int(code) for code in re.findall(r"^\| `(\d+)` \|", page, re.M)}
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "engine").rglob("*.py"))
    names = r"(?:\bEXIT_\w+|\bUNAVAILABLE|COMPARISON_FAILED|exit_code) = (\d+)|exit_code=(\d+)|SystemExit\((\d+)\)|exit_code: int = (\d+)"
    used = {int(code) for match in re.finditer(names, sources) for code in match.groups() if code}
    assert used | {0} == told


def test_a_planned_key_is_told_and_not_made(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    asked = ["keys", "new", "--file", str(file), "--id", "desk-1", "--firm", "7"]
    done = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "desk-1 of firm 7, read and trade" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert CliRunner().invoke(app, asked).exit_code == 0
    before = file.read_bytes()
    again = CliRunner().invoke(app, [*asked, "--dry-run"]).exception
    assert isinstance(again, VenueError)
    assert "already has a key desk-1" in again.message
    assert file.read_bytes() == before
    assert [entry.id for entry in load_keys(file).entries] == ["desk-1"]


@pytest.mark.parametrize("words", [("keys", "new", "--file", "."), ("keys", "new", "--file", "/")])
def test_a_folder_is_no_keys_file_and_no_traceback(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, "Traceback" in done.stderr, "is a folder" in done.stderr) == (2, False, True)


def test_addresses_that_no_resolver_could_be_asked_for_are_no_tracebacks(tmp_path: Path) -> None:
    run("keys", "new", "--file", tmp_path / "keys.yaml")
    gateway = run("gateway", "--name", "g", "--keys", tmp_path / "keys.yaml", "--http-port", 0, "--binary-port", 0, "--host", "..")
    assert (gateway.returncode, "Traceback" in gateway.stderr) == (2, False)
    assert "cannot listen on .." in gateway.stderr
    (tmp_path / "key").write_text("x")
    probe = run("probe", "--key-file", tmp_path / "key", "--url", "http://", "--admin-port", 0)
    assert (probe.returncode, "--url" in probe.stderr) == (2, True)


def test_an_epoch_beyond_the_logs_is_a_bad_option(tmp_path: Path) -> None:
    done = run("core", "--log-dir", tmp_path / "log", "--epoch", 1 << 63)
    assert (done.returncode, "--epoch" in done.stderr) == (2, True)
