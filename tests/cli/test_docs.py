"""The docs cannot lie: exit codes, links and examples are checked against what is there."""

import re
from pathlib import Path

import pytest

from ops.conventions import ExitCode
from tools.gen import APPS, paths

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


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_that_a_page_tells_of_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    told = re.findall(r"(?:^|`|· )(opsctl|exchange) ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", text, re.M)
    known = {name: set(paths(app)) for name, app in APPS.items()}
    unknown = [
        (program, noun, verb)
        for program, noun, verb in told
        if not any(path[:1] == (noun,) for path in known[program])
        or (verb and any(path[:1] == (noun,) and len(path) == 2 for path in known[program]) and (noun, verb) not in known[program])
    ]
    assert not unknown


def test_the_readme_tells_of_commands_at_all() -> None:
    assert "opsctl deploy 1.1.0 --canary 1%" in (ROOT / "README.md").read_text(encoding="utf-8")
