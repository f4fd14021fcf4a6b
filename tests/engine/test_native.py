"""The native core by itself: its tests, its fuzz targets and the crash driver under the sanitizers, its threads under ThreadSanitizer.

EXCHANGE_NIGHTLY=1, as `make nightly` sets it, multiplies what is seeded: other seeds every day, hours instead of seconds.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILDS = ROOT / "build"
CORPUS = ROOT / "engine" / "native" / "fuzz" / "corpus"
CRASHES = BUILDS / "fuzz-crashes"
MEMORY = Path("/dev/shm")  # kill -9 is the same there, and nobody waits for a disk
NIGHTLY = os.environ.get("EXCHANGE_NIGHTLY", "") == "1"
SEED = int(datetime.datetime.now(tz=datetime.UTC).strftime("%Y%m%d")) * 1_000_000 if NIGHTLY else 20260601
THREADED = ("apply_thread", "ring", "log", "log_holes", "journal", "partition", "partition_burst", "core")
"""The native tests that have more than one thread: test_<name>.cpp."""
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "halt_on_error=1:die_after_fork=0"}
"""A leak would be one of the process, but not every container lets the leak checker trace it."""
TIMEOUT_S = 4 * 3600 if NIGHTLY else 900

CRASH_RUNS = 5_000 if NIGHTLY else 120
CRASH_SWEEPS = 40 if NIGHTLY else 1
CRASH_RUNS_ON_DISK = 200 if NIGHTLY else 8
FUZZ = {"codec": 1_000_000, "engine": 3_000, "log": 5_000, "snapshot": 10_000}
"""Inputs made from the corpus: about 15 s each on one core. At night each target has FUZZ_SECONDS instead."""
FUZZ_SECONDS = int(os.environ.get("EXCHANGE_FUZZ_SECONDS", "1200"))


def tool(name: str) -> str:
    """From this environment first, else from the machine."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.fail(f"{name} is not installed: `make setup` brings it")
    return found


def run(*command: object, folder: Path | None = None) -> str:
    """Stdout of a command that must succeed; `folder` takes its temporary files."""
    environment = os.environ | ENVIRONMENT | ({"TMPDIR": str(folder)} if folder else {})
    arguments = [str(part) for part in command]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False)
    assert result.returncode == 0, f"{' '.join(arguments)}\n{result.stdout[-4000:]}\n{result.stderr[-6000:]}"
    return result.stdout


def build(name: str, *targets: str, **options: str) -> Path:
    """With -O1, line numbers and these options; test workers build once, one after the other."""
    folder = BUILDS / name
    ninja = tool("ninja")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = {"CMAKE_BUILD_TYPE": "RelWithDebInfo", "CMAKE_CXX_FLAGS_RELWITHDEBINFO": "-O1 -g1", "EXCHANGE_TESTS": "ON"} | options
        run(
            tool("cmake"),
            *("-S", ROOT / "engine" / "native", "-B", folder, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"),
            *(f"-D{option}={value}" for option, value in settings.items()),
        )
        run(ninja, "-C", folder, "-j2", *targets)
    return folder


@pytest.fixture(scope="module")
def sanitized() -> Path:
    """Everything, with the address and undefined-behaviour sanitizers."""
    return build("native-tests", EXCHANGE_SANITIZE="ON")


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Where files need no disk, if there is such a place."""
    return MEMORY if os.access(MEMORY, os.W_OK) else tmp_path


def test_the_native_tests_pass_under_the_sanitizers(sanitized):
    assert "tests passed" in run(sanitized / "tests" / "exchange_tests")


def test_the_native_test_runner_runs_the_tests_that_are_named(sanitized):
    runner = sanitized / "tests" / "exchange_tests"
    assert run(runner, "a journal's thread takes no signal") == "a journal's thread takes no signal\n1 tests passed\n"
    assert subprocess.run([runner, "no test has this name"], capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 1


def test_the_native_tests_that_have_threads_pass_under_the_thread_sanitizer():
    threaded = build("native-tsan", "exchange_tests", EXCHANGE_TSAN="ON", EXCHANGE_TESTS_ONLY=";".join(THREADED))
    assert "tests passed" in run(threaded / "tests" / "exchange_tests")


@pytest.mark.parametrize(("target", "count"), FUZZ.items(), ids=FUZZ)
def test_a_fuzz_target_survives_its_corpus_and_what_is_made_of_it(sanitized, memory, target, count):
    CRASHES.mkdir(parents=True, exist_ok=True)
    files = len(list((CORPUS / target).iterdir()))
    budget = ("--seconds", FUZZ_SECONDS) if NIGHTLY else ("--iterations", count)
    options = ("--corpus", CORPUS / target, "--seed", SEED, "--crashes", CRASHES)
    said = run(sanitized / "fuzz" / f"fuzz_{target}", *options, *budget, folder=memory)
    tried, made = map(int, re.findall(r"\d+", said))
    assert tried == files > 0
    assert made >= 1_000 if NIGHTLY else made == count


@pytest.mark.parametrize("deadly", [b"A", b"B and more"], ids=["abort", "sanitizer"])
def test_an_input_that_a_fuzz_target_dies_of_is_kept_and_named(sanitized, tmp_path, deadly):
    inputs = [tmp_path / "1", tmp_path / "2"]
    for path, content in zip(inputs, (b"harmless", deadly), strict=True):
        path.write_bytes(content)
    command = [sanitized / "fuzz" / "fuzz_self", "--seed", "7", "--crashes", tmp_path, *inputs]
    died = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=os.environ | ENVIRONMENT, check=False)
    kept = tmp_path / "crash-self-7-1"
    assert died.returncode != 0
    assert kept.read_bytes() == deadly
    assert f"the input is in {kept}" in died.stderr


def test_the_corpus_begins_with_what_the_generator_writes(sanitized, tmp_path):
    for target in FUZZ:
        run(sanitized / "fuzz" / f"fuzz_{target}", "--generate", tmp_path / target)
        for made in (tmp_path / target).iterdir():
            assert (CORPUS / target / made.name).read_bytes() == made.read_bytes(), f"generate the corpus of {target} again: {made.name}"


def crashed(said: str) -> dict[str, int]:
    """Lives by the way they died, as the crash driver counts them."""
    told = said.partition("came to their end")[2].partition("\n")[0]
    return {kind: int(count) for kind, count in re.findall(r"([a-z]+) (\d+)", told)}


def test_whatever_moment_a_core_dies_at_nothing_that_it_confirmed_is_lost_or_there_twice(sanitized, memory):
    said = run(sanitized / "crash" / "crash_driver", "--runs", CRASH_RUNS, "--seed", SEED, folder=memory)
    ways = crashed(said)
    assert set(ways) == {"before", "part", "sectors", "batch", "after", "power", "steps", "append", "fail", "outside"}
    assert all(ways.values()), said


@pytest.mark.parametrize("seed", [31, 30], ids=["memory", "device"])
def test_a_core_may_die_at_each_of_its_file_operations_in_every_way(sanitized, memory, seed):
    for night in range(CRASH_SWEEPS):
        assert "all there" in run(sanitized / "crash" / "crash_driver", "--sweep", "--seed", seed + 1_000 * night, folder=memory)


def test_a_core_may_die_on_a_real_disk_too(sanitized):
    assert "all there" in run(sanitized / "crash" / "crash_driver", "--runs", CRASH_RUNS_ON_DISK, "--seed", SEED + 500_000)
