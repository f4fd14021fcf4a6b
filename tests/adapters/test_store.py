"""The journal on disk: one chain whoever appends, and no change to it goes unseen."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ops.adapters.fakes_base import Diary, FakeClock, FakeStore
from ops.adapters.store import SqliteStore
from ops.errors import StoreCorrupt, Unavailable
from ops.ports import Store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    return SqliteStore(path)


def filled(path: Path, count: int = 5) -> SqliteStore:
    store = SqliteStore(path)
    for number in range(count):
        store.append(f"release-{number % 2}", "check", {"number": number}, 1000.5 + number)
    return store


def as_intruder(path: Path, sql: str, *values: object) -> None:
    """Somebody with the file in hand: the triggers do not stop him."""
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER no_update")
        db.execute("DROP TRIGGER no_delete")
        db.execute(sql, values)
    db.close()


@pytest.mark.parametrize("kind", ["sqlite", "fake"])
def test_what_is_appended_is_read_back_in_order(path: Path, kind: str) -> None:
    store: Store = SqliteStore(path) if kind == "sqlite" else FakeStore(Diary(FakeClock()))
    first = store.append("release-1", "release.started", {"version": "1.1.0", "steps": [0.01, 1.0]}, 1.5)
    second = store.append("venue", "venue.switched", {"to": "ä\n1"}, 2.5)
    third = store.append("release-1", "release.ended", {}, 3.5)
    assert store.events() == (first, second, third)
    assert [e.seq for e in store.events()] == [1, 2, 3]
    assert store.events("release-1") == (first, third)
    assert store.events(after_seq=1) == (second, third)
    assert store.events("release-1", after_seq=1) == (third,)
    assert store.events("release-1", after_seq=3) == ()
    assert store.events("nobody") == ()
    assert len({e.hash for e in store.events()}) == 3


def test_a_journal_that_is_not_there_is_empty_and_is_not_made_by_reading(store: SqliteStore, path: Path) -> None:
    assert store.events() == ()
    assert not path.exists()


def test_only_its_owner_can_read_it(store: SqliteStore, path: Path) -> None:
    store.append("a", "b", {}, 1.0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_whole_number_of_seconds_is_no_tampering(store: SqliteStore) -> None:
    store.append("a", "b", {}, 5)
    assert store.events()[0].at_s == 5.0


@pytest.mark.parametrize("sql", ["UPDATE events SET data = '{}'", "DELETE FROM events", "DELETE FROM events WHERE seq = 2"])
def test_the_database_itself_refuses_changes(path: Path, sql: str) -> None:
    filled(path)
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(sql)
    db.close()
    assert len(SqliteStore(path).events()) == 5


@pytest.mark.parametrize(
    ("sql", "event"),
    [
        ("UPDATE events SET data = '{\"number\":7}' WHERE seq = 3", 3),
        ("UPDATE events SET kind = 'release.ended' WHERE seq = 1", 1),
        ("UPDATE events SET stream = 'release-9' WHERE seq = 5", 5),
        ("UPDATE events SET at_s = 1.0 WHERE seq = 2", 2),
        ("UPDATE events SET hash = 'x' WHERE seq = 4", 4),
        ("UPDATE events SET data = x'00ff' WHERE seq = 3", 3),
        ("UPDATE events SET prev = x'00' WHERE seq = 3", 3),
        ("DELETE FROM events WHERE seq = 1", 2),
        ("DELETE FROM events WHERE seq = 3", 4),
        ("UPDATE events SET seq = 9 WHERE seq = 5", 9),
    ],
)
def test_tampering_is_found_and_the_event_is_named(path: Path, sql: str, event: int) -> None:
    store = filled(path)
    as_intruder(path, sql)
    with pytest.raises(StoreCorrupt, match=rf"breaks at event {event}\b") as raised:
        store.events()
    assert str(path) in raised.value.message
    assert raised.value.hint


def test_a_row_made_anew_with_a_right_hash_of_its_own_breaks_the_chain_after_it(path: Path) -> None:
    import hashlib

    store = filled(path)
    row = store.events()[2]
    text = json.dumps({"number": 77}, separators=(",", ":"))
    prev = store.events()[1].hash
    digest = hashlib.sha256("\n".join((prev, "3", repr(row.at_s), row.stream, row.kind, text)).encode()).hexdigest()
    as_intruder(path, "UPDATE events SET data = ?, hash = ? WHERE seq = 3", text, digest)
    with pytest.raises(StoreCorrupt, match="event 4"):
        store.events()


def test_the_row_before_the_first_asked_one_anchors_the_chain(path: Path) -> None:
    store = filled(path)
    as_intruder(path, "UPDATE events SET data = '{}' WHERE seq = 3")
    assert [e.seq for e in store.events(after_seq=4)] == [5]
    with pytest.raises(StoreCorrupt, match="event 3"):
        store.events(after_seq=3)


APPENDER = """
import sys
from pathlib import Path
from ops.adapters.store import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
for number in range(40):
    store.append("process-" + sys.argv[2], "check", {"number": number}, float(number))
"""


def test_several_processes_append_to_one_chain(path: Path) -> None:
    """Begun all at once on a file that is not there yet."""
    command = [sys.executable, "-c", APPENDER, str(path)]
    running = [subprocess.Popen([*command, str(n)], cwd=ROOT, stderr=subprocess.PIPE) for n in range(4)]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    events = SqliteStore(path).events()
    assert [e.seq for e in events] == list(range(1, 161))
    for number in range(4):
        assert [e.data["number"] for e in events if e.stream == f"process-{number}"] == list(range(40))


def test_a_writer_that_does_not_let_go_is_waited_for_within_a_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.adapters.store.BUSY_TIMEOUT_S", 0.1)
    store = filled(path)
    hog = sqlite3.connect(path, isolation_level=None)
    hog.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="cannot be used"):
        store.append("a", "b", {}, 1.0)
    hog.execute("ROLLBACK")
    hog.close()
    assert store.append("a", "b", {}, 1.0).seq == 6


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be used"):
        SqliteStore(tmp_path / "absent" / "journal.db").append("a", "b", {}, 1.0)


def test_a_file_that_is_no_database_is_told(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable):
        SqliteStore(path).append("a", "b", {}, 1.0)
    with pytest.raises(Unavailable):
        SqliteStore(path).events()


def test_a_path_that_cannot_be_looked_at_is_no_empty_journal(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        SqliteStore(tmp_path / ("x" * 300)).events()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ops.adapters.store import SqliteStore
from ops.errors import Unavailable
store = SqliteStore(Path(sys.argv[1]))
store.append("a", "b", {}, 1.0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
for number in range(2000):
    try:
        store.append("a", "b", {"text": "x" * 200}, 2.0)
    except Unavailable as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert len(store.events()) == number + 1
        assert store.append("a", "b", {}, 3.0).seq == number + 2
        print("refused:", error.message)
        break
"""


def test_a_disk_that_fills_up_is_an_outage_and_leaves_the_chain_whole(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused: the journal")
    assert SqliteStore(path).events()


@pytest.mark.parametrize("data", [{"x": float("nan")}, {"x": float("inf")}])
def test_what_is_no_number_is_not_written(store: SqliteStore, data: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        store.append("a", "b", data, 1.0)
    assert store.events() == ()


def test_an_anchor_that_is_missing_is_found(path: Path) -> None:
    store = filled(path)
    as_intruder(path, "DELETE FROM events WHERE seq = 3")
    with pytest.raises(StoreCorrupt, match="event 4"):
        store.events(after_seq=3)
