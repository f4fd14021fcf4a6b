"""Nouns of building a release, and the two small ports this slice asks for.

A *release* is one folder `<state>/releases/<version>`: a wheel, a virtual environment of its own, and a manifest
that is written last. A folder without a manifest that matches what lies beside it is *half built*: it is listed,
never run, and the next build of that version starts it afresh.

Slices and adapters do not import each other, so what an adapter returns is described here by shape (a Protocol with
read-only members) and made there as a frozen dataclass.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from ops.ports import Release


class Shelved(Protocol):
    """One folder of the shelf, judged."""

    @property
    def version(self) -> str: ...
    @property
    def release(self) -> Release | None:
        """None when the folder is half built."""

    @property
    def problem(self) -> str:
        """Why it is half built, for a person; empty when whole."""

    @property
    def source_digest(self) -> str:
        """sha256 of the source it was built from; empty when half built."""

    @property
    def python(self) -> str:
        """Python version of its environment, such as 3.11.7; empty when half built."""

    @property
    def size_bytes(self) -> int: ...


class Source(Protocol):
    """A tree to build from."""

    @property
    def root(self) -> Path: ...
    @property
    def commit(self) -> str:
        """Twelve hex digits, or a word when there is no commit to name."""

    @property
    def dirty(self) -> bool:
        """Whether the tree holds something that no commit holds."""

    @property
    def digest(self) -> str:
        """sha256 over paths and contents."""


S = TypeVar("S", bound=Source)


class Shelf(Protocol):
    """What lies in the releases folder."""

    def folders(self) -> tuple[Shelved, ...]:
        """Every version folder, whole or not, in no promised order."""

    def folder(self, version: str) -> Shelved | None: ...

    def installation(self) -> Release | None:
        """The product that runs this very program, as a release; None when it has no `exchange` program."""

    def running(self) -> frozenset[str]:
        """Versions whose programs run on this machine now, whoever started them."""

    def remove(self, version: str) -> None:
        """Delete the folder; the manifest goes first, so that an interrupted removal leaves a half-built folder."""


class Workshop(Protocol[S]):
    """The steps of a build. Each is bounded in time and raises Refused or Unavailable with the end of its log."""

    def look(self, root: Path) -> S:
        """Read the tree. Raises UsageError when it is not a source of this product."""

    def check_tools(self) -> None:
        """Raises Refused, saying what to install, when this Python cannot build the product."""

    def lock(self) -> AbstractContextManager[None]:
        """One build or removal at a time. Raises Refused naming the other's process."""

    def stage(self, version: str, source: S) -> str:
        """Bring the staged copy up to date; returns what it did, for a person."""

    def wheel(self, version: str) -> str: ...
    def environment(self, version: str) -> str: ...
    def finish(self, version: str, source: S, built_at_s: float) -> Release:
        """Write the manifest: from here on the release is whole."""


class BuildAction(StrEnum):
    BUILD = "build"
    REBUILD = "rebuild"
    """Something of this version is there: it is removed first."""
    KEEP = "keep"
    """The same source was built before; nothing to do."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What a build would do, decided from facts alone."""

    version: str
    action: BuildAction
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did. `release` is None after a dry run."""

    plan: BuildPlan
    release: Release | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `opsctl releases list`."""

    version: str
    release: Release | None
    problem: str
    installation: bool
    size_bytes: int
    python: str = ""
    in_use: bool = False
