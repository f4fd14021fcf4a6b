"""Snapshots by a child process: one at a time, bounded, and never the core's own trouble."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from venue_parts import LogLines

from engine.core.snapshotter import SnapshotFigures, Snapshotter, found_on_disk, snapshot_command
from engine.logs import JsonLog

GOOD = '{"snapshots": [{"partition": 0, "seq_num": 7}, {"partition": 1, "seq_num": 9}]}'


def snapshotter(script, seq_num=16, **options):
    """A snapshotter whose child is a few lines of Python, and what it logs."""
    log = LogLines()
    newest = seq_num if callable(seq_num) else lambda: seq_num
    made = Snapshotter([sys.executable, "-c", script], 60.0, newest, SnapshotFigures(), JsonLog(stream=log), lambda: 5 * 10**9, **options)
    return made, log


def test_a_snapshot_that_was_made_shows_in_the_log_and_in_the_figures():
    made, log = snapshotter(f"print('''{GOOD}''')")
    asyncio.run(made.once())
    assert (log.events(), log.lines[0]["seq_nums"]) == (["snapshot.done"], [7, 9])
    assert (made.figures.seq_nums, made.figures.fresh_s, made.figures.failures) == ({0: 7, 1: 9}, 5.0, 0)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; sys.exit('error: the disk is full')", "the disk is full"),
        ("import sys; sys.exit(7)", "code 7"),
        ("print('{}')", "not understood"),
        ("print('nonsense')", "not understood"),
    ],
)
def test_a_snapshot_that_fails_is_a_warning_with_the_reason_and_a_count(script, says):
    made, log = snapshotter(script)
    asyncio.run(made.once())
    assert (log.lines[0]["level"], log.lines[0]["event"]) == ("warning", "snapshot.failed")
    assert says in log.lines[0]["reason"]
    assert (made.figures.failures, made.figures.fresh_s, made.figures.seq_nums) == (1, None, {})


def test_a_program_that_is_not_there_is_a_failed_snapshot():
    made, log = snapshotter("")
    made.command = ["/nonexistent/python"]
    asyncio.run(made.once())
    assert "could not be started" in log.lines[0]["reason"]


def test_a_child_that_takes_too_long_is_killed_and_counted(tmp_path):
    note = tmp_path / "pid"
    made, log = snapshotter("", timeout_s=2.0)
    made.command = ["sh", "-c", 'echo $$ > "$0"; exec sleep 600', str(note)]  # starts at once, unlike Python on a cold disk
    asyncio.run(made.once())
    assert "longer than 2 s" in log.lines[0]["reason"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_a_core_that_stops_takes_the_child_with_it(tmp_path):
    note = tmp_path / "pid"
    os.mkfifo(note)
    script = f"import os, time; f = open({str(note)!r}, 'w'); f.write(str(os.getpid())); f.close(); time.sleep(600)"
    made, _ = snapshotter(script)
    task = asyncio.create_task(made.once())
    pid = int(await asyncio.to_thread(note.read_text))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_child_has_low_priority():
    made, log = snapshotter("import os, sys; sys.stdin.read(); [0 for _ in iter(lambda: os.nice(0) == 19, True)]; sys.exit('as asked')")
    asyncio.run(made.once())
    assert log.lines[0]["reason"] == "as asked"


def test_where_nothing_is_new_no_child_is_started_and_the_snapshots_count_as_fresh():
    made, log = snapshotter(f"print('''{GOOD}''')")
    asyncio.run(made.once())
    made.command = ["/nonexistent/python"]
    made.figures.fresh_s = None
    asyncio.run(made.once())
    assert (log.events(), made.figures.fresh_s) == (["snapshot.done"], 5.0)


def test_an_empty_log_is_left_alone_and_has_no_age():
    made, log = snapshotter("", seq_num=0)
    asyncio.run(made.once())
    assert (log.lines, made.figures.fresh_s) == ([], None)


def test_the_child_is_the_exchange_of_this_environment_and_told_all_that_the_log_is_bound_to():
    command = snapshot_command(Path("/log"), Path("/i.yaml"), 3, None)
    assert command[:5] == [sys.executable, "-P", "-m", "engine.cli", "snapshot"]
    assert command[5:] == ["--log-dir", "/log", "--instruments", "/i.yaml", "--partitions", "3", "--output", "json"]
    assert snapshot_command(Path("/log"), Path("/i.yaml"), 3, Path("/l.yaml"))[-2:] == ["--limits", "/l.yaml"]


def test_a_start_shows_the_snapshots_that_it_finds(tmp_path):
    assert found_on_disk(tmp_path, 2) == SnapshotFigures()
    for partition, numbers in ((0, (5, 12)), (1, (9,))):
        folder = tmp_path / f"partition-0{partition}" / "snapshots"
        folder.mkdir(parents=True)
        for number in numbers:
            (folder / f"{number:020d}.snap").write_bytes(b"")
            os.utime(folder / f"{number:020d}.snap", (number, number))
        (folder / "99.tmp").write_bytes(b"")
    found = found_on_disk(tmp_path, 2)
    assert (found.seq_nums, found.fresh_s) == ({0: 12, 1: 9}, 9.0)
    assert found_on_disk(tmp_path, 3).fresh_s is None
