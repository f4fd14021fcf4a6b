"""The native core by itself: its own tests and its fuzz targets, built with address and undefined-behaviour sanitizers."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "native-tests"
TIMEOUT_S = 900


def tool(name: str) -> str:
    """From this environment first, else from the machine."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.fail(f"{name} is not installed: `make setup` brings it")
    return found


def run(*command: str) -> str:
    # A leak would be one of the process, but not every container lets the leak checker trace it.
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def build() -> Path:
    ninja = tool("ninja")
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers build once, one after the other
        run(
            tool("cmake"),
            *("-S", str(ROOT / "engine" / "native"), "-B", str(BUILD), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"),
            *("-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g"),
            *("-DEXCHANGE_TESTS=ON", "-DEXCHANGE_SANITIZE=ON"),
        )
        run(ninja, "-C", str(BUILD), "-j2")
    return BUILD


def test_the_native_tests_pass_under_the_sanitizers(build):
    assert "tests passed" in run(str(build / "tests" / "exchange_tests"))


@pytest.mark.parametrize(("target", "iterations"), [("codec", 50_000), ("engine", 5_000), ("log", 300)])
def test_a_fuzz_target_survives_its_seeded_inputs(build, target, iterations):
    assert run(str(build / "fuzz" / f"fuzz_{target}"), str(iterations), "20260601") == f"{iterations} inputs\n"
