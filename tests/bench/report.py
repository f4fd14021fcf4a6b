"""What came out: rows, the table on the screen, and build/bench.json. Nothing here measures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure

NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Row:
    """`value` None: it could not be measured, and `note` says why."""

    figure: Figure
    value: float | None = None
    note: str = NOT_MEASURED
    busy: bool = False
    """Some task waited for a processor while it was measured: told, and not judged, unless the bar is held in spite of it."""

    @property
    def holds(self) -> bool | None:
        """None when there is no bar, or nothing can be said. What was not measured does not hold."""
        if self.value is None:
            return False
        if self.figure.bar is None:
            return None
        held = self.value >= self.figure.bar if self.figure.at_least else self.value <= self.figure.bar
        if self.busy and (self.figure.relative or not held):
            return None
        return held

    def as_dict(self) -> dict[str, Any]:
        figure = self.figure
        return {
            "name": figure.name,
            "value": self.value,
            "unit": figure.unit,
            "bar": figure.bar,
            "peer": figure.peer,
            "holds": self.holds,
            "part": figure.part,
            "at_least": figure.at_least,
            "later": figure.later,
            "note": self.note,
            "busy": self.busy,
        }


class Results:
    """The rows of one run. Each figure asked for has its row from the beginning: an error until it is measured."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._rows = {(f.part, f.key): Row(f) for f in figures}
        self._began_s = time.monotonic()

    @property
    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def put(self, part: str, key: str, value: float, note: str, busy: bool = False) -> None:
        self._rows[part, key] = replace(self._rows[part, key], value=value, note=note, busy=busy)

    def failed(self, part: str, why: str, *keys: str) -> None:
        """What of `keys` (all when none are named) has no value yet could not be measured, and why."""
        for place, row in self._rows.items():
            if place[0] == part and (not keys or place[1] in keys) and row.value is None and row.note == NOT_MEASURED:
                self._rows[place] = replace(row, note=why)

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._began_s:6.1f}s] {text}", file=sys.stderr, flush=True)

    def part(self, name: str) -> PartResults:
        return PartResults(self, name)


class PartResults:
    """What a part writes to."""

    def __init__(self, results: Results, part: str) -> None:
        self._results, self._part = results, part

    def put(self, key: str, value: float, note: str = "", *, busy: bool = False) -> None:
        """`busy`: others used the processors meanwhile, so a time or a rate is printed and not judged."""
        self._results.put(self._part, key, value, note, busy)

    def say(self, text: str) -> None:
        """Before anything that takes longer than a second."""
        self._results.say(f"{self._part}: {text}")

    @contextmanager
    def trying(self, *keys: str) -> Iterator[None]:
        """A failure in here costs these figures, and the part goes on."""
        try:
            yield
        except Exception as error:  # whatever it was, it is told in the rows
            self._results.failed(self._part, reason(error), *keys)
            self.say(f"FAILED: {reason(error)}")


def reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:400]
    return text if type(error).__name__ in ("BenchError", "PartTooLong") else f"{type(error).__name__}: {text}"


def table(rows: Sequence[Row]) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("part", "figure", "value", "unit", "bar", "holds", "peer", "note"):
        shown.add_column(column, justify="right" if column in ("value", "bar") else "left", overflow="fold")
    for row in rows:
        figure = row.figure
        value = "-" if row.value is None else number(row.value)
        shown.add_row(figure.part, figure.name, value, figure.unit, bar(figure), word(row), figure.peer or "", row.note)
    return shown


def bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    return f"{'≥' if figure.at_least else '≤'} {number(figure.bar)}{' (later)' if figure.later else ''}"


def word(row: Row) -> str:
    if row.value is None:
        return "ERROR"
    if row.holds is None:
        return "machine busy" if row.busy and row.figure.bar is not None else ""
    return "yes" if row.holds else "not yet" if row.figure.later else "NO"


def number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def summary(rows: Sequence[Row]) -> str:
    errors = [r for r in rows if r.value is None]
    judged = [r for r in rows if r.value is not None and r.holds is not None and not r.figure.later]
    missed = [r for r in judged if not r.holds]
    busy = [r for r in rows if r.holds is None and r.busy and r.figure.bar is not None]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} bars hold"]
    lines += [f"NOT JUDGED, machine busy: {r.figure.name}: {number(r.value or 0)} {r.figure.unit}, bar {bar(r.figure)}" for r in busy]
    lines += [f"NOT HELD: {r.figure.name}: {number(r.value or 0)} {r.figure.unit}, bar {bar(r.figure)}" for r in missed]
    lines += [f"ERROR: {r.figure.name}: {r.note}" for r in errors]
    return "\n".join(lines)


def finish(rows: Sequence[Row], path: Path) -> int:
    """Writes the file, prints the table; the exit code: 1 when something could not be measured, else 0, whatever the bars say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([row.as_dict() for row in rows], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    console = Console()
    if not console.is_terminal:
        console = Console(width=220)
    console.print(table(rows))
    console.print(summary(rows), markup=False, highlight=False)
    return 1 if any(row.value is None for row in rows) else 0
