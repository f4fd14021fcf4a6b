"""What belongs to a source, and the staged copy that keeps the mtimes of what did not change."""

import os
import subprocess

import pytest

from ops.adapters import release_source
from ops.errors import Refused, UsageError

OLD = 1_000_000_000


def git(root, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", root, *identity, *words], check=True, capture_output=True, timeout=30)


@pytest.fixture
def checkout(source):
    git(source, "init", "-q")
    (source / ".gitignore").write_text("ignored.txt\nbuild/\n")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "first")
    return source


def staged(tree, tmp_path, version="1.1.0"):
    into = tmp_path / "staged"
    return into, release_source.stage(tree, into, version)


def test_a_checkout_is_what_git_tracks_or_would(checkout):
    (checkout / "ignored.txt").write_text("x")
    (checkout / "new.py").write_text("x")
    (checkout / "CMakeLists.txt").unlink()
    tree = release_source.look(checkout)
    assert "new.py" in tree.files
    assert "ignored.txt" not in tree.files
    assert "CMakeLists.txt" not in tree.files
    assert tree.dirty
    assert len(tree.commit) == 12


def test_a_clean_checkout_is_not_dirty(checkout):
    assert not release_source.look(checkout).dirty


def test_a_checkout_without_a_commit_can_be_built_too(source):
    git(source, "init", "-q")
    tree = release_source.look(source)
    assert (tree.commit, tree.dirty) == ("uncommitted", True)


def test_a_plain_tree_leaves_out_environments_and_builds(source):
    for name in (".venv/x", "build/x", ".git2", "engine/__pycache__/x", ".mypy_cache/x", "engine/build/kept"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    tree = release_source.look(source)
    assert {"engine/build/kept", ".git2"} < set(tree.files)
    assert not [name for name in tree.files if name.startswith((".venv", "build", ".mypy")) or "__pycache__" in name]
    assert tree.commit == "unversioned"


def test_the_digest_follows_names_contents_and_the_executable_bit(source):
    seen = {release_source.look(source).digest}
    (source / "engine/cli.py").chmod(0o755)
    seen.add(release_source.look(source).digest)
    (source / "engine/cli.py").write_text("x")
    seen.add(release_source.look(source).digest)
    (source / "engine/cli.py").rename(source / "engine/cli2.py")
    seen.add(release_source.look(source).digest)
    assert len(seen) == 4
    os.utime(source / "engine/cli2.py", (OLD, OLD))
    assert release_source.look(source).digest in seen


def test_unchanged_files_keep_their_mtime_and_changed_ones_get_a_new_one(source, tmp_path):
    into, _ = staged(release_source.look(source), tmp_path)
    for path in into.rglob("*.*"):
        os.utime(path, (OLD, OLD))
    (source / "engine/cli.py").write_text("# changed\n")
    os.utime(source / "engine/cli.py", (OLD - 5, OLD - 5))  # an old version's file is older than what was compiled
    _, said = staged(release_source.look(source), tmp_path)
    assert "1 changed" in said
    assert (into / "CMakeLists.txt").stat().st_mtime == OLD
    assert (into / "engine/cli.py").stat().st_mtime > OLD


def test_vanished_files_leave_the_copy_even_where_a_folder_takes_their_name(source, tmp_path):
    (source / "old").mkdir()
    (source / "old/a.txt").write_text("x")
    (source / "swap").write_text("x")
    into, _ = staged(release_source.look(source), tmp_path)
    (source / "old/a.txt").unlink()
    (source / "old").rmdir()
    (source / "swap").unlink()
    (source / "swap").mkdir()
    (source / "swap/b.txt").write_text("x")
    _, said = staged(release_source.look(source), tmp_path)
    assert "2 gone" in said
    assert not (into / "old").exists()
    assert (into / "swap/b.txt").is_file()


def test_the_copy_says_its_version_and_commit_and_the_source_does_not_change(checkout, tmp_path):
    tree = release_source.look(checkout)
    into, _ = staged(tree, tmp_path, "1.1.0rc1")
    text = (into / "engine/_version.py").read_text()
    assert '__version__ = "1.1.0rc1"' in text
    assert f'COMMIT = "{tree.commit}"' in text
    assert '__version__ = "1.0.0"' in (checkout / "engine/_version.py").read_text()
    assert not release_source.look(checkout).dirty


def test_a_source_that_changes_while_it_is_copied_is_refused(source, tmp_path):
    tree = release_source.look(source)
    (source / "engine/cli.py").write_text("# meanwhile\n")
    with pytest.raises(Refused, match="changed while"):
        staged(tree, tmp_path)


def test_a_link_inside_is_kept_and_one_that_leaves_is_refused(source, tmp_path):
    (source / "inside").symlink_to("engine/cli.py")
    into, _ = staged(release_source.look(source), tmp_path)
    assert (into / "inside").readlink().as_posix() == "engine/cli.py"
    (source / "outside").symlink_to("../../etc")
    with pytest.raises(UsageError, match="leaves the source"):
        release_source.look(source)


def test_a_folder_that_is_not_the_product_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no pyproject\.toml"):
        release_source.look(tmp_path)


def test_a_version_file_in_another_form_is_refused():
    with pytest.raises(UsageError, match="COMMIT"):
        release_source.with_version('__version__ = "1.0.0"\n', "1.1.0", "abc")
