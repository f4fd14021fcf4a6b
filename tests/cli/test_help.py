"""`--help` is quick because it imports little: no SDK, no server, no plotting. (Its time is in `make bench`.)"""

import subprocess
import sys

import pytest

from ops.cli.main import app as opsctl
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


@pytest.mark.parametrize("module", ["ops.cli.main", "engine.cli"])
def test_the_command_line_imports_no_sdk_before_a_command_runs(module: str) -> None:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert HEAVY.isdisjoint(done.stdout.split()), HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("path", paths(opsctl), ids=" ".join)
def test_every_command_shows_help_with_an_example(path: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", "ops.cli.main", *path, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout, f"opsctl {' '.join(path)} --help shows no example"
