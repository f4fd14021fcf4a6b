"""The command line: what it prints, and that its mistakes are errors with a way on."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ops.cli import releases as cli
from ops.errors import Refused, UsageError


@pytest.fixture
def opsctl(state):
    def run(*words):
        return CliRunner().invoke(cli.app, [*words, "--state", str(state)])

    return run


def test_build_list_show_remove(opsctl, source, monkeypatch):
    built = opsctl("build", "--version", "1.1.0", "--source", str(source), "--output", "json")
    assert built.exit_code == 0, built.output
    assert json.loads(built.stdout)["release"]["commit"] == "unversioned"
    assert "build the wheel" in built.stderr
    again = opsctl("build", "--version", "1.1.0", "--source", str(source))
    assert again.exit_code == 0
    assert "already built" in again.stdout
    (line,) = [line for line in opsctl("list").stdout.splitlines() if line.startswith("1.1.0")]
    assert "unversioned +changes" in line
    assert line.rstrip().endswith("built")
    listed = {row["version"]: row for row in json.loads(opsctl("list", "--output", "json").stdout)["releases"]}
    assert listed["1.1.0"]["kind"] == "built"
    assert listed["1.1.0"]["size_bytes"] > 1000
    assert "unversioned" in opsctl("show", "1.1.0").stdout
    monkeypatch.setattr(cli, "declared_in_use", lambda state: frozenset({"1.1.0"}))
    assert isinstance(opsctl("remove", "1.1.0").exception, Refused)
    monkeypatch.undo()
    assert "would be removed" in opsctl("remove", "1.1.0", "--dry-run").stdout
    assert json.loads(opsctl("remove", "1.1.0", "--output", "json").stdout)["removed"]
    assert isinstance(opsctl("show", "1.1.0").exception, Refused)


def test_a_half_built_release_is_listed_with_its_reason(opsctl, state):
    (state / "releases/1.1.0").mkdir(parents=True)
    (line,) = [line for line in opsctl("list").stdout.splitlines() if line.startswith("1.1.0")]
    assert "half built, it has no manifest" in line


def test_a_dry_run_builds_nothing(opsctl, source, state):
    done = opsctl("build", "--version", "1.1.0", "--source", str(source), "--dry-run")
    assert "would build" in done.stdout
    assert not (state / "releases").exists()


@pytest.mark.parametrize("words", [("build", "--version", "abc"), ("build", "--version", "../x"), ("show", "../x"), ("remove", "..")])
def test_a_mistake_is_a_usage_error(opsctl, words):
    assert isinstance(opsctl(*words).exception, UsageError)


def test_the_command_line_loads_nothing_heavy():
    heavy = "{'rich', 'ops.adapters.releases', 'ops.adapters.release_build'}"
    script = f"import sys, ops.cli.releases; sys.exit(sorted({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
