"""A damaged record in the middle of a log: no tool takes it for the log's end, and each names its place."""

from __future__ import annotations

import pytest
from sample_day import Sample, end_of_day, order, session, timed

from engine.types import SessionState, Side

PLACES = 8
"""A segment of the sample."""


def flip(day: Sample, seq_num: int) -> str:
    """Damages one record; gives "<segment>: offset <n>"."""
    path = day.log_dir / f"{(seq_num - 1) // PLACES + 1:08d}.log"
    offset = 4096 + (seq_num - 1) % PLACES * 128
    data = bytearray(path.read_bytes())
    data[offset + 60] ^= 1
    path.write_bytes(data)
    return f"{path.name}: offset {offset}"


def eod(day: Sample) -> list[object]:
    return ["eod", "--log-dir", day.log_dir, "--instruments", day.instruments, "--date", "2026-11-20"]


@pytest.mark.parametrize("seq_num", [2, 9, 17, 18])
def test_the_end_of_day_names_the_damage_before_it_and_does_not_say_that_the_day_never_ended(exchange, day, seq_num):
    place = flip(day, seq_num)
    ran = exchange(*eod(day))
    assert ran.code == 1 and ran.refused
    assert place in ran.refused.message and "exchange log verify" in ran.refused.hint


def test_a_refused_end_of_day_before_the_damage_does_not_lead_to_a_second_settlement(exchange, empty):
    late = [order(7, Side.BUY, 1, 100, instrument=1)] * 3
    empty.append(timed((session(SessionState.CLOSED, 0), end_of_day(), *late, session(SessionState.CLOSED), end_of_day())))
    assert exchange(*eod(empty)).code == 0
    place = flip(empty, 5)
    ran = exchange(*eod(empty))
    assert ran.code == 1 and ran.refused and place in ran.refused.message
    assert "sequenced again" not in ran.refused.hint


def test_a_book_far_before_the_damage_is_shown(exchange, day):
    flip(day, 16)
    asked = ["replay", "--log-dir", day.log_dir, "--instruments", day.instruments, "--instrument", "AAPL", "--seq-num", "3"]
    assert exchange(*asked).code == 0
    assert exchange(*asked[:-1], "17").code == 1
