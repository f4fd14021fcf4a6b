"""Where things are: flags before environment before checkout before the packaged copy, and a wrong name is never passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops import config
from ops.conventions import DECLARED_ENV, STATE_ENV
from ops.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (STATE_ENV, DECLARED_ENV, "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_state_is_in_the_users_state_home(tmp_path: Path) -> None:
    assert config.state_dir() == tmp_path / ".local" / "state" / "opsctl"
    assert not config.state_dir().exists(), "it is not made by asking"


def test_the_state_home_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert config.state_dir() == tmp_path / "xdg" / "opsctl"


def test_the_environment_names_the_state_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    monkeypatch.setenv(STATE_ENV, "~/venue")
    assert config.state_dir() == tmp_path / "venue"


def test_the_option_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_ENV, "/elsewhere")
    assert config.state_dir(Path("here")) == tmp_path / "here"
    assert config.state_dir(Path("~/there")) == tmp_path / "there"


def test_an_empty_environment_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE_ENV, "")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    assert config.state_dir() == tmp_path / ".local" / "state" / "opsctl"


@pytest.mark.parametrize("noun", [n for n in config.NOUNS if (ROOT / n).is_dir()])
def test_a_checkout_uses_its_own_declared_folders(noun: str) -> None:
    assert config.declared_dir(noun) == ROOT / noun


def test_the_environment_names_the_folder_of_declared_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine" / "pipelines").mkdir(parents=True)
    monkeypatch.setenv(DECLARED_ENV, str(tmp_path / "mine"))
    assert config.declared_dir("pipelines") == tmp_path / "mine" / "pipelines"


def test_a_wrong_name_in_the_environment_does_not_fall_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DECLARED_ENV, str(tmp_path / "absent"))
    with pytest.raises(UsageError, match=rf"\${DECLARED_ENV} names .*absent/pipelines, which is not a folder") as raised:
        config.declared_dir("pipelines")
    assert raised.value.hint


def test_a_wrong_option_does_not_fall_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in ("absent", "file"):
        with pytest.raises(UsageError, match="the option given names"):
            config.declared_dir("pipelines", Path(wrong))


def test_the_option_of_a_declared_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.setenv(DECLARED_ENV, "/elsewhere")
    assert config.declared_dir("pipelines", Path("own")) == tmp_path / "own"


def test_outside_a_checkout_the_packaged_copy_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "ops"
    installed.mkdir(parents=True)
    monkeypatch.setattr(config, "__file__", str(installed / "config.py"))
    assert config.declared_dir("pipelines") == installed / "declared" / "pipelines"


def test_a_noun_that_does_not_exist_is_a_bug_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        config.declared_dir("pipeline")
