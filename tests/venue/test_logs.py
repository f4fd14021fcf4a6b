"""Log lines for a person, and following a file that grows and is rotated."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.adapters.local import follow_file, tail
from ops.venue.logs import readable


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"ts": "2026-01-01T00:00:00Z", "level": "info", "event": "core.serving", "port": 1, "why": "a b", "n": null}',
            '2026-01-01T00:00:00Z INFO    core.serving port=1 why="a b" n=null',
        ),
        ('{"ts":"t","level":"warn","msg":"slow"}', "t WARN    slow"),
        ("plain text", "plain text"),
        ("{not json", "{not json"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ('{"event": "a\\u001b[2Jb"}', "- -       a\\x1b[2Jb"),
    ],
)
def test_a_line_is_readable(line: str, expected: str) -> None:
    assert readable(line) == expected


@given(st.text())
def test_no_line_breaks_it_or_reaches_the_terminal_raw(line: str) -> None:
    assert all(c.isprintable() or c == "\t" for c in readable(line))


class Steps:
    """A clock whose sleeps change the file."""

    def __init__(self, *steps: object) -> None:
        self._steps = list(steps)

    def sleep(self, _seconds: float) -> None:
        if not self._steps:
            raise KeyboardInterrupt
        self._steps.pop(0)()  # type: ignore[operator]

    def monotonic_s(self) -> float:
        return 0.0

    def wall_s(self) -> float:
        return 0.0


def test_following_yields_whole_lines_and_survives_rotation(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("one\ntwo\n")

    def add(text: str) -> object:
        def step() -> None:
            with log.open("a") as file:
                file.write(text)

        return step

    def rotate() -> None:
        log.rename(tmp_path / "x.log.1")
        log.write_text("five\n")

    seen = []
    with pytest.raises(KeyboardInterrupt):
        for line in follow_file(log, 1, Steps(add("thr"), add("ee\nfour\n"), rotate)):
            seen.append(line)
    assert seen == ["two", "three", "four", "five"]


def test_the_tail_of_nothing_is_nothing(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 5) == ()
    (tmp_path / "x").write_text("a\nb\n")
    assert tail(tmp_path / "x", 0) == ()
    assert tail(tmp_path / "x", 1) == ("b",)
