"""`exchange snapshot`, `exchange replay --verify`, and `exchange log`."""

from __future__ import annotations

import json

import pytest
from sample_day import DAY, Sample, order, timed

from engine import _core
from engine.types import Side


def asked(command: str, day: Sample, *arguments: object) -> list[object]:
    return [command, "--log-dir", day.log_dir, "--instruments", day.instruments, *arguments]


def damage(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_a_snapshot_is_made_once_for_one_end_of_the_log(exchange, day):
    ran = exchange(*asked("snapshot", day))
    path = day.log_dir / "snapshots" / f"{len(DAY):020d}.snap"
    assert ran.code == 0 and path.exists()
    assert f"seq_num {len(DAY)} of 2026-11-20T10:15:18.123456789Z, 1 live order; 19 commands replayed" in ran.out
    before = path.stat().st_mtime_ns
    assert "no command since, nothing written" in exchange(*asked("snapshot", day)).out
    assert path.stat().st_mtime_ns == before


def test_a_dry_run_says_which_snapshot_would_be_written_and_writes_none(exchange, day):
    ran = exchange(*asked("snapshot", day, "--dry-run"))
    assert ran.code == 0 and f"would write a snapshot of seq_num {len(DAY)} into {day.log_dir / 'snapshots'}" in ran.out
    assert not (day.log_dir / "snapshots").exists()
    exchange(*asked("snapshot", day))
    assert "nothing would be written" in exchange(*asked("snapshot", day, "--dry-run")).out
    (one,) = json.loads(exchange(*asked("snapshot", day, "--dry-run", "--output", "json")).out)["snapshots"]
    assert one == {"partition": 0, "seq_num": len(DAY), "newest_seq_num": len(DAY), "would_write": False}


def test_a_snapshot_goes_on_from_the_one_before_and_the_newest_are_kept(exchange, day):
    exchange(*asked("snapshot", day))
    for number in range(3):
        day.append(timed((order(7, Side.BUY, 1, 100),), start_ns=timed(DAY)[-1].ts_ns + number))
        made = json.loads(exchange(*asked("snapshot", day, "--output", "json", "--keep", 2)).out)["snapshots"][0]
        assert (made["seq_num"], made["records"], made["written"]) == (len(DAY) + number + 1, 1, True)
        assert made["state_hash"] == f"{_core.read_snapshot(made['path'])['state_hash']:016x}"
    assert [path.stem[-2:] for path in sorted((day.log_dir / "snapshots").glob("*.snap"))] == ["21", "22"]


def test_a_snapshot_is_made_while_a_core_has_the_log_open(exchange, day):
    writer = _core.LogWriter(str(day.log_dir), day.digest())
    try:
        assert exchange(*asked("snapshot", day)).code == 0
        assert "a core has it open" in exchange("log", "verify", "--log-dir", day.log_dir).out
    finally:
        writer.close()


def test_an_empty_log_gives_no_snapshot(exchange, empty):
    empty.append([])
    ran = exchange(*asked("snapshot", empty))
    assert ran.code == 1 and ran.refused and "no command yet" in ran.refused.message


@pytest.mark.parametrize("at", [3, 9, 100, 4095, 4100, 4200, -1])
def test_a_damaged_snapshot_is_left_out_with_a_warning_and_the_log_still_tells_all(exchange, day, at):
    day.snapshot_at(7)
    newest = day.snapshot_at(12)
    whole = exchange(*asked("replay", day, "--at", "last", "--instrument", "AAPL")).out
    damage(newest, at)
    ran = exchange(*asked("replay", day, "--at", "last", "--instrument", "AAPL"))
    assert ran.out == whole
    assert f"warning: {newest}: " in ran.err and "left out" in ran.err


def test_verify_holds_every_snapshot_against_the_log(exchange, day):
    for seq_num in (4, 11, 19):
        day.snapshot_at(seq_num)
    ran = exchange(*asked("replay", day, "--verify"))
    assert ran.code == 0
    assert "the log and 3 snapshots agree" in ran.out
    found = json.loads(exchange(*asked("replay", day, "--verify", "--output", "json")).out)
    assert found["agree"]
    assert [(one["seq_num"], one["records"]) for one in found["checks"]] == [(19, 19), (4, 15), (11, 8), (19, 0)]
    assert len({one["state_hash"] for one in found["checks"]}) == 1


def test_verify_names_a_damaged_snapshot_and_one_of_another_log(exchange, day, tmp_path):
    damage(day.snapshot_at(4), 4200)
    other = Sample(tmp_path / "other", day.instruments)
    other.append(timed(DAY[:5], start_ns=1))
    foreign = other.snapshot_at(5)
    foreign.rename(day.log_dir / "snapshots" / foreign.name)
    ran = exchange(*asked("replay", day, "--verify"))
    assert ran.code == 3
    assert "2 of 2 snapshots failed" in ran.out
    assert "not usable: offset 4096: the block is damaged (CRC)" in ran.out
    assert "not usable: the log does not hold the record that it ends with" in ran.out


def test_a_good_log_is_verified_segment_by_segment(exchange, day):
    ran = exchange("log", "verify", "--log-dir", day.log_dir)
    assert ran.code == 0
    assert "00000003.log" in ran.out
    assert "good: 19 good records, the log ends at seq_num 19" in ran.out


def test_a_damaged_log_is_named_planned_and_cut_back(exchange, day):
    damage(day.log_dir / "00000002.log", 4096 + 128 * 3 + 50)
    ran = exchange("log", "verify", "--log-dir", day.log_dir)
    assert ran.code == 1 and "damaged: " in ran.out and "00000002.log: offset 4480" in ran.out
    plan = exchange("log", "repair", "--log-dir", day.log_dir, "--dry-run")
    assert plan.code == 0 and "to cut: everything from seq_num 12 on; lost: 7 good records, seq_num 13 to 19" in plan.out
    assert exchange("log", "verify", "--log-dir", day.log_dir).code == 1
    refused = exchange("log", "repair", "--log-dir", day.log_dir, stdin="n\n")
    assert refused.code == 1 and "nothing was changed" in refused.err
    assert exchange("log", "verify", "--log-dir", day.log_dir).code == 1
    done = exchange("log", "repair", "--log-dir", day.log_dir, "--yes")
    assert done.code == 0 and "what was there is kept in" in done.out
    assert "good: 11 good records" in exchange("log", "verify", "--log-dir", day.log_dir).out
    assert "nothing to repair" in exchange("log", "repair", "--log-dir", day.log_dir).out
