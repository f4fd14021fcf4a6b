"""The lease on the canary's weight, on disk and in memory by the same tests, and the lock of the one release."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.adapters import lease as module
from ops.adapters.fakes_base import Diary, FakeClock, FakeKernel, FakeLease, FakeLock
from ops.adapters.lease import FileLease, FileLock
from ops.errors import Refused, Unavailable
from ops.ports import Lease, Lock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["file", "fake"])
def lease(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Lease:
    return FileLease(tmp_path / "lease.json", clock) if request.param == "file" else FakeLease(clock, Diary(clock))


def test_nobody_holds_it_at_first(lease: Lease) -> None:
    assert lease.current() is None


def test_a_taken_lease_counts_down(lease: Lease, clock: FakeClock) -> None:
    token = lease.take("release-1", 8.0)
    clock.sleep(3.0)
    state = lease.current()
    assert state is not None
    assert (state.stream, state.token, state.remaining_s) == ("release-1", token, 5.0)


def test_a_lease_that_ran_out_is_told_as_such_and_cannot_be_renewed(lease: Lease, clock: FakeClock) -> None:
    token = lease.take("release-1", 8.0)
    clock.sleep(8.0)
    assert lease.current() is not None
    assert lease.current().remaining_s == 0.0  # type: ignore[union-attr]
    assert lease.renew(token, 8.0) is False
    clock.sleep(1.0)
    assert lease.renew(token, 8.0) is False
    assert lease.current().remaining_s == -1.0  # type: ignore[union-attr]


def test_renewals_in_time_keep_it(lease: Lease, clock: FakeClock) -> None:
    token = lease.take("release-1", 8.0)
    for _ in range(20):
        clock.sleep(7.9)
        assert lease.renew(token, 8.0)


def test_tokens_only_grow(lease: Lease) -> None:
    first = lease.take("release-1", 8.0)
    second = lease.take("release-1", 8.0)
    lease.release(second)
    assert first < second < lease.take("release-2", 8.0)


def test_an_old_token_neither_renews_nor_releases(lease: Lease) -> None:
    old = lease.take("release-1", 8.0)
    new = lease.take("release-2", 8.0)
    assert lease.renew(old, 100.0) is False
    lease.release(old)
    assert lease.current() is not None
    assert lease.renew(new, 8.0)


def test_a_released_lease_is_nobodys(lease: Lease) -> None:
    token = lease.take("release-1", 8.0)
    lease.release(token)
    assert lease.current() is None
    assert lease.renew(token, 8.0) is False


def test_another_process_sees_the_same_lease(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "lease.json"
    token = FileLease(path, clock).take("release-1", 8.0)
    seen = FileLease(path, clock).current()
    assert seen is not None
    assert (seen.token, seen.holder_pid) == (token, os.getpid())


def test_a_reboot_ends_the_lease_and_tokens_still_grow(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = FileLease(tmp_path / "lease.json", clock)
    token = lease.take("release-1", 1e9)
    monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    assert lease.current() is None
    assert lease.renew(token, 8.0) is False
    assert lease.take("release-2", 8.0) > token


DAMAGE = [
    "", "{", "[]", "null", "7", '"x"', "{}", '{"held": true}', '{"token": "x"}',
    '{"stream":"r","token":1,"ends_s":NaN,"boot":"BOOT","pid":1,"held":true}',
    '{"stream":"r","token":1,"ends_s":Infinity,"boot":"BOOT","pid":1,"held":true}',
    '{"stream":"r","token":Infinity,"ends_s":1,"boot":"BOOT","pid":1,"held":true}',
    '{"stream":"r","token":1,"boot":"BOOT","pid":1,"held":true}',
    '{"stream":"r","token":null,"ends_s":9e9,"boot":"BOOT","pid":1,"held":true}',
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGE)
def test_a_damaged_file_is_no_lease(tmp_path: Path, clock: FakeClock, text: str) -> None:
    """So the guardian takes the weight away, rather than stumble or wait for ever."""
    path = tmp_path / "lease.json"
    path.write_text(text.replace("BOOT", module.boot_id()), encoding="utf-8")
    lease = FileLease(path, clock)
    assert lease.current() is None
    assert lease.renew(1, 8.0) is False
    assert lease.take("release-1", 8.0) >= 1
    assert lease.current() is not None


def test_a_folder_that_is_not_there_is_an_outage(tmp_path: Path, clock: FakeClock) -> None:
    lease = FileLease(tmp_path / "absent" / "lease.json", clock)
    with pytest.raises(Unavailable, match="cannot be used"):
        lease.take("release-1", 8.0)
    with pytest.raises(Unavailable):
        lease.renew(1, 8.0)
    assert lease.current() is None


def test_a_process_that_stands_still_inside_is_waited_for_within_a_bound(tmp_path: Path, clock: FakeClock) -> None:
    import fcntl

    path = tmp_path / "lease.json"
    lease = FileLease(path, clock)
    token = lease.take("release-1", 8.0)
    with Path(f"{path}.lock").open("a", encoding="utf-8") as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="does not go on"):
            lease.renew(token, 8.0)
    assert lease.renew(token, 8.0)


def test_the_file_is_replaced_whole(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "lease.json"
    lease = FileLease(path, clock)
    lease.take("release-1", 8.0)
    with path.open(encoding="utf-8") as before:
        lease.take("release-2", 8.0)
        assert json.load(before)["stream"] == "release-1"


# --- the lock


HOLDER = """
import sys, threading
from pathlib import Path
from ops.adapters.clock import SystemClock
from ops.adapters.lease import FileLock
lock = FileLock(Path(sys.argv[1]), SystemClock())
lock.acquire("opsctl deploy 1.1.0 by bob")
print("held", flush=True)
threading.Event().wait()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "lock")], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait(60)
    process.stdout.close()


