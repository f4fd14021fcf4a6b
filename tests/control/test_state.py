"""A venue that `opsctl up` started is found by its state folder: the plain command reaches its core, and errors name what was found."""

import json

import pytest
from venue_parts import free_port

from engine import cli
from engine.config import VenueError, default_instruments_path
from engine.conventions import STATE_ENV
from engine.state import default_folder, find_venue, log_place
from ops import conventions as ops_conventions
from ops.config import state_dir
from ops.venue.model import Layout

KEY = "k" * 16


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """No venue of this machine is met by a test."""
    monkeypatch.delenv(STATE_ENV, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "opsctl"


@pytest.fixture
def exchange(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["exchange", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return run


def lay_out(folder, port):
    folder.mkdir(parents=True)
    (folder / "venue.json").write_text(json.dumps({"schema": 1, "ports": {"core_link": port}}))
    (folder / "instruments.yaml").write_text(default_instruments_path().read_text())
    (folder / "link.key").write_text(KEY)
    (folder / "link.key").chmod(0o600)
    return folder


HALT = ("control", "session", "halted", "--instrument", "AAPL")


def test_the_plain_command_reaches_the_core_of_the_venue_in_the_default_folder(exchange, stand_in, home):
    core = stand_in(key=KEY)
    lay_out(home, core.port)
    code, out, err = exchange(*HALT)
    assert (code, err, len(core.commands)) == (0, "", 1)
    assert "session halted AAPL" in out
    assert KEY not in out


def test_an_option_and_the_environment_name_another_venue(exchange, stand_in, tmp_path, monkeypatch):
    core = stand_in(key=KEY)
    folder = lay_out(tmp_path / "venue", core.port)
    assert exchange(*HALT, "--state", folder)[0] == 0
    monkeypatch.setenv(STATE_ENV, str(folder))
    assert exchange(*HALT)[0] == 0
    assert len(core.commands) == 2


@pytest.mark.parametrize("option", ["--core", "--link-key", "--instruments"])
def test_whoever_says_which_core_is_not_led_to_the_venue_of_the_default_folder(exchange, stand_in, home, tmp_path, option):
    lay_out(home, stand_in(key=KEY).port)
    (tmp_path / "link.key").write_text(KEY)
    (tmp_path / "link.key").chmod(0o600)
    given = {"--core": f"127.0.0.1:{free_port()}", "--link-key": tmp_path / "link.key", "--instruments": default_instruments_path()}
    code, _, err = exchange(*HALT, option, given[option], "--timeout", "1s")
    assert code == 6
    assert str(home) not in err


def test_what_is_given_beside_the_state_folder_wins(exchange, stand_in, tmp_path):
    folder = lay_out(tmp_path / "venue", free_port())
    core = stand_in(key=KEY)
    assert exchange(*HALT, "--state", folder, "--core", core.address)[0] == 0


def test_a_venue_that_is_down_is_named_with_the_way_to_look_at_it(exchange, tmp_path):
    folder = lay_out(tmp_path / "venue", free_port())
    code, _, err = exchange(*HALT, "--state", folder)
    assert code == 6
    assert f"(the venue in {folder})" in err
    assert f"opsctl status --state {folder}" in err


def test_without_any_venue_the_error_tells_of_the_option(exchange):
    code, _, err = exchange(*HALT, "--core", f"127.0.0.1:{free_port()}")
    assert (code, "--state DIR" in err) == (6, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no venue in"),
        ("", "does not say where the core is"),
        ("[]", "does not say where the core is"),
        ('{"ports": {}}', "does not say where the core is"),
        ('{"ports": {"core_link": "9001"}}', "expected a port"),
        ('{"ports": {"core_link": 99999}}', "expected a port"),
        ("[" * 100_000, "does not say where the core is"),
    ],
)
def test_a_folder_without_a_usable_venue_is_refused_by_name(exchange, tmp_path, text, says):
    (tmp_path / "venue").mkdir()
    if text is not None:
        (tmp_path / "venue" / "venue.json").write_text(text)
    for words in (HALT, ("log", "verify")):
        code, out, err = exchange(*words, "--state", tmp_path / "venue")
        assert (code, out) == (2, "")
        assert says in err
        assert str(tmp_path / "venue") in err


def test_a_log_is_found_with_its_instruments_and_a_given_one_wins(home, tmp_path):
    with pytest.raises(VenueError, match=r"--log-dir: expected .* no venue stands") as refused:
        log_place(None, None, None)
    assert "--state DIR" in refused.value.hint
    lay_out(home, 9001)
    found = log_place(None, None, None)
    assert (found.log_dir, found.instruments, found.source) == (home / "log", home / "instruments.yaml", f"the venue in {home}")
    assert log_place(None, tmp_path / "i.yaml", None).instruments == tmp_path / "i.yaml"
    given = log_place(tmp_path, None, None, "--log")
    assert (given.log_dir, given.instruments, given.source) == (tmp_path, default_instruments_path(), "--log")
    assert log_place(tmp_path, None, home).instruments == home / "instruments.yaml"


@pytest.mark.parametrize("words", [("replay", "--verify"), ("snapshot",), ("eod", "--date", "2026-11-20"), ("log", "verify")])
def test_the_commands_on_a_log_say_which_venue_has_none(exchange, home, words):
    lay_out(home, 9001)
    code, _, err = exchange(*words)
    assert (code, f"the venue in {home}: there is no folder" in err) == (2, True)


def test_the_engine_and_the_toolkit_mean_the_same_folder_and_files(home, monkeypatch, tmp_path):
    assert ops_conventions.STATE_ENV == STATE_ENV
    assert state_dir() == default_folder()
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_dir() == default_folder() == (tmp_path / ".local/state/opsctl").resolve()
    found, layout = find_venue(lay_out(tmp_path / "venue", 9001), look=False), Layout(tmp_path / "venue")
    assert (found.link_key, found.instruments, found.log_dir) == (layout.link_key, layout.instruments, layout.order_log)
    assert layout.venue.is_file()
