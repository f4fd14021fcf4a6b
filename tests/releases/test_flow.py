"""The flow against an in-memory shelf and workshop: which steps run, in which order, and what a refusal leaves."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops.errors import Refused, UsageError
from ops.ports import Release
from ops.releases import flow
from ops.releases.model import BuildAction


@dataclass(frozen=True)
class Folder:
    version: str
    release: Release | None
    problem: str = ""
    source_digest: str = ""
    python: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class Tree:
    root: Path = Path("/source")
    commit: str = "abc"
    dirty: bool = False
    digest: str = "d1"


class Clock:
    def monotonic_s(self):
        return 1.0

    def wall_s(self):
        return 1000.0

    def sleep(self, seconds):
        raise AssertionError("nothing here waits")


@dataclass
class Bench:
    """Shelf and workshop in one; `done` is the order of what was applied."""

    kept: dict[str, Folder] = field(default_factory=dict)
    active: frozenset[str] = frozenset()
    done: list[str] = field(default_factory=list)
    fails_at: str = ""
    tree: Tree = field(default_factory=Tree)

    def _do(self, what):
        if what == self.fails_at:
            raise Refused(f"{what} failed")
        self.done.append(what)
        return what

    def folders(self):
        return tuple(self.kept.values())

    def folder(self, version):
        return self.kept.get(version)

    def installation(self):
        return None

    def running(self):
        return self.active

    def remove(self, version):
        self._do("remove")
        del self.kept[version]

    def look(self, root):
        return self.tree

    def check_tools(self):
        self._do("tools")

    @contextmanager
    def lock(self):
        self._do("lock")
        yield
        self.done.append("unlock")

    def stage(self, version, source):
        self.kept[version] = Folder(version, None, "interrupted")
        return self._do("stage")

    def wheel(self, version):
        return self._do("wheel")

    def environment(self, version):
        return self._do("environment")

    def finish(self, version, source, built_at_s):
        self._do("finish")
        release = Release(version, source.commit, "w", built_at_s, "/x")
        self.kept[version] = Folder(version, release, source_digest=source.digest)
        return release


@contextmanager
def quiet(title):
    yield lambda said: None


def build(bench, version="1.1.0", **options):
    return flow.build(flow.BuildRequest(version, Path("/source"), **options), bench, bench, Clock(), quiet)


STEPS = ["stage", "wheel", "environment", "finish", "unlock"]


def test_a_build_runs_its_steps_under_the_lock_and_vouches_for_it_last():
    bench = Bench()
    report = build(bench)
    assert bench.done == ["tools", "lock", *STEPS]
    assert report.release == Release("1.1.0", "abc", "w", 1000.0, "/x")


def test_building_the_same_source_again_does_nothing():
    bench = Bench()
    first = build(bench).release
    bench.done.clear()
    again = build(bench)
    assert (again.plan.action, again.release, bench.done) == (BuildAction.KEEP, first, [])


def test_a_dry_run_changes_nothing():
    bench = Bench()
    report = build(bench, dry_run=True)
    assert (report.plan.action, report.release, bench.done) == (BuildAction.BUILD, None, [])


def test_a_failed_build_is_cleaned_and_built_by_the_next_one():
    bench = Bench(fails_at="environment")
    with pytest.raises(Refused):
        build(bench)
    assert bench.kept["1.1.0"].release is None
    bench.fails_at = ""
    bench.done.clear()
    assert build(bench).plan.action is BuildAction.REBUILD
    assert bench.done == ["tools", "lock", "remove", *STEPS]


def test_another_source_is_refused_before_the_lock_is_taken():
    bench = Bench()
    build(bench)
    bench.tree = Tree(digest="d2")
    bench.done.clear()
    with pytest.raises(Refused, match="another source"):
        build(bench)
    assert bench.done == []


@pytest.mark.parametrize("known_by", ["caller", "process list"])
def test_a_release_in_use_is_neither_replaced_nor_removed(known_by):
    bench = Bench()
    build(bench)
    in_use = frozenset({"1.1.0"})
    bench.active = in_use if known_by == "process list" else frozenset()
    named = in_use if known_by == "caller" else frozenset()
    with pytest.raises(Refused, match="in use"):
        build(bench, rebuild=True, in_use=named)
    with pytest.raises(Refused, match="in use"):
        flow.remove("1.1.0", bench, bench, in_use=named)
    assert bench.kept["1.1.0"].release


def test_a_removal_takes_the_lock_and_a_dry_one_takes_nothing():
    bench = Bench()
    build(bench)
    bench.done.clear()
    flow.remove("1.1.0", bench, bench, in_use=frozenset(), dry_run=True)
    assert bench.done == []
    flow.remove("1.1.0", bench, bench, in_use=frozenset())
    assert bench.done == ["lock", "remove", "unlock"]


def test_folders_that_are_no_versions_are_left_out():
    bench = Bench(kept={"notes": Folder("notes", None)})
    assert flow.listing(bench) == ()


def test_show_says_what_there_is_when_the_version_is_unknown():
    bench = Bench()
    build(bench)
    assert flow.show("1.1.0", bench).release
    with pytest.raises(Refused) as caught:
        flow.show("2.0.0", bench)
    assert "1.1.0" in caught.value.hint
    with pytest.raises(UsageError):
        flow.show("../x", bench)
