"""`make gen`: writes the files that are made from others. tests/test_generated.py compares them with their sources.

docs/cli.md: the --help of every command of opsctl and exchange, so that the docs cannot tell of an option that is not there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import typer.main

ROOT = Path(__file__).resolve().parent.parent
HEADER = "<!-- Made by `make gen` from the commands themselves; do not edit. -->\n# Commands\n"


def commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    """Depth first, in the order of --help; hidden ones left out."""
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            if not child.hidden:
                found += commands(child, f"{path} {name}")
    return found


def cli_reference() -> str:
    from engine.cli import app as exchange
    from ops.cli.main import app as opsctl

    parts = [HEADER]
    for name, app in (("opsctl", opsctl), ("exchange", exchange)):
        for path, command in commands(typer.main.get_command(app), name):
            context = click.Context(command, info_name=path, max_content_width=110, terminal_width=110)
            parts.append(f"\n## `{path}`\n\n```\n{command.get_help(context).rstrip()}\n```\n")
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
