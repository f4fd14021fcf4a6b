"""`make gen`: writes the files that are made from others. tests/test_generated.py compares them with their sources.

docs/cli.md: the --help of every command of opsctl and exchange, so that the docs cannot tell of an option that is not there.
slo/generated: what `opsctl slo generate` writes. `opsctl slo check` looks for mistakes in the specs first, `make gen` does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import typer.main
from typer.testing import CliRunner

from engine.cli import app as exchange
from ops.cli.main import program
from ops.slo import flow, parse

ROOT = Path(__file__).resolve().parent.parent
SLO_FOLDER = ROOT / "slo" / "generated"
HEADER = "<!-- Made by `make gen` from the commands themselves; do not edit. -->\n# Commands\n"
APPS = {"opsctl": program(), "exchange": exchange}


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


def slo_files() -> dict[Path, str]:
    return {SLO_FOLDER / name: text for name, text in flow.generated(parse.load_all(SLO_FOLDER.parent)).items()}


def generated() -> dict[Path, str]:
    return {ROOT / "docs" / "cli.md": cli_reference()} | slo_files()


def left_over(wanted: Collection[Path]) -> list[Path]:
    """Files that an older spec or an older generator made, and that would still be loaded."""
    return sorted(path for path in SLO_FOLDER.rglob("*") if path.is_file() and path not in wanted)


def main() -> None:
    files = generated()
    for path, text in files.items():
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{'wrote' if changed else 'same '} {path.relative_to(ROOT)}\n")
    for path in left_over(files):
        path.unlink()
        sys.stdout.write(f"removed {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
