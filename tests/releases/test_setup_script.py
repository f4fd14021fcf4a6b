"""tools/setup: services are never started by an installation, people without root are told what to run, stamps skip."""

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "setup"


@pytest.fixture
def setup(tmp_path, monkeypatch):
    loader = importlib.machinery.SourceFileLoader("setup_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader("setup_script", loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(module)
    for name, folder in (("ROOT", "."), ("VENV", ".venv"), ("LOGS", "build/setup"), ("POLICY", "policy-rc.d")):
        monkeypatch.setattr(module, name, tmp_path / folder)
    return module


def test_services_are_forbidden_to_start_only_while_packages_are_installed(setup):
    with setup.services_stay_stopped():
        assert "exit 101" in setup.POLICY.read_text()
        assert setup.POLICY.stat().st_mode & 0o111
    assert not setup.POLICY.exists()


def test_the_policy_goes_away_when_the_installation_fails(setup):
    with pytest.raises(setup.Failed), setup.services_stay_stopped():
        raise setup.Failed("apt")
    assert not setup.POLICY.exists()


def test_a_policy_that_was_there_stays(setup):
    setup.POLICY.write_text("mine")
    with setup.services_stay_stopped():
        assert setup.POLICY.read_text() == "mine"
    assert setup.POLICY.read_text() == "mine"


def test_without_root_the_exact_command_is_told_and_nothing_is_run(setup, monkeypatch):
    monkeypatch.setattr(setup, "missing_packages", lambda tests: ["haproxy"])
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(setup, "run", lambda *a: pytest.fail("nothing may run"))
    with pytest.raises(setup.Failed, match=r"haproxy\n.*sudo .*/tools/setup --packages --tests"):
        setup.packages(tests=True)


def test_as_root_packages_are_fetched_once_and_checked(setup, monkeypatch):
    ran, missing = [], [["haproxy"], []]
    monkeypatch.setattr(setup, "missing_packages", lambda tests: missing.pop(0))
    monkeypatch.setattr(setup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(setup.shutil, "which", lambda name, path=None: "/usr/bin/apt-get")
    monkeypatch.setattr(setup, "run", lambda command, name, timeout_s: ran.append((command, setup.POLICY.exists())))
    assert setup.packages(tests=False) == 1
    (update, _), (install, policy_there) = ran
    assert "update" in update
    assert install[-2:] == ["--no-install-recommends", "haproxy"]
    assert policy_there
    assert not setup.POLICY.exists()


def test_a_step_runs_again_only_when_its_inputs_changed(setup, capsys):
    ran = []
    assert setup.stamped("x", "d1", "step", lambda: ran.append(1)) == 1
    assert setup.stamped("x", "d1", "step", lambda: ran.append(2)) == 0
    assert setup.stamped("x", "d2", "step", lambda: ran.append(3)) == 1
    assert ran == [1, 3]


def test_a_failed_step_leaves_no_stamp(setup, capsys):
    def fail():
        setup.run(["sh", "-c", "echo the reason; exit 3"], "x", 30)

    with pytest.raises(setup.Failed, match="the reason"):
        setup.stamped("x", "d1", "step", fail)
    assert setup.read_stamp("x") is None


def test_the_larger_lock_serves_for_both(setup, monkeypatch, tmp_path, capsys):
    ran = []
    monkeypatch.setattr(setup, "run", lambda command, name, timeout_s: ran.append(command[-1].rpartition("/")[2]))
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text(name)
    assert [setup.locked(tests) for tests in (False, False, True, True, False)] == [1, 0, 1, 0, 0]
    assert ran == ["requirements.lock", "requirements-dev.lock"]
