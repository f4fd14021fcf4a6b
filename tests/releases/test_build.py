"""Real builds of a small source: wheel, environment, program; and what a failed or killed one leaves."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.adapters import release_build
from ops.adapters.clock import SystemClock
from ops.adapters.release_build import LocalWorkshop, run_bounded, tail
from ops.adapters.releases import LocalReleases
from ops.errors import Refused, Unavailable
from ops.releases import flow
from ops.releases.model import BuildAction


@contextmanager
def quiet(title):
    yield lambda said: None


def build(source, state, version="1.1.0", **options):
    request = flow.BuildRequest(version, source, **options)
    return flow.build(request, LocalReleases(state), LocalWorkshop(state), SystemClock(), quiet)


def says(command):
    return subprocess.run([command], capture_output=True, text=True, timeout=60, check=True).stdout.split()


def test_two_versions_live_side_by_side_and_one_is_rebuilt_only_when_asked(source, state):
    old = build(source, state, "1.1.0").release
    assert build(source, state, "1.1.0").plan.action is BuildAction.KEEP
    (source / "engine/extra.py").write_text("")
    with pytest.raises(Refused, match="another source"):
        build(source, state, "1.1.0")
    new = build(source, state, "1.2.0rc1").release
    assert says(old.command) == ["1.1.0", "unversioned"]
    assert says(new.command) == ["1.2.0rc1", "unversioned"]
    shelf = LocalReleases(state)
    assert shelf.get("1.1.0") == old
    again = build(source, state, "1.1.0", rebuild=True)
    assert again.plan.action is BuildAction.REBUILD
    assert shelf.get("1.1.0").built_at_s > old.built_at_s


def test_a_source_that_does_not_build_shows_the_end_of_its_log_and_is_built_once_mended(source, state):
    (source / "CMakeLists.txt").write_text("message(FATAL_ERROR broken-on-purpose)\n")
    with pytest.raises(Refused, match="does not build") as caught:
        build(source, state)
    assert "broken-on-purpose" in caught.value.message
    assert len(caught.value.message) < 2000
    log = Path(caught.value.hint.rpartition("the full log is ")[2])
    assert "broken-on-purpose" in log.read_text()
    (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.15)\nproject(venue LANGUAGES NONE)\n")
    assert build(source, state).release


def test_a_program_that_does_not_start_is_no_release(source, state):
    (source / "engine/cli.py").write_text("import no_such_module\n")
    with pytest.raises(Refused, match="no_such_module"):
        build(source, state)
    row = flow.show("1.1.0", LocalReleases(state))
    assert row.release is None
    assert "no manifest" in row.problem


def test_packages_that_cannot_be_had_are_an_outage(source, state, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    lock = "no-such-package-of-ours==1.0 --hash=sha256:" + "0" * 64 + "\n"
    (source / "requirements-venue.lock").write_text(lock)
    with pytest.raises(Unavailable, match="could not be fetched"):
        build(source, state)


def test_a_half_built_folder_is_built_afresh(source, state):
    (state / "releases/1.1.0/env/bin").mkdir(parents=True)
    (state / "releases/1.1.0/venue-1.1.0-old.whl").write_text("left over")
    report = build(source, state)
    assert report.plan.action is BuildAction.REBUILD
    assert len(list((state / "releases/1.1.0").glob("*.whl"))) == 1


def test_a_source_with_a_version_of_its_own_is_refused(source, state):
    path = source / "pyproject.toml"
    fixed = path.read_text().replace('dynamic = ["version"]', 'version = "5.0.0"')
    path.write_text("\n".join(line for line in fixed.splitlines() if not line.startswith("metadata.version")))
    with pytest.raises(Refused, match=r"venue-5\.0\.0"):
        build(source, state)


def test_one_build_at_a_time(source, state):
    with LocalWorkshop(state).lock(), pytest.raises(Refused, match="started by process"):
        build(source, state)
    assert not (state / "releases/1.1.0").exists()


def test_what_a_killed_builder_left_running_still_holds_the_lock(state):
    """A second build must not meet the first one's compiler in the same folders."""
    workshop = LocalWorkshop(state)
    with workshop.lock():
        held = workshop._lock
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,))
    try:
        with pytest.raises(Refused, match="another build"), LocalWorkshop(state).lock():
            pass
    finally:
        child.communicate(b"\n", timeout=30)
    with LocalWorkshop(state).lock():
        pass


def test_a_program_past_its_bound_is_ended_with_its_children(tmp_path):
    pid_file = tmp_path / "child"
    command = ["sh", "-c", 'sleep 1000 & echo $! >"$0"; wait', str(pid_file)]
    assert run_bounded(command, tmp_path / "log", 1.0) is None
    with contextlib.suppress(ProcessLookupError):  # it has ended and is reaped
        handle = os.pidfd_open(int(pid_file.read_text()))
        try:
            assert select.select([handle], [], [], 30.0)[0], "the child still runs"
        finally:
            os.close(handle)


def test_an_interrupted_wait_ends_the_program_too(tmp_path):
    script = "import os, signal; os.kill(os.getppid(), signal.SIGUSR1); signal.pause()"
    caught = []

    def interrupt(number, frame):
        caught.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_bounded([sys.executable, "-c", script], tmp_path / "log", 30.0)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught == [signal.SIGUSR1]


def test_the_end_of_a_log_is_bounded(tmp_path):
    log = tmp_path / "log"
    log.write_text("\n".join("x" * 1000 for _ in range(100)))
    assert len(tail(log)) <= release_build.LOG_TAIL_CHARS
    log.write_text("")
    assert tail(log) == "it said nothing"


def test_missing_build_tools_are_named(state, monkeypatch):
    monkeypatch.setattr(release_build.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Refused, match="scikit-build-core, nanobind") as caught:
        LocalWorkshop(state).check_tools()
    assert "make setup" in caught.value.hint
