"""The house rules, held: layers, lint, format, types, clang-tidy, pinned packages, sizes, and nothing left half done."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ops.adapters.release_source import look

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
SCRIPTS = ["tools/setup", "tools/lock"]
TIMEOUT_S = 300
LOCKS = ["requirements.lock", "requirements-venue.lock", "requirements-dev.lock"]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
TIDY_CHECKS = (
    "-*,clang-analyzer-*,bugprone-*,performance-*,-bugprone-easily-swappable-parameters,-bugprone-exception-escape,"
    "-clang-analyzer-optin.performance.Padding"
)
"""Left out: swappable parameters (integers with units in their names are our way), exceptions escaping (bugs are to end the process),
padding (what two threads write is kept on lines apart on purpose)."""
VENUE_IMPORTS = {"aiohttp": "aiohttp", "prometheus_client": "prometheus-client", "rich": "rich", "typer": "typer", "yaml": "pyyaml"}
LIBRARY_FACE = ROOT / "engine/matching.py"
"""For Python programs that embed the engine; no process of the venue imports it, so a release need not carry numpy."""
BROUGHT_ALONG = {"requests", "urllib3"}
"""prometheus-api-client hands out their sessions and errors, so its adapter has to name them."""


def complaint(*command: object) -> str:
    """What a checker says when it fails; empty when it passes."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return f"{command[0]}:\n{done.stdout[-6000:]}{done.stderr[-3000:]}" if done.returncode else ""


def passes(*command: object) -> None:
    said = complaint(*command)
    assert not said, said


def test_lint():
    passes(BIN / "ruff", "check", "--quiet", "--output-format=concise", ".", *SCRIPTS)


def test_format():
    passes(BIN / "ruff", "format", "--check", "--quiet", "--diff", ".", *SCRIPTS)


def test_types():
    passes(BIN / "mypy")


def test_layers():
    passes(BIN / "lint-imports", "--no-cache")


def test_clang_tidy(tmp_path):
    """Two files at a time, warnings are errors; the compile commands come from a configuration of the core alone. The analyzer follows
    fewer paths by day, which takes a third of the time; `make nightly` lets it go as deep as it does by itself."""
    sources = sorted((ROOT / "engine/native/src").glob("*.cpp"))
    assert sources
    cmake = BIN / "cmake" if (BIN / "cmake").exists() else "cmake"
    passes(cmake, "-S", ROOT / "engine/native", "-B", tmp_path, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DCMAKE_BUILD_TYPE=Release")
    header_filter = f"{re.escape(str(ROOT / 'engine/native'))}/.*"
    options = ["-p", tmp_path, "--quiet", f"--checks={TIDY_CHECKS}", "--warnings-as-errors=*", f"--header-filter={header_filter}"]
    if os.environ.get("EXCHANGE_NIGHTLY", "") != "1":
        options += [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]
    with ThreadPoolExecutor(max_workers=2) as pool:
        said = "".join(pool.map(lambda path: complaint("clang-tidy", *options, path), sources))
    assert not said, said


def pins(lock):
    """Package -> version, and package -> number of hashes, of one lock file."""
    versions, hashes, name = {}, {}, ""
    for line in (ROOT / lock).read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+)==(\S+)", line):
            name = match[1]
            versions[name], hashes[name] = match[2], 0
        elif "--hash=sha256:" in line:
            hashes[name] += 1
        else:
            assert not line or line.startswith("#"), f"{lock}: {line}"
    return versions, hashes


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_index_is_named(lock):
    versions, hashes = pins(lock)
    assert versions
    assert [name for name in versions if not hashes[name]] == []
    assert not re.search(r"://|--index|--find-links|--trusted|^-|^/| @ ", (ROOT / lock).read_text(), re.MULTILINE)


def test_the_locks_hold_what_pyproject_asks_for(project):
    wanted = {
        "requirements.lock": [*project["project"]["dependencies"], *project["build-system"]["requires"], "cmake", "ninja"],
        "requirements-dev.lock": [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]],
    }
    for lock, requirements in wanted.items():
        versions, _ = pins(lock)
        for requirement in map(Requirement, requirements):
            pinned = versions.get(canonicalize_name(requirement.name), "0")
            assert Version(pinned) in requirement.specifier, f"{lock}: {requirement} (run `make lock`)"


