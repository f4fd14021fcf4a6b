"""Version names, their order, and what a build or a removal may do."""

from dataclasses import dataclass

import pytest

from ops.errors import UsageError
from ops.ports import Release
from ops.releases import decide
from ops.releases.model import BuildAction

RELEASE = Release("1.1.0", "abc", "d" * 64, 5.0, "/x/exchange")


@dataclass(frozen=True)
class Folder:
    version: str = "1.1.0"
    release: Release | None = RELEASE
    problem: str = ""
    source_digest: str = "same"
    python: str = "3.11.7"
    size_bytes: int = 10


@pytest.mark.parametrize(
    "version", ["0.0.0", "1.0.0", "10.20.30", "1.0.0rc1", "1.0.0a0", "1.0.0.post2", "1.0.0.dev3", "1.0.0b2.post1.dev4"]
)
def test_a_version_is_three_numbers_with_at_most_a_pre_release(version):
    assert decide.check_version(version) == version


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("abc", "not three numbers"),
        ("", "empty"),
        ("../x", "path"),
        ("1.0.0/../../etc", "path"),
        (".build", "path"),
        ("..", "path"),
        ("v1.0.0", "leading v"),
        ("1.0", "fewer than three"),
        ("1.0.01", "starts with a zero"),
        ("1.0.0+local", "local part"),
        ("1.0.0\n", "blank"),
        ("1.0.0 ", "blank"),
        ("1.0.\u0660", "plain letters"),
        ("--help", "not three numbers"),
        ("1.0.0-rc1", "not three numbers"),
        ("1.0.9999999999", "not three numbers"),
    ],
)
def test_anything_else_is_refused_naming_the_reason(text, reason):
    with pytest.raises(UsageError, match=reason):
        decide.check_version(text)


def test_versions_are_ordered_as_pythons_packages_are():
    order = [
        "1.0.0.dev1",
        "1.0.0a1",
        "1.0.0b1.dev1",
        "1.0.0b1",
        "1.0.0rc1",
        "1.0.0rc1.post1",
        "1.0.0rc2",
        "1.0.0",
        "1.0.0.post1.dev1",
        "1.0.0.post1",
        "1.0.1",
        "1.2.0",
        "1.10.0",
    ]
    assert sorted(reversed(order), key=decide.version_key) == order


def plan(present, digest="same", *, rebuild=False, in_use=frozenset()):
    return decide.plan_build("1.1.0", present, digest, rebuild=rebuild, in_use=in_use)


def test_a_new_version_is_built():
    assert plan(None).action is BuildAction.BUILD


def test_the_same_source_is_not_built_twice():
    assert plan(Folder()).action is BuildAction.KEEP


def test_another_source_under_the_same_version_is_refused_and_says_both_ways_on():
    refused = plan(Folder(), "other")
    assert refused.action is BuildAction.REFUSE
    assert "--rebuild" in refused.hint
    assert "new version" in refused.hint


def test_rebuild_replaces_a_whole_release_unless_it_is_in_use():
    assert plan(Folder(), "other", rebuild=True).action is BuildAction.REBUILD
    assert plan(Folder(), "other", rebuild=True, in_use=frozenset({"1.1.0"})).action is BuildAction.REFUSE


def test_what_is_half_built_is_built_afresh_unless_something_runs_from_it():
    half = Folder(release=None, problem="no manifest", source_digest="")
    assert plan(half).action is BuildAction.REBUILD
    assert "no manifest" in plan(half).reason
    assert plan(half, in_use=frozenset({"1.1.0"})).action is BuildAction.REFUSE


def test_a_removal_names_what_is_there_or_who_is_in_the_way():
    assert decide.refuse_removal("1.1.0", ["1.1.0"], frozenset()) == ("", "")
    message, hint = decide.refuse_removal("1.3.0", ["1.10.0", "1.2.0"], frozenset())
    assert "no built release 1.3.0" in message
    assert hint.endswith("1.2.0, 1.10.0")
    assert decide.refuse_removal("1.1.0", ["1.1.0"], frozenset({"1.1.0"}))[0] == "1.1.0 is in use"


def test_the_installation_comes_first_unless_a_whole_build_has_its_version():
    own = Release("1.1.0", "checkout", "e" * 64, 1.0, "/own/exchange")
    half = Folder(release=None, problem="no manifest")
    listed = decide.rows([Folder("1.2.0"), half], own, frozenset({"1.2.0"}))
    assert [(row.version, row.installation, row.in_use) for row in listed] == [
        ("1.1.0", True, False),
        ("1.1.0", False, False),
        ("1.2.0", False, True),
    ]
    assert [row.installation for row in decide.rows([Folder()], own, frozenset())] == [False]
