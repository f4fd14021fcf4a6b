"""`exchange log verify` and `log repair` say what a start would do, and what they leave starts."""

from __future__ import annotations

import json

import pytest
from sample_day import DAY, Sample, timed

from engine import _core
from engine.config import load_instruments
from engine.core.process import CoreSettings, _log_refused
from engine.instruments import engine_config, instruments_digest

HEADER, RECORD, PLACES = 4096, 128, 8


class Start(dict):
    """What a core found, or `refused`."""

    refused: _core.LogError | None = None


def start(day: Sample, partitions: int = 1) -> Start:
    listed = load_instruments(day.instruments)
    core = _core.Core(
        config=engine_config(listed, None, partitions), log_dir=str(day.log_dir), instruments_digest=instruments_digest(listed)
    )
    found = Start()
    try:
        found.update(core.recover())
    except _core.LogError as error:
        found.refused = error
    return found


def segment(day: Sample, number: int):
    return day.log_dir / f"{number:08d}.log"


def overwrite(path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def truncate(path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def place(seq_num: int) -> int:
    return HEADER + (seq_num - 1) % PLACES * RECORD


def damage(day: Sample, *seq_nums: int, data: bytes = b"\x5a" * 40) -> None:
    for seq_num in seq_nums:
        overwrite(segment(day, (seq_num - 1) // PLACES + 1), place(seq_num), data)


def contents(day: Sample) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(day.log_dir.rglob("*")) if path.is_file() and path.name != "lock"}


def verify(exchange, day, *options):
    return exchange("log", "verify", "--log-dir", day.log_dir, *options)


def repair(exchange, day, *options):
    return exchange("log", "repair", "--log-dir", day.log_dir, *options)


def kept_folder(day):
    return next(day.log_dir.glob("damaged-*"))


# ---- Snapshots ----


def test_damage_that_a_snapshot_covers_is_called_damaged_history_and_a_core_starts(exchange, day):
    day.snapshot_at(12)
    damage(day, 4)
    ran = verify(exchange, day)
    assert ran.code == 4
    assert "damaged history: 18 good records, all good up to seq_num 3" in ran.out
    assert "starts from the snapshot of seq_num 12 and the records behind it, up to 19" in ran.out
    assert "good:" not in ran.out and "refuses" not in ran.out
    found = json.loads(verify(exchange, day, "--output", "json").out)
    assert (found["starts"], found["history_damaged"]) == (True, True)
    assert (found["logs"][0]["start_behind"], found["logs"][0]["start_last_seq_num"]) == (12, 19)
    assert [problem["met_by_start"] for problem in found["logs"][0]["problems"]] == [False]
    assert start(day)["last_seq_num"] == len(DAY)


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_a_repair_is_refused_while_a_snapshot_makes_the_log_start(exchange, day, option):
    snapshot = day.snapshot_at(12)
    damage(day, 4)
    before = contents(day)
    ran = repair(exchange, day, option)
    assert ran.code == 1
    assert "not repaired: " in ran.out and "a core starts on this log as it is: from the snapshot of seq_num 12" in ran.out
    assert str(snapshot) in ran.out
    assert contents(day) == before
    assert start(day)["last_seq_num"] == len(DAY)


def test_a_damaged_snapshot_makes_no_log_start_and_is_named(exchange, day):
    snapshot = day.snapshot_at(12)
    overwrite(snapshot, 4200, b"\xff\xff")
    damage(day, 4)
    ran = verify(exchange, day)
    assert ran.code == 1 and "a core refuses to start on it" in ran.out and f"left out by a start: {snapshot}: " in ran.out
    assert start(day).refused


def test_a_repair_cuts_behind_the_snapshot_and_not_at_damage_that_it_covers(exchange, day):
    day.snapshot_at(12)
    damage(day, 4, 15)
    assert verify(exchange, day).code == 1
    assert start(day).refused
    planned = repair(exchange, day, "--dry-run")
    assert "to cut: everything from seq_num 15 on; lost: 4 good records, seq_num 16 to 19" in planned.out
    assert repair(exchange, day, "--yes").code == 0
    assert start(day)["last_seq_num"] == 14
    assert verify(exchange, day).code == 4


def test_a_repair_moves_the_snapshots_of_what_it_cuts_away_and_a_core_starts(exchange, day):
    older, newer = day.snapshot_at(5), day.snapshot_at(18)
    segment(day, 2).unlink()
    assert start(day).refused
    planned = repair(exchange, day, "--dry-run")
    assert f"to move away: {newer}" in planned.out and str(older) not in planned.out
    assert "to cut: everything from seq_num 9 on" in planned.out
    assert newer.exists()
    ran = repair(exchange, day, "--yes")
    assert ran.code == 0 and f"moved away: {newer}" in ran.out
    assert (kept_folder(day) / newer.name).exists() and older.exists() and not newer.exists()
    found = start(day)
    assert (found["last_seq_num"], found["snapshot_seq_num"]) == (8, 5)


def test_a_snapshot_beyond_the_end_of_the_log_is_named_by_verify_and_by_the_core(exchange, day):
    snapshots = [day.snapshot_at(seq_num) for seq_num in (14, 18)]
    damage(day, *range(12, 20), data=bytes(RECORD))  # as a repair of an earlier release left it
    ran = verify(exchange, day)
    assert ran.code == 1 and "good: " not in ran.out
    refused = start(day).refused
    assert refused and refused.cause == "snapshot"
    for snapshot in snapshots:
        assert str(snapshot) in ran.out and str(snapshot) in str(refused)
    assert f"exchange log repair --log-dir {day.log_dir} --dry-run" in str(refused)
    assert "without one" not in str(refused)
    planned = repair(exchange, day, "--dry-run")
    assert "no record is cut" in planned.out and all(f"to move away: {snapshot}" in planned.out for snapshot in snapshots)
    assert repair(exchange, day, "--yes").code == 0
    assert verify(exchange, day).code == 0
    assert start(day)["last_seq_num"] == 11


def test_rot_in_the_last_record_that_a_snapshot_holds_is_no_torn_tail_to_verify(exchange, day):
    snapshot = day.snapshot_at(19)
    damage(day, 19)
    ran = verify(exchange, day)
    assert ran.code == 1 and str(snapshot) in ran.out
    assert start(day).refused


# ---- Folders ----


def partitions_of(day: Sample, count: int) -> None:
    for number in range(count):
        writer = _core.LogWriter(str(day.log_dir / f"partition-{number:02d}"), day.digest(count, number), segment_records=PLACES)
        writer.append([command.as_tuple() for command in timed(DAY[:3])])
        writer.close()


def remove(folder) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize(("gone", "options"), [(0, ()), (1, ()), (2, ("--partitions", 3))])
def test_a_missing_partition_is_an_error_of_verify_and_named(exchange, empty, gone, options):
    partitions_of(empty, 3 if gone == 2 else 2)
    remove(empty.log_dir / f"partition-{gone:02d}")
    ran = verify(exchange, empty, *options)
    assert ran.code == 1 and ran.refused
    assert f"partition-{gone:02d} missing" in ran.refused.message
    assert "restore the folder" in ran.refused.hint


def test_a_refused_start_leaves_no_empty_folder_of_a_lost_partition_behind(empty):
    partitions_of(empty, 2)
    remove(empty.log_dir / "partition-01")
    found = start(empty, 2)
    assert found.refused and "partition-01 holds no segment" in str(found.refused)
    assert not (empty.log_dir / "partition-01").exists()


@pytest.mark.parametrize("command", ["verify", "repair"])
def test_a_folder_without_a_segment_is_no_good_log(exchange, tmp_path, command):
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    ran = exchange("log", command, "--log-dir", tmp_path)
    assert ran.code == 1 and ran.refused and "no log there" in ran.refused.message


def test_the_log_of_a_core_that_never_wrote_is_good(exchange, empty):
    start(empty)
    ran = verify(exchange, empty)
    assert ran.code == 0 and "good: 0 good records" in ran.out


# ---- Segments that are too short, or have a damaged header ----


def test_a_short_segment_keeps_its_good_records(exchange, day):
    truncate(segment(day, 2), HEADER + 5 * RECORD + 7)  # 9 to 13 are whole
    ran = verify(exchange, day)
    assert ran.code == 1 and "damaged: 16 good records, all good up to seq_num 13" in ran.out
    assert "00000002.log        5     9  13" in ran.out
    planned = repair(exchange, day, "--dry-run")
    assert "to mend: " in planned.out and "the places of seq_nums 14..16 are not in the file" in planned.out
    assert "to cut: everything from seq_num 14 on; lost: 3 good records, seq_num 17 to 19" in planned.out
    before = segment(day, 2).read_bytes()
    assert repair(exchange, day, "--yes").code == 0
    assert (kept_folder(day) / "00000002.log").read_bytes() == before
    assert start(day)["last_seq_num"] == 13


@pytest.mark.parametrize("size", [HEADER + 3 * RECORD, HEADER + 5 * RECORD])
def test_a_last_segment_that_lost_only_empty_places_loses_no_record(exchange, day, size):
    truncate(segment(day, 3), size)  # 17 to 19 are whole
    assert start(day).refused
    assert "no record is cut" in repair(exchange, day, "--dry-run").out
    assert repair(exchange, day, "--yes").code == 0
    assert start(day)["last_seq_num"] == len(DAY)


def test_a_short_segment_before_the_snapshot_costs_no_record_behind_it(exchange, day):
    day.snapshot_at(18)
    truncate(segment(day, 2), HEADER + RECORD)
    assert start(day).refused
    assert "no record is cut" in repair(exchange, day, "--yes").out
    assert start(day)["last_seq_num"] == len(DAY)
    assert verify(exchange, day).code == 4


@pytest.mark.parametrize("at", [0, 7, 12, 15, 16, 17, 24, 33, 40, 48, 55])
def test_one_wrong_byte_in_the_header_of_the_only_segment_costs_no_record(exchange, empty, at):
    empty.append(timed(DAY[:5]))
    whole = segment(empty, 1).read_bytes()
    overwrite(segment(empty, 1), at, bytes([whole[at] ^ 0x10]))
    assert start(empty).refused
    ran = verify(exchange, empty)
    assert ran.code == 1 and "5 good records" in ran.out
    assert "no record is cut" in repair(exchange, empty, "--yes").out
    assert segment(empty, 1).read_bytes() == whole
    assert start(empty)["last_seq_num"] == 5


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_lost_header_is_written_again_from_its_neighbours(exchange, day, number):
    whole = segment(day, number).read_bytes()
    overwrite(segment(day, number), 0, bytes(64))
    assert start(day).refused
    assert repair(exchange, day, "--yes").code == 0
    assert segment(day, number).read_bytes() == whole
    assert start(day)["last_seq_num"] == len(DAY)


def test_a_header_that_nothing_proves_is_kept_as_it_is_with_the_records_behind_it(exchange, empty):
    empty.append(timed(DAY[:5]))
    overwrite(segment(empty, 1), 0, bytes(64))
    before = contents(empty)
    ran = repair(exchange, empty, "--yes")
    assert ran.code == 1 and "5 good records stand in this file" in ran.out and "restore it from a copy" in ran.out
    assert contents(empty) == before


def test_a_fault_of_a_segment_hides_no_good_record_in_front_of_it(exchange, day):
    segment(day, 2).unlink()
    ran = verify(exchange, day)
    assert "all good up to seq_num 8" in ran.out
    assert json.loads(verify(exchange, day, "--output", "json").out)["logs"][0]["last_seq_num"] == 8


def test_the_ranges_that_a_repair_loses_are_in_order_and_do_not_overlap(exchange, day):
    damage(day, 4)
    damage(day, 5, data=segment(day, 2).read_bytes()[place(16) : place(16) + RECORD])
    planned = repair(exchange, day, "--dry-run", "--output", "json")
    assert json.loads(planned.out)["logs"][0]["lost"] == [[6, 19]]


# ---- Words ----


def test_a_torn_end_is_not_called_unanswered_for_certain(exchange, day):
    damage(day, 19)
    ran = verify(exchange, day)
    assert ran.code == 0 and "torn: 18 good records" in ran.out and "somebody may have been" in ran.out
    assert "good: " not in ran.out
    assert start(day)["torn"] == [(0, 19, 19)]


def hint_of(day: Sample, found: Start) -> str:
    assert found.refused
    return _log_refused(found.refused, CoreSettings(log_dir=day.log_dir, instruments_path=day.instruments)).hint


def test_the_last_line_of_a_refused_start_fits_its_cause(day):
    assert "the log is not damaged" in hint_of(day, start(day, 2))
    first = _core.LogWriter(str(day.log_dir), day.digest())
    assert "one core at a time" in hint_of(day, start(day))
    first.close()
    damage(day, 4)
    assert "look at the place named above" in hint_of(day, start(day))


def test_a_refused_replay_says_what_to_do_about_its_cause(exchange, day, empty, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text('- {symbol: AAPL, tick_size: "0.01", max_quantity: 7}\n')
    book = ["--at", "last", "--instrument", "AAPL"]
    hint = exchange("replay", "--log-dir", day.log_dir, "--instruments", other, *book).refused.hint
    assert "--instruments" in hint and "log verify" not in hint
    hint = exchange("replay", "--log-dir", tmp_path, "--instruments", day.instruments, *book).refused.hint
    assert "exchange core --log-dir" in hint and "log verify" not in hint


def test_a_replay_of_one_partitions_folder_or_without_one_of_them_says_so(exchange, empty):
    partitions_of(empty, 2)
    asked = ["--instruments", empty.instruments, "--at", "last", "--instrument", "AAPL"]
    alone = exchange("replay", "--log-dir", empty.log_dir / "partition-00", *asked).refused
    assert alone and "the folder of one partition" in alone.hint
    remove(empty.log_dir / "partition-01")
    missing = exchange("replay", "--log-dir", empty.log_dir, *asked).refused
    assert missing and "partition-01 missing" in missing.message
