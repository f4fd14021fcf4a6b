"""A source tree in the product's form that builds in a second: pure Python, with a CMake project that compiles nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

FILES = {
    "pyproject.toml": """
[build-system]
requires = ["scikit-build-core>=1.0"]
build-backend = "scikit_build_core.build"

[project]
name = "venue"
dynamic = ["version"]
requires-python = ">=3.11"

[project.scripts]
exchange = "engine.cli:main"

[tool.scikit-build]
wheel.packages = ["engine"]
metadata.version.provider = "scikit_build_core.metadata.regex"
metadata.version.input = "engine/_version.py"
""",
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.15)\nproject(venue LANGUAGES NONE)\n",
    "engine/__init__.py": "",
    "engine/_version.py": '"""Version."""\n\n__version__ = "1.0.0"\nCOMMIT = "checkout"\n',
    "engine/cli.py": """
from engine._version import COMMIT, __version__


def main() -> None:
    print(__version__, COMMIT)
""",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"
