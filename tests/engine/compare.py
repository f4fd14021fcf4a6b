"""Two engines side by side: where do they part, and by which few commands?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from engine.reference import ReferenceEngine
from engine.types import Command, CommandKind, EngineConfig, ExecType
from tests.engine.engines import AnyEngine, tell, view

SHRINK_RUNS = 3_000
BY_ORDER_ID = (CommandKind.CANCEL, CommandKind.REDUCE, CommandKind.AMEND)
PLAINER: tuple[dict[str, Any], ...] = ({"cl_ord_id": ""}, {"stop_price_ticks": 0}, {"ts_ns": 0}, {"tif": 0}, {"instrument": 0}, {"qty": 1})
MakeEngines = Callable[[], tuple[AnyEngine, AnyEngine]]


def as_python(commands: Sequence[Command]) -> str:
    """Lines to paste: only what differs from the defaults."""
    lines = []
    for command in commands:
        kind = CommandKind(command.kind).name if command.kind in set(CommandKind) else command.kind
        named = [f"CommandKind.{kind}" if isinstance(kind, str) else str(kind)]
        for field in fields(Command)[1:]:
            value = getattr(command, field.name)
            if value != field.default:
                named.append(f"{field.name}={value!r}" if isinstance(value, str) else f"{field.name}={int(value)}")
        lines.append(f"Command({', '.join(named)}),")
    return "\n".join(lines)


def first_difference(engines: tuple[AnyEngine, AnyEngine], commands: Sequence[Command], instruments: int) -> str:
    """Text of the first difference in reports, hash or view; empty when there is none."""
    left, right = engines
    for position, command in enumerate(commands):
        one, two = left.apply(command), right.apply(command)
        if one != two:
            told = [
                "\n    ".join([name, *map(tell, reports), *(str(tuple(map(int, report))) for report in reports)])
                for name, reports in (("left", one), ("right", two))
            ]
            return f"reports differ at command {position + 1}\n  " + "\n  ".join(told)
        if left.state_hash() != right.state_hash():
            shown = [str(view(engine, range(instruments + 1))) for engine in engines]
            return f"state hashes differ after command {position + 1}\n  " + "\n  ".join(shown)
    shown = [view(engine, range(instruments + 1)) for engine in engines]
    return "" if shown[0] == shown[1] else f"the engines show different states\n  {shown[0]}\n  {shown[1]}"


class Step(NamedTuple):
    """A command that names an order by the number of the step that made it, so that steps before it may go."""

    number: int
    command: Command
    made_by: int | None


def to_steps(config: EngineConfig, commands: Sequence[Command]) -> list[Step]:
    engine = ReferenceEngine(config)
    makers: dict[int, int] = {}
    steps = []
    for number, command in enumerate(commands):
        made_by = makers.get(command.order_id) if command.kind in BY_ORDER_ID else None
        steps.append(Step(number, command, made_by))
        makers |= {report.order_id: number for report in engine.apply(command) if report.exec_type == ExecType.NEW}
    return steps


def to_commands(config: EngineConfig, steps: Sequence[Step]) -> list[Command]:
    engine = ReferenceEngine(config)
    ids: dict[int, int] = {}
    commands = []
    for step in steps:
        command = step.command if step.made_by is None else replace(step.command, order_id=ids.get(step.made_by, 0))
        commands.append(command)
        for report in engine.apply(command):
            if report.exec_type == ExecType.NEW:
                ids[step.number] = report.order_id
    return commands


def shrink(config: EngineConfig, commands: Sequence[Command], fails: Callable[[Sequence[Command]], bool]) -> list[Command]:
    """Fewer and simpler commands that still fail: leaves out ever smaller pieces, then fields, for a bounded number of runs."""
    left, runs = to_steps(config, commands), 0
    piece = max(1, len(left) // 2)

    def still_fails(steps: Sequence[Step]) -> bool:
        nonlocal runs
        runs += 1
        return runs < SHRINK_RUNS and fails(to_commands(config, steps))

    while runs < SHRINK_RUNS:
        before, at = len(left), 0
        while at < len(left):
            shorter = left[:at] + left[at + piece :]
            if still_fails(shorter):
                left = shorter
            else:
                at += piece
        if piece == 1 and len(left) == before:
            break
        piece = max(1, piece // 2)
    for at, step in enumerate(left):
        for plain in PLAINER:
            simpler = [*left[:at], step._replace(command=replace(left[at].command, **plain)), *left[at + 1 :]]
            if still_fails(simpler):
                left = simpler
    return to_commands(config, left)


def explain(make: MakeEngines, config: EngineConfig, commands: Sequence[Command]) -> str:
    """Empty when both agree on all of it; else the shortest sequence found that parts them, and how."""
    count = len(config.instruments)
    if not first_difference(make(), commands, count):
        return ""
    few = shrink(config, commands, lambda candidate: bool(first_difference(make(), candidate, count)))
    return f"{config}\n{as_python(few)}\n{first_difference(make(), few, count)}"
