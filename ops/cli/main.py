"""opsctl: the command line. One module per noun; each parses, calls a flow, prints. Heavy imports wait until a command runs, and of the
nouns only the one that is named is read."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from functools import partialmethod
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperArgument, TyperOption

from ops.conventions import ExitCode
from ops.errors import OpsError

NOUNS = {
    "venue": ("up", "down", "status", "logs"),
    "deploy": ("deploy", "rollback", "guardian"),
    "releases": ("releases",),
    "history": ("history",),
    "calendar": ("calendar",),
    "slo": ("slo",),
    "budget": ("budget",),
}
"""Modules beside this one and the commands that each brings, in the order of --help."""
FEW_COLLECTIONS = 50_000
"""Objects made between two looks for garbage. A command makes many and drops few: at Python's 700 a fifth of its time went into looking."""
TYPER_ABORTED = (1, 130)
EPILOG = """
Examples:  opsctl up --gateways 4  ·  opsctl releases build --version 1.1.0  ·  opsctl deploy 1.1.0 --canary 1%  ·
opsctl status  ·  opsctl rollback  ·  opsctl history show 1 --plot out.png  ·  opsctl down
"""


def program(word: str = "") -> typer.Typer:
    """The program with all its commands; when `word` is one of them, with those of its noun alone."""
    app = typer.Typer(
        name="opsctl",
        help="Run a trading venue: start it, ship releases that roll themselves back, see what happened.",
        epilog=EPILOG,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_no_options)
    for noun in [noun for noun, words in NOUNS.items() if word in words] or NOUNS:
        module = import_module(f"ops.cli.{noun}")
        if hasattr(module, "register"):
            module.register(app)
        else:
            app.add_typer(module.app, name=noun)
    return app


def _no_options() -> None:
    """Without it, Typer would make a program of one command that command itself."""


def main() -> None:
    """Entry point. A user's mistake is told in two lines, without a traceback; the exit code says its kind (docs/exit-codes.md)."""
    gc.set_threshold(FEW_COLLECTIONS)
    _keep_defaults()
    try:
        program(sys.argv[1] if len(sys.argv) > 1 else "")()
    except OpsError as error:
        _tell(error)
        sys.exit(int(error.exit_code))
    except SystemExit as ended:
        # Typer's own codes for Ctrl-C and for "no" at a question; exit code 1 is kept for faults of opsctl, which end with a traceback.
        sys.exit(int(ExitCode.ABORTED) if ended.code in TYPER_ABORTED else ended.code)


def _keep_defaults() -> None:
    """Take a default as it stands. Typer converts it like a word that was typed, and for that imports pydantic, which takes longest."""
    for kind in (TyperOption, TyperArgument):
        setattr(kind, "process_value", partialmethod(_processed, kind.process_value))  # noqa: B010 - mypy does not know it otherwise


def _processed(param: Any, convert: Callable[[Any, Any, Any], Any], context: Any, value: Any) -> Any:
    if value is not param.default or param.required or param.multiple or param.nargs != 1:
        return convert(param, context, value)
    return param.callback(context, param, value) if param.callback else value


def _tell(error: OpsError) -> None:
    if {"json", "--json", "--output=json"} & set(sys.argv[1:]):
        from ops.cli.common import print_json

        print_json({"error": {"message": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}})
    sys.stderr.write(f"error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  next: {error.hint}\n")


if __name__ == "__main__":
    main()
