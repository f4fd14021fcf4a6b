"""What every command shares: the options of one meaning, printing, and how errors reach a person. Light imports only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ops.config import state_dir
from ops.errors import OpsError


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


StateOption = Annotated[
    Path | None, typer.Option("--state", help="The venue's state folder.", envvar="OPSCTL_STATE", show_default="~/.local/state/opsctl")
]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How to print: a table for a person, or JSON on stdout for a pipeline.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]


def state_of(option: Path | None) -> Path:
    return state_dir(option)


class Lines:
    """An observer of a flow that prints what was done, a line each, on stderr."""

    def tick(self, view: Any) -> None:
        del view

    def say(self, text: str) -> None:
        say(text)


def finish_left(state: Path) -> None:
    """Finish the rollback of a release whose `opsctl deploy` died. Costs one look at a file when there is no journal."""
    if not (state / "journal.db").exists() or not (state / "venue.json").exists():
        return
    from ops import wiring
    from ops.deploy import flow

    try:
        ports = wiring.deploy_ports(state, None)
    except OpsError as error:
        say(f"note: whether a release was left unfinished cannot be told: {error.message}")
        return
    flow.finish_left(ports, Lines())


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def say(text: str) -> None:
    """One line for a person, on stderr: stdout is for data."""
    print(text, file=sys.stderr, flush=True)


def answer(output: Output, data: Any, text: Callable[[], None]) -> None:
    if output is Output.JSON:
        print_json(data)
    else:
        text()
