"""`make gen`: writes the files that are made from others. tests/test_generated.py compares them with their sources.

docs/cli.md: the --help of every command of opsctl and exchange, so that the docs cannot tell of an option that is not there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from engine.cli import app as exchange
from ops.cli.main import app as opsctl

ROOT = Path(__file__).resolve().parent.parent
HEADER = "<!-- Made by `make gen` from the commands themselves; do not edit. -->\n# Commands\n"
APPS = {"opsctl": opsctl, "exchange": exchange}


def paths(app: typer.Typer) -> list[tuple[str, ...]]:
    """Every command that is shown, depth first, in the order of --help; the program itself is ()."""

    def walk(command: Any, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        children = getattr(command, "commands", {})
        return [path] + [p for name, child in children.items() if not child.hidden for p in walk(child, (*path, name))]

    return walk(typer.main.get_command(app), ())


def help_of(name: str, path: tuple[str, ...]) -> str:
    environment = {"COLUMNS": "110", "TERMINAL_WIDTH": "110", "HOME": os.environ.get("HOME", "/"), "OPSCTL_STATE": ""}
    done = CliRunner().invoke(APPS[name], [*path, "--help"], prog_name=name, env=environment)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def cli_reference() -> str:
    parts = [HEADER]
    for name, app in APPS.items():
        parts += [f"\n## `{' '.join((name, *path))}`\n\n```\n{help_of(name, path)}\n```\n" for path in paths(app)]
    return "".join(parts)


def generated() -> dict[Path, str]:
    return {ROOT / "docs" / "cli.md": cli_reference()}


def main() -> None:
    for path, text in generated().items():
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{'wrote' if changed else 'same '} {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
