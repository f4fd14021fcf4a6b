from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from sample_day import DAY, INSTRUMENTS, Sample, timed

from engine.cli import app
from engine.config import VenueError


@dataclass(frozen=True)
class Ran:
    """`refused` is what engine.cli.main would print as an error."""

    code: int
    out: str
    err: str
    refused: VenueError | None


class Exchange:
    """The program `exchange`, in this process."""

    def __call__(self, *arguments: object, stdin: str | None = None) -> Ran:
        result = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin)
        if isinstance(result.exception, VenueError):
            return Ran(result.exception.exit_code, result.stdout, result.stderr, result.exception)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Ran(result.exit_code, result.stdout, result.stderr, None)


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def empty(tmp_path) -> Sample:
    instruments = tmp_path / "instruments.yaml"
    instruments.write_text(INSTRUMENTS)
    return Sample(tmp_path / "log", instruments)


@pytest.fixture
def day(empty) -> Sample:
    empty.append(timed(DAY))
    return empty
