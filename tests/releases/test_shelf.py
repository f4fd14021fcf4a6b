"""What lies in the releases folder: whole, half built, running; and the installation when nothing was built."""

import json
import subprocess
import sys

import pytest

import engine
from ops.adapters.releases import LocalReleases, Manifest, file_digest, write_manifest
from ops.errors import Refused


@pytest.fixture
def shelf(state, tmp_path):
    own = tmp_path / "own" / "exchange"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    return LocalReleases(state, own)


def put(shelf, version, built_at_s=1000.0):
    """A whole release folder, made by hand."""
    folder = shelf.root / version
    command = folder / "env/bin/exchange"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    (folder / "env/bin/python").symlink_to(sys.executable)
    wheel = folder / f"venue-{version}-py3-none-any.whl"
    wheel.write_bytes(version.encode())
    write_manifest(folder, Manifest(version, "abc", False, file_digest(wheel), "s1", wheel.name, built_at_s, str(command), "3.11.7"))
    return folder


def test_before_any_build_the_installation_itself_is_the_release(shelf):
    release = shelf.get(engine.__version__)
    assert release.command.endswith("own/exchange")
    assert len(release.digest) == 64
    assert shelf.all() == (release,)
    assert not shelf.root.exists()


def test_without_a_program_the_installation_is_no_release(state, tmp_path):
    shelf = LocalReleases(state, tmp_path / "absent")
    assert shelf.all() == ()
    with pytest.raises(Refused, match="no release"):
        shelf.get(engine.__version__)


def test_releases_come_oldest_first_after_the_installation(shelf):
    put(shelf, "1.10.0", 3000.0)
    put(shelf, "2.0.0rc1", 2000.0)
    assert [release.version for release in shelf.all()] == [engine.__version__, "2.0.0rc1", "1.10.0"]


def test_a_built_release_takes_the_place_of_the_installation_of_the_same_version(shelf):
    folder = put(shelf, engine.__version__)
    assert shelf.get(engine.__version__).command == str(folder / "env/bin/exchange")
    assert len(shelf.all()) == 1


def test_an_unknown_version_is_refused_and_says_what_is_there(shelf):
    put(shelf, "1.1.0")
    with pytest.raises(Refused) as caught:
        shelf.get("9.9.9")
    assert "1.1.0" in caught.value.hint
    assert "--version 9.9.9" in caught.value.hint


@pytest.mark.parametrize("version", ["../1.1.0", ".", "..", "", ".build", "1.1.0/env"])
def test_a_name_that_is_a_path_never_leaves_the_folder(shelf, version):
    put(shelf, "1.1.0")
    assert shelf.folder(version) is None


def break_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE = {
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "cannot be used: Exp": lambda folder: (folder / "manifest.json").write_text(""),
    "cannot be used: it is not": lambda folder: (folder / "manifest.json").write_text("[]"),
    "format is 2": lambda folder: break_manifest(folder, format=2),
    "field digest": lambda folder: break_manifest(folder, digest=None),
    "of version 7.0.0": lambda folder: break_manifest(folder, version="7.0.0"),
    "wheel .* is gone": lambda folder: next(folder.glob("*.whl")).unlink(),
    "digest differs": lambda folder: next(folder.glob("*.whl")).write_bytes(b"other"),
    "folder was moved": lambda folder: break_manifest(folder, command="/bin/true"),
    "program .* is gone": lambda folder: (folder / "env/bin/exchange").unlink(),
    "Python it was built with": lambda folder: (folder / "env/bin/python").unlink(),
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_what_does_not_match_its_manifest_is_half_built_and_never_handed_out(shelf, reason):
    folder = put(shelf, "1.1.0")
    DAMAGE[reason](folder)
    assert shelf.all() == (shelf.installation(),)
    with pytest.raises(Refused, match=f"half built: .*{reason}") as caught:
        shelf.get("1.1.0")
    assert "opsctl releases build --version 1.1.0" in caught.value.hint
    assert shelf.folder("1.1.0").release is None


def test_a_release_runs_when_a_process_was_started_from_its_folder(shelf):
    folder = put(shelf, "1.1.0")
    put(shelf, "1.2.0")
    program = folder / "env/bin/exchange"
    program.write_text("#!/bin/sh\necho up\nread line\n")
    with subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"up\n", "before that /proc may not show its command line yet"
            assert shelf.running() == {"1.1.0"}
        finally:
            process.kill()
    assert shelf.running() == frozenset()


def test_a_removal_takes_the_whole_folder(shelf):
    folder = put(shelf, "1.1.0")
    assert shelf.folder("1.1.0").size_bytes > 0
    shelf.remove("1.1.0")
    assert not folder.exists()


def test_a_manifest_reads_as_it_was_written():
    manifest = Manifest("1.1.0", "abc", True, "d", "s", "w.whl", 1000.5, "/x/exchange", "3.11.7")
    assert Manifest.parse(manifest.text()) == manifest
    assert json.loads(manifest.text())["built_at"] == "1970-01-01T00:16:40+00:00"
