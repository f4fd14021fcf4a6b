"""Pure decisions about releases: which version names are good, how they are ordered, what a build or a removal may do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ops.errors import UsageError
from ops.ports import Release
from ops.releases.model import BuildAction, BuildPlan, Row, Shelved

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_VERSION = re.compile(
    rf"(?P<x>{_NUMBER})\.(?P<y>{_NUMBER})\.(?P<z>{_NUMBER})"
    rf"(?:(?P<pre>a|b|rc)(?P<pre_n>{_NUMBER}))?"
    rf"(?:\.post(?P<post>{_NUMBER}))?"
    rf"(?:\.dev(?P<dev>{_NUMBER}))?"
)
_LAST = 10**9
"""After every number a version may hold."""


def check_version(text: str) -> str:
    """`text` when it names a release: x.y.z, then at most one each of a1/b1/rc1, .post1 and .dev1, spelled canonically.

    Raises UsageError naming what is wrong. A version becomes a folder's name, so nothing else may pass.
    """
    if is_version(text):
        return text
    raise UsageError(
        f"{text!r} is not a version: {_why_not(text)}", hint="three numbers, such as 1.1.0, or a pre-release of them: 1.1.0rc1"
    )


def is_version(text: str) -> bool:
    """Whether `text` names a release; other folders beside the releases are none of ours."""
    return bool(_VERSION.fullmatch(text))


def _why_not(text: str) -> str:
    complaints = (
        (not text, "it is empty"),
        (re.search(r"[/\\]|^\.", text), "it looks like a path, and a version becomes a folder's name"),
        (re.search(r"[^!-~]", text), "it holds a blank or a character other than plain letters, digits and points"),
        ("+" in text, "a local part (after +) is not kept apart from the version itself"),
        (re.match(r"v\d", text), "write it without the leading v"),
        (re.fullmatch(r"\d+(\.\d+)?", text), "it has fewer than three numbers"),
        (re.search(r"(^|\.)0\d", text), "a number starts with a zero"),
    )
    return next((complaint for holds, complaint in complaints if holds), "it is not three numbers with points between them")


def version_key(version: str) -> tuple[int, ...]:
    """Sort key in the order of Python's packages: 1.0.0.dev1 < 1.0.0a1 < 1.0.0rc1 < 1.0.0 < 1.0.0.post1 < 1.0.1."""
    match = _VERSION.fullmatch(version)
    assert match, version
    base = tuple(int(match[part]) for part in "xyz")
    post = -1 if match["post"] is None else int(match["post"])
    dev = _LAST if match["dev"] is None else int(match["dev"])
    if match["pre"]:
        pre = (("a", "b", "rc").index(match["pre"]), int(match["pre_n"]))
    elif match["dev"] and not match["post"]:
        pre = (-1, 0)
    else:
        pre = (3, 0)
    return (*base, *pre, post, dev)


def plan_build(version: str, present: Shelved | None, source_digest: str, *, rebuild: bool, in_use: frozenset[str]) -> BuildPlan:
    """What to do about `version`, given what lies in its folder (None: nothing) and the digest of the source at hand."""
    if present is None:
        return BuildPlan(version, BuildAction.BUILD, "nothing of this version is there")
    if present.release is not None and not rebuild:
        if present.source_digest == source_digest:
            return BuildPlan(version, BuildAction.KEEP, "already built from this very source")
        return BuildPlan(
            version,
            BuildAction.REFUSE,
            f"{version} is already built from another source (commit {present.release.commit})",
            "give the new source a new version, or replace the old build with --rebuild",
        )
    if version in in_use:
        return BuildPlan(version, BuildAction.REFUSE, f"{version} is in use; its files cannot be replaced", "release another version first")
    why = "asked for with --rebuild" if present.release is not None else f"what is there is half built: {present.problem}"
    return BuildPlan(version, BuildAction.REBUILD, why)


def refuse_removal(version: str, known: Sequence[str], in_use: frozenset[str]) -> tuple[str, str]:
    """(message, hint) against removing `version`; two empty strings when nothing speaks against it."""
    if version not in known:
        there = ", ".join(sorted(known, key=version_key)) or "none"
        return f"there is no built release {version}", f"built releases: {there}"
    if version in in_use:
        return f"{version} is in use", "release another version and let this one's gateways stop, then remove it"
    return "", ""


def rows(folders: Sequence[Shelved], installation: Release | None, in_use: frozenset[str]) -> tuple[Row, ...]:
    """The list a person reads: the installation first unless a whole build has its version, then by version."""
    built = [
        Row(f.version, f.release, f.problem, installation=False, size_bytes=f.size_bytes, python=f.python, in_use=f.version in in_use)
        for f in sorted(folders, key=lambda f: version_key(f.version))
    ]
    if installation is None or any(row.release and row.version == installation.version for row in built):
        return tuple(built)
    own = Row(installation.version, installation, "", installation=True, size_bytes=0, in_use=installation.version in in_use)
    return (own, *built)