@pytest.mark.parametrize("lock", ["requirements-venue.lock", "requirements-dev.lock"])
def test_the_other_locks_agree_with_the_first(lock):
    first, other = pins("requirements.lock")[0], pins(lock)[0]
    assert {name: version for name, version in other.items() if first.get(name, version) != version} == {}
    smaller, larger = (other, first) if lock == "requirements-venue.lock" else (first, other)
    assert set(smaller) <= set(larger)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def imported_modules(path):
    return {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}


def test_the_venues_lock_holds_what_the_venue_imports():
    lazily = ROOT / "engine/__init__.py"  # tests/engine/test_matching.py sees to it that it is
    processes = [path for path in (ROOT / "engine").rglob("*.py") if path not in (LIBRARY_FACE, lazily)]
    assert "engine.matching" not in {module for path in processes for module in imported_modules(path)}
    used = {name for path in processes for name in imports(path)} - sys.stdlib_module_names - {"engine"}
    assert used <= set(VENUE_IMPORTS)
    assert {VENUE_IMPORTS[name] for name in used} <= set(pins("requirements-venue.lock")[0])


def test_what_a_product_module_imports_is_declared(project):
    declared = {canonicalize_name(Requirement(text).name) for text in project["project"]["dependencies"]} - {"pyyaml"} | {"yaml"}
    product = [path for folder in ("engine", "ops") for path in (ROOT / folder).rglob("*.py")]
    used = {name.replace("_", "-") for path in product for name in imports(path)}
    ours = {name.replace("_", "-") for name in sys.stdlib_module_names} | {"engine", "ops"}
    assert used - ours - declared - BROUGHT_ALONG == set()


def texts():
    for name in look(ROOT).files:
        path = ROOT / name
        if path.suffix in {".py", ".cpp", ".hpp", ".md", ".toml", ".yml", ".yaml", ".txt", ".j2", ""} and not path.is_symlink():
            yield name, path.read_text(encoding="utf-8")


def test_nothing_is_left_for_later():
    later = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    found = [f"{name}:{number}" for name, text in texts() for number, line in enumerate(text.splitlines(), 1) if later.search(line)]
    assert found == []


def test_no_file_names_a_folder_of_this_machine():
    home = re.compile(re.escape(str(ROOT)) + r"\b")
    assert [name for name, text in texts() if home.search(text)] == []


def test_files_and_functions_keep_a_readable_size():
    large = []
    for path in (path for folder in ("engine", "ops") for path in (ROOT / folder).rglob("*.py")):
        text = path.read_text()
        if text.count("\n") > MAX_FILE_LINES:
            large.append(str(path.relative_to(ROOT)))
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        large += [f"{path.name}:{node.name}" for node in functions if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES]
    assert large == []


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    command = ["make", "--no-print-directory", "help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    assert [line.split()[1] for line in said.splitlines()] == phony


def test_ci_fails_when_the_tests_fail(tmp_path):
    """.ci/run in a folder whose `make test` fails, and in one where it passes."""
    for recipe, expected in (("false", 2), ("true", 0)):
        folder = tmp_path / recipe
        (folder / ".ci").mkdir(parents=True)
        (folder / "Makefile").write_text(f"test:\n\t@{recipe}\n")
        (folder / ".ci/run").write_text((ROOT / ".ci/run").read_text())
        environment = {"PATH": os.environ["PATH"]}
        run = subprocess.run(["bash", folder / ".ci/run"], env=environment, capture_output=True, timeout=30, check=False)
        assert run.returncode == expected
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_changelog_has_the_present_version():
    version = re.search(r'__version__ = "(.+)"', (ROOT / "engine/_version.py").read_text())
    assert version
    assert re.search(rf"^## \[{re.escape(version[1])}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_page_of_releases_tells_of_every_command():
    from ops.cli.releases import app

    page = (ROOT / "docs/releases.md").read_text()
    names = [command.name for command in app.registered_commands]
    assert names
    assert [name for name in names if f"opsctl releases {name}" not in page] == []
