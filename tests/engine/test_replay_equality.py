"""The state follows from the commands alone: not from the process, its hash seed, its addresses, or where a snapshot was taken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.types import EngineConfig, InstrumentRules
from tests.engine.engines import KINDS, Native, make_engine, view
from tests.engine.flow import CONFIGS, Flow

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", CONFIGS)
def test_the_same_commands_give_the_same_reports_and_state_again(kind, config):
    commands = Flow(config, 31).commands(400)
    one, two = make_engine(kind, config), make_engine(kind, config)
    assert [one.apply(command) for command in commands] == [two.apply(command) for command in commands]
    assert one.state_hash() == two.state_hash()


@pytest.mark.parametrize("seed", range(6))
def test_a_saved_engine_goes_on_as_if_nothing_had_happened_whenever_it_was_saved(seed):
    config = CONFIGS[seed % len(CONFIGS)]
    commands = Flow(config, seed).commands(150)
    live = Native(config)
    hashes, reports, saved = [live.state_hash()], [], [live.save()]
    for command in commands:
        reports.append(live.apply(command))
        hashes.append(live.state_hash())
        saved.append(live.save())
    for at, snapshot in enumerate(saved):
        again = Native(config, snapshot)
        assert again.state_hash() == hashes[at]
        assert again.save() == snapshot
        assert [again.apply(command) for command in commands[at:]] == reports[at:]
        assert again.state_hash() == hashes[-1]
        assert view(again, range(3)) == view(live, range(3))


def test_a_saved_engine_keeps_what_it_forgot_and_what_it_remembers():
    """At the end of a day done orders are forgotten; a snapshot after it must not bring them back, nor lose the others."""
    config = CONFIGS[0]
    flow = Flow(config, 77)
    commands = flow.commands(1_200)
    live = Native(config)
    for command in commands:
        live.apply(command)
    again = Native(config, live.save())
    probes = Flow(config, 78).commands(300)
    assert [again.apply(command) for command in probes] == [live.apply(command) for command in probes]
    assert again.state_hash() == live.state_hash()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_snapshot_is_refused(damage):
    """As far as an engine can tell: of another number that fits as well, the checksum of the snapshot's file and the state hash tell."""
    config = CONFIGS[0]
    engine = Native(config)
    for command in Flow(config, 5).commands(100):
        engine.apply(command)
    saved = engine.save()
    at = len(saved) // 2
    spoilt = {"cut": saved[:at], "flipped": saved[:8] + bytes([saved[8] ^ 1]) + saved[9:], "empty": b""}[damage]
    with pytest.raises((ValueError, RuntimeError)):
        Native(config, spoilt)


def test_a_snapshot_of_another_configuration_is_refused():
    """Rules are part of the state: a book replayed under other ones diverges silently."""
    saved = Native(EngineConfig((InstrumentRules(luld_bps=500),))).save()
    with pytest.raises((ValueError, RuntimeError)):
        Native(EngineConfig((InstrumentRules(luld_bps=501),)), saved)


def digest_in_a_process(kind, hash_seed, *wrapper):
    command = [*wrapper, sys.executable, str(Path(__file__).with_name("digest_process.py")), kind]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, cwd=ROOT, check=True)
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_depends_on_hash_order_or_on_where_memory_lies(kind):
    """Self-trade checks and snapshots that went through a hash map in its order gave another result in the next process."""
    without_aslr = [shutil.which("setarch"), "-R"] if shutil.which("setarch") and can_fix_addresses() else []
    outputs = [digest_in_a_process(kind, "0"), digest_in_a_process(kind, "4711"), digest_in_a_process(kind, "1", *without_aslr)]
    assert len(outputs[0].split()) == 3
    assert len(set(outputs)) == 1


def can_fix_addresses():
    return subprocess.run([str(shutil.which("setarch")), "-R", "true"], capture_output=True, check=False).returncode == 0


def test_both_engines_print_the_same_digests_in_processes_of_their_own():
    assert digest_in_a_process("native", "3") == digest_in_a_process("reference", "5")
