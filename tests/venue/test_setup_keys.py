"""What `up` makes once: the probe's key beside the members', and the test instrument at the end of a new venue's list."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import default_instruments_path, load_instruments
from engine.conventions import TEST_SYMBOL
from engine.keys import Permission, load_keys
from ops.venue import setup
from ops.venue.model import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_a_new_venue_has_a_key_for_the_demo_and_one_for_the_probe_in_a_firm_of_its_own(layout: Layout) -> None:
    setup.make_once(layout)
    demo, probe = load_keys(layout.keys).entries
    assert (demo.id, probe.id, demo.firm == probe.firm) == ("demo", "probe", False)
    assert probe.permissions == {Permission.TRADE}
    assert load_keys(layout.keys).find(layout.probe_key.read_text().strip()) == probe
    assert layout.probe_key.stat().st_mode & 0o777 == 0o600


def test_keys_are_made_once(layout: Layout) -> None:
    setup.make_once(layout)
    before = {path: path.read_bytes() for path in (layout.keys, layout.demo_key, layout.probe_key, layout.link_key, layout.instruments)}
    setup.make_once(layout)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("lost", ["probe_key", "both"])
def test_a_folder_from_before_there_was_a_probe_or_that_lost_its_key_gets_one_and_keeps_the_members(layout: Layout, lost: str) -> None:
    setup.make_once(layout)
    members = [entry for entry in load_keys(layout.keys).entries if entry.id != "probe"]
    if lost == "both":
        setup.save_keys(layout.keys, members)
    layout.probe_key.unlink()
    setup.make_once(layout)
    ring = load_keys(layout.keys)
    assert list(ring.entries[:-1]) == members
    found = ring.find(layout.probe_key.read_text().strip())
    assert found is not None
    assert found.id == "probe"


def test_the_test_instrument_stands_after_the_packaged_ones_and_an_own_list_is_left_alone(layout: Layout) -> None:
    packaged = load_instruments(default_instruments_path())
    setup.make_once(layout)
    assert load_instruments(layout.instruments)[:-1] == packaged
    assert load_instruments(layout.instruments)[-1].symbol == TEST_SYMBOL
    layout.instruments.write_text('- {symbol: OWN, tick_size: "1", max_quantity: 5}\n')
    setup.make_once(layout)
    assert [one.symbol for one in load_instruments(layout.instruments)] == ["OWN"]
