"""What `opsctl deploy` refuses: said in words, with what to do next, the documented exit code, no traceback, and nothing changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.bed import BAD, FIRST, GOOD, Bed, pipeline, until, venue_bed

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def bed(shelve: Callable[[Path], None]) -> Iterator[Bed]:
    with venue_bed(shelve, gateways=2) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_changed(bed: Bed) -> Iterator[None]:
    """No refusal leaves a mark."""
    before = (bed.weights(), bed.venue)
    yield
    assert (bed.weights(), bed.venue) == before
    assert len(bed.events("release.started")) == len(bed.events("release.ended"))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        ("0%", "--canary: 0% is outside what a canary can have"),
        ("101%", "--canary: 101% is outside what a canary can have"),
        ("-1%", "--canary"),
        ("1", "--canary"),
        ("abc", "--canary"),
        ("nan%", "--canary"),
        ("", "--canary"),
    ],
)
def test_a_share_that_is_none(bed: Bed, share: str, words: str) -> None:
    done = bed.opsctl("deploy", GOOD, f"--canary={share}", code=2)
    assert words in done.err
    assert done.out == ""
    assert not bed.events()


def test_a_share_that_two_gateways_cannot_have_names_the_nearest(bed: Bed) -> None:
    done = bed.opsctl("deploy", GOOD, "--canary", "0.1%", code=5)
    assert "0.1% cannot be had exactly with 2 stable and 1 canary gateways" in done.err
    assert "the nearest share is 0.1949% (1/513)" in done.err
    assert not bed.events()


def test_an_unknown_version_names_what_there_is(bed: Bed) -> None:
    done = bed.opsctl("deploy", "9.9.9", code=5)
    assert "there is no release 9.9.9" in done.err
    assert all(version in done.err for version in (FIRST, GOOD, BAD))
    for strange in ("../1.1.0", "/etc", ".build", ""):
        assert "there is no release" in bed.opsctl("deploy", strange, code=5).err


def test_the_stable_version_is_no_release_to_ship(bed: Bed) -> None:
    assert f"{FIRST} is the stable version already" in bed.opsctl("deploy", FIRST, code=5).err


def test_a_half_built_version_is_refused_with_the_reason(bed: Bed) -> None:
    folder = bed.state / "releases" / "1.3.0"
    (folder / "env").mkdir(parents=True)
    done = bed.opsctl("deploy", "1.3.0", code=5)
    assert "release 1.3.0 is half built: it has no manifest" in done.err
    manifest = json.loads((bed.state / "releases" / GOOD / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": "1.3.0"}))
    assert "release 1.3.0 is half built: its wheel" in bed.opsctl("deploy", "1.3.0", code=5).err
    (folder / "manifest.json").write_text("{")
    assert "release 1.3.0 is half built: its manifest cannot be used" in bed.opsctl("deploy", "1.3.0", code=5).err
    (folder / "manifest.json").unlink()
    (folder / "env").rmdir()
    folder.rmdir()


def test_without_a_version_the_newest_is_shipped_and_said(bed: Bed) -> None:
    newest = max((GOOD, BAD), key=lambda version: bed.opsctl("releases", "show", version, "--output", "json").data["built_at_s"])
    done = bed.opsctl("deploy", "--canary", "1%", "--dry-run", "--output", "json")
    assert done.data["version"] == newest
    assert f"shipping {newest}, the newest built release" in done.err


def test_without_any_release_it_says_how_to_build_one(bed: Bed) -> None:
    shelf = bed.state / "releases"
    aside = shelf.rename(bed.state / "aside")
    try:
        done = bed.opsctl("deploy", "--canary", "1%", code=5)
    finally:
        aside.rename(shelf)
    assert f"no built release besides the stable {FIRST}" in done.err
    assert "opsctl releases build --version" in done.err


def test_a_wrong_pipeline_names_file_field_and_reason(bed: Bed) -> None:
    path = pipeline(bed.folder, "1%", "50%")
    done = bed.opsctl("deploy", GOOD, "--pipeline", str(path), code=2)
    assert str(path) in done.err
    assert "must end at 100%" in done.err
    assert bed.opsctl("deploy", GOOD, "--pipeline", "/nowhere/p.yaml", code=2).err.startswith("error:")


@pytest.mark.parametrize("arguments", [("deploy", "9.9.9"), ("deploy", GOOD, "--canary", "7"), ("rollback",), ("history", "show", "77")])
def test_a_refusal_as_json_is_json_alone_on_stdout(bed: Bed, arguments: tuple[str, ...]) -> None:
    done = bed.opsctl(*arguments, "--output", "json", code=None)
    assert done.code in (2, 5)
    error = done.data["error"]
    assert error["exit_code"] == done.code
    assert error["message"] in done.err


def test_rollback_with_nothing_to_go_back_to(bed: Bed) -> None:
    done = bed.opsctl("rollback", code=5)
    assert f"there is no version before {FIRST} to go back to" in done.err


def test_a_release_without_traffic_goes_back_and_says_that_nobody_asked(bed: Bed) -> None:
    with bed.silence():
        done = bed.deploy(GOOD, pipeline(bed.folder, "50%", "100%", blind_after="3s")).end()
    assert done.code == 4, str(done)
    assert "the canary served no request in this step" in done.data["reason"]


def test_without_a_venue(bed: Bed) -> None:
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as folder:
        for arguments in (("deploy", GOOD), ("rollback",), ("status",)):
            done = bed.opsctl(*arguments, "--state", folder, code=6)
            assert "there is no venue in" in done.err
            assert "opsctl up" in done.err


def test_a_venue_that_is_down(bed: Bed) -> None:
    """Last in this file: it takes the venue down and up again."""
    http = str(bed.venue.ports.http)
    bed.opsctl("down")
    try:
        for arguments in (("deploy", GOOD, "--canary", "1%"), ("deploy", GOOD, "--dry-run"), ("rollback",)):
            done = bed.opsctl(*arguments, code=None)
            expected = 5 if arguments == ("rollback",) else 6
            assert (done.code, "next:" in done.err) == (expected, True), str(done)
    finally:
        bed.opsctl("up", "--http-port", http, "--timeout", "60")
    until(lambda: bed.status()["running"], "everything is up again")
