"""`--help` is quick because it imports little: no SDK, no server, no plotting. (Its time is in `make bench`.)"""

import subprocess
import sys

import pytest
import typer.main

from ops.cli.main import NOUNS, program
from tools.gen import paths

HEAVY = {
    "prometheus_api_client",
    "requests",
    "supervisor",
    "aiohttp",
    "matplotlib",
    "numpy",
    "jinja2",
    "rich.live",
    "engine._core",
    "sqlite3",
}


@pytest.mark.parametrize("loaded", ["ops.cli.main; ops.cli.main.program()", "engine.cli"])
def test_the_command_line_imports_no_sdk_before_a_command_runs(loaded: str) -> None:
    code = f"import sys, {loaded}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert HEAVY.isdisjoint(done.stdout.split()), HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("path", paths(program()), ids=" ".join)
def test_every_command_shows_help_with_an_example(path: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", "ops.cli.main", *path, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout, f"opsctl {' '.join(path)} --help shows no example"


def test_each_command_is_found_when_only_its_noun_is_read() -> None:
    for words in NOUNS.values():
        for word in words:
            assert word in typer.main.get_command(program(word)).commands, word  # type: ignore[attr-defined]


def test_a_word_that_is_no_command_finds_them_all() -> None:
    shown = {word for words in NOUNS.values() for word in words}
    for word in ("", "--help", "bugdet", "venue"):
        assert set(typer.main.get_command(program(word)).commands) == shown, word  # type: ignore[attr-defined]


def test_a_noun_is_not_read_for_another_ones_command() -> None:
    code = "import sys; sys.argv[1:] = ['slo', '--help']; from ops.cli.main import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert {"ops.cli.slo"} == {name for name in done.stdout.split() if name in {f"ops.cli.{noun}" for noun in NOUNS}}


def test_a_default_is_not_converted() -> None:
    """Typer imports pydantic to convert: a third of the time of a short command."""
    code = "import sys; sys.argv[1:] = ['slo', 'init', '--dry-run']; from ops.cli.main import main\nmain()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "version: opsctl/slo/v1" in done.stdout
    assert "pydantic" not in done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("slo", "explain"), "Missing argument"),
        (("slo", "check", "--output", "xml"), "'xml' is not one of 'text', 'json'"),
        (("budget", "--hours", "500"), "--hours"),
        (("slo", "explain", "a", "b"), "unexpected extra argument"),
    ],
)
def test_what_is_typed_is_still_judged(words: tuple[str, ...], said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ops.cli.main", *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
