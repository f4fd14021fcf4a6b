"""The docs cannot lie: exit codes, links and examples are checked against what is there."""

import re
from pathlib import Path

import pytest

from ops.conventions import ExitCode

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "runbooks").glob("*.md")),
]


def test_every_exit_code_is_documented_with_its_number_and_name() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (\w+) \|", (ROOT / "docs" / "exit-codes.md").read_text(), re.M))
    assert rows == {str(int(code)): code.name for code in ExitCode}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing, f"{page.name} links to {missing}"


def test_every_page_of_docs_is_linked_from_somewhere() -> None:
    told = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    lonely = [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in told.replace(f"# {page.name}", "")]
    assert not lonely


def test_every_command_in_the_readme_exists() -> None:
    import click
    import typer.main

    from engine.cli import app as exchange
    from ops.cli.main import app as opsctl

    known = {"opsctl": typer.main.get_command(opsctl), "exchange": typer.main.get_command(exchange)}
    told = re.findall(r"\b(opsctl|exchange) ([a-z]+)(?: ([a-z]+))?", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert told
    for program, noun, verb in told:
        group = known[program]
        assert isinstance(group, click.Group)
        if (program, noun) == ("exchange", "matching"):
            continue
        assert noun in group.commands, f"README tells of `{program} {noun}`"
        inner = group.commands[noun]
        if isinstance(inner, click.Group) and verb:
            assert verb in inner.commands, f"README tells of `{program} {noun} {verb}`"
