"""The match path asks nobody for anything, in the build that ships: a sanitizer would stand in front of the allocator."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "engine/native"
BUILT = Path(__file__).parents[2] / "build/native"

pytestmark = pytest.mark.e2e


def test_no_order_allocates_locks_or_calls_the_system(tmp_path):
    libraries = sorted(BUILT.glob("*/libexchange_core.a"), key=lambda path: path.stat().st_mtime)
    assert libraries, "`make setup` leaves the library there"
    program = tmp_path / "silence"
    sources = [NATIVE / "tests/main.cpp", NATIVE / "tests/test_no_allocation.cpp", NATIVE / "bench/silence_guard.cpp"]
    command = ["g++", "-std=c++20", "-O2", f"-I{NATIVE / 'include'}", f"-I{NATIVE / 'src'}", *sources, libraries[-1], "-pthread", "-ldl"]
    subprocess.run([*command, "-o", program], check=True, timeout=300)
    done = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not looked at" not in done.stderr, "the guard was there and listened"
    assert "tests passed" in done.stdout