def two_locks(kind: str, tmp_path: Path, clock: FakeClock) -> tuple[Lock, Lock]:
    if kind == "fake":
        kernel = FakeKernel()
        return FakeLock(kernel), FakeLock(kernel)
    return FileLock(tmp_path / "lock", clock), FileLock(tmp_path / "lock", clock)


@pytest.mark.parametrize("kind", ["file", "fake"])
def test_the_second_is_refused_and_told_by_whom(tmp_path: Path, clock: FakeClock, kind: str) -> None:
    first, second = two_locks(kind, tmp_path, clock)
    assert not second.held()
    first.acquire("opsctl deploy 1.1.0 by bob")
    assert second.held()
    assert first.held()
    with pytest.raises(Refused, match=r"opsctl deploy 1\.1\.0 by bob"):
        second.acquire("opsctl deploy 1.2.0 by alice")
    second.release()
    assert second.held(), "releasing what one does not hold frees nothing"
    first.release()
    assert not second.held()
    second.acquire("alice")
    second.release()


def test_looking_whether_it_is_held_does_not_take_it(tmp_path: Path, clock: FakeClock) -> None:
    first, second = two_locks("file", tmp_path, clock)
    first.acquire("bob")
    first.release()
    assert not second.held()
    first.acquire("bob")
    first.release()


def test_another_process_is_refused_naming_the_holder(tmp_path: Path, clock: FakeClock, holder: subprocess.Popen[str]) -> None:
    lock = FileLock(tmp_path / "lock", clock)
    assert lock.held()
    with pytest.raises(Refused, match=rf"opsctl deploy 1.1.0 by bob \(pid {holder.pid}\)"):
        lock.acquire("alice")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_process(tmp_path: Path, clock: FakeClock, holder: subprocess.Popen[str], number: int) -> None:
    lock = FileLock(tmp_path / "lock", clock)
    holder.send_signal(number)
    holder.wait(60)
    assert not lock.held()
    lock.acquire("alice")
    lock.release()


def test_a_stopped_process_keeps_it(tmp_path: Path, clock: FakeClock, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    assert FileLock(tmp_path / "lock", clock).held()


def test_a_child_of_the_holder_does_not_keep_it(tmp_path: Path, clock: FakeClock, eventually: Callable[..., Any]) -> None:
    first, second = two_locks("file", tmp_path, clock)
    first.acquire("bob")
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, close_fds=False)
    first.release()
    assert eventually(lambda: not second.held(), "the child's copy of the lock is closed by its exec")
    child.communicate(timeout=60)


def test_a_lock_in_a_folder_that_is_not_there_is_an_outage(tmp_path: Path, clock: FakeClock) -> None:
    lock = FileLock(tmp_path / "absent" / "lock", clock)
    assert not lock.held()
    with pytest.raises(Unavailable):
        lock.acquire("bob")
