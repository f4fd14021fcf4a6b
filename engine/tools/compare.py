"""`exchange verify-release`: one log through two builds, and the first report that differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.config import VenueError
from engine.tools.builds import Build, Lines, find_build
from engine.tools.edge import LogFiles, note
from engine.tools.text import number_text, table
from engine.types import CommandKind

Fields = dict[str, Any]
PROGRESS_CHUNKS = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """The first one. A report is None where a build has none at that place; `command` is what both were told."""

    partition: int
    seq_num: int
    place: int
    command: Fields
    old: Fields | None
    new: Fields | None
    only_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` is None when every report of both builds is the same."""

    old: str
    new: str
    commands: int
    reports: int
    same_state: bool
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The log, and up to which seq_num each partition is compared: it may be growing."""

    files: LogFiles
    ends: Sequence[int]

    def arguments(self, partition: int) -> list[str]:
        """Of `engine.tools.stream`."""
        files = self.files
        made = ["--log-dir", str(files.log_dir.absolute()), "--instruments", str(files.instruments.absolute())]
        made += ["--limits", str(files.limits.absolute())] if files.limits is not None else []
        return [*made, "--partition", str(partition), "--until", str(self.ends[partition])]


def compare(old: str, new: str, scope: Scope) -> Comparison:
    """Raises VenueError when one of the builds cannot be found or cannot replay the log."""
    with TemporaryDirectory(prefix="exchange-verify-") as folder:
        scratch = Path(folder)
        builds = (find_build(old, scratch / "old"), find_build(new, scratch / "new"))
        names, commands, reports, same_state = ("", ""), 0, 0, True
        for partition in range(len(scope.ends)):
            found = _compare_partition(builds, scope, partition, scratch)
            if found.difference is not None:
                return found
            names, commands, reports = (found.old, found.new), commands + found.commands, reports + found.reports
            same_state = same_state and found.same_state
    return Comparison(*names, commands, reports, same_state)


def _compare_partition(builds: tuple[Build, Build], scope: Scope, partition: int, scratch: Path) -> Comparison:
    arguments = scope.arguments(partition)
    first, reports, chunks = 1, 0, 0
    with Lines(builds[0], arguments, scratch) as old_lines, Lines(builds[1], arguments, scratch) as new_lines:
        pairs = zip_longest(old_lines, new_lines)
        names = _names(builds, *next(pairs, (None, None)))
        for old, new in pairs:
            if old is None or new is None:
                raise VenueError("one build ends its replay before the other", hint="try again; it should not happen", exit_code=1)
            if "end" in old:
                return Comparison(*names, old["end"], reports, old["state_hash"] == new.get("state_hash"))
            if old != new:
                break
            first, reports, chunks = old["seq_num"] + 1, old["reports"], chunks + 1
            if chunks % PROGRESS_CHUNKS == 0:
                note(f"{number_text(old['seq_num'])} commands compared")
        else:
            raise VenueError("neither build came to the end of the log", hint="try again; it should not happen", exit_code=1)
        last = max(old.get("seq_num", first), new.get("seq_num", first))
    difference = _first_difference(builds, scope, partition, (first, last), scratch)
    return Comparison(*names, difference.seq_num - 1, reports, False, difference)


def _names(builds: tuple[Build, Build], old: Fields | None, new: Fields | None) -> tuple[str, str]:
    made = []
    for build, line in zip(builds, (old, new), strict=True):
        if not line or "version" not in line:
            raise VenueError(f"{build.name}: its replay has another form than this program knows", hint="compare with a newer program")
        made.append(f"{build.name} ({line['version']}, commit {line['commit']})")
    return made[0], made[1]


def _first_difference(builds: tuple[Build, Build], scope: Scope, partition: int, span: tuple[int, int], scratch: Path) -> Difference:
    """Both builds again, with the reports of the chunk whose digests differ."""
    arguments = [*scope.arguments(partition), "--reports", *map(str, span)]
    with Lines(builds[0], arguments, scratch) as old_lines, Lines(builds[1], arguments, scratch) as new_lines:
        for old, new in zip_longest(old_lines, new_lines):
            if old is None or new is None:
                only = old or new
                assert only is not None
                reports = (only["reports"][0], None) if new is None else (None, only["reports"][0])
                return Difference(partition, only["seq_num"], 1, only["command"], *reports)
            for place, (mine, other) in enumerate(_pairs(old["reports"], new["reports"]), 1):
                if mine is None or other is None or _shared(mine, other) != _shared(other, mine):
                    return Difference(partition, old["seq_num"], place, old["command"], mine, other)
    return Difference(partition, span[0], 0, {}, None, None, only_hidden=True)


def _pairs(old: Sequence[Fields], new: Sequence[Fields]) -> Iterator[tuple[Fields | None, Fields | None]]:
    return zip_longest(old, new)


def _shared(one: Fields, other: Fields) -> Fields:
    """Fields by name: a build may know more of them."""
    return {name: value for name, value in one.items() if name in other}


def comparison_lines(found: Comparison) -> list[str]:
    """For people."""
    if found.difference is None:
        lines = [f"same: {number_text(found.commands)} commands give the same {number_text(found.reports)} reports", f"  old: {found.old}",
                 f"  new: {found.new}"]  # fmt: skip
        if not found.same_state:
            lines.append("  note: the state hashes differ, though no report does: the builds keep or hash different things")
        return lines
    difference = found.difference
    head = f"different: the first difference is at seq_num {difference.seq_num}, partition {difference.partition}"
    lines = [head, f"  old: {found.old}", f"  new: {found.new}", ""]
    if difference.only_hidden:
        return [*lines, "no field that both builds report differs from there on; one of them reports more, or digests otherwise"]
    lines += [f"command: {_command_text(difference.command)}", f"report {difference.place} of it:"]
    names = list(dict.fromkeys([*(difference.old or {}), *(difference.new or {})]))
    rows = [_row(name, difference.old, difference.new) for name in names]
    return [*lines, *(f"  {line}" for line in table(("field", "old", "new", ""), rows, left=(0, 3)))]


def _row(name: str, old: Fields | None, new: Fields | None) -> tuple[str, str, str, str]:
    left, right = ("no report" if one is None else str(one.get(name, "no field")) for one in (old, new))
    return name, left, right, "" if left == right else "<- differs"


def _command_text(command: Fields) -> str:
    """The kind by name, then what is not zero."""
    kind = next((one.name.lower() for one in CommandKind if one == command.get("kind")), str(command.get("kind")))
    return " ".join([kind, *(f"{name}={value}" for name, value in command.items() if name != "kind" and value not in (0, ""))])


def comparison_json(found: Comparison) -> dict[str, object]:
    """For machines."""
    made: dict[str, object] = {"same": found.difference is None, "old": found.old, "new": found.new, "commands": found.commands,
                               "reports": found.reports, "same_state_hash": found.same_state}  # fmt: skip
    if found.difference is not None:
        one = found.difference
        made["difference"] = {"partition": one.partition, "seq_num": one.seq_num, "report": one.place, "command": one.command,
                              "old": one.old, "new": one.new}  # fmt: skip
    return made
