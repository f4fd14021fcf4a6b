"""venue.json: what is written is read, what is damaged is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.conventions import Pool
from ops.errors import Unavailable, UsageError
from ops.ports import Roles
from ops.venue import decide
from ops.venue.files import VenueRoles, load, load_existing, save
from ops.venue.model import Request, Venue


def venue() -> Venue:
    return decide.new_venue(Request(gateways=2), Path("/tmp/v"), "1.0.0", lambda _port: True)


def test_what_is_saved_is_loaded_closed_to_others_and_nothing_else_is_left(tmp_path: Path) -> None:
    save(tmp_path, venue())
    assert load(tmp_path) == venue()
    assert [path.name for path in tmp_path.iterdir()] == ["venue.json"]
    assert (tmp_path / "venue.json").stat().st_mode & 0o777 == 0o600


def test_roles_are_changed_alone(tmp_path: Path) -> None:
    save(tmp_path, venue())
    roles = Roles(Pool.GREEN, {Pool.BLUE: "1.0.0", Pool.GREEN: "1.1.0"})
    VenueRoles(tmp_path).write(roles)
    assert VenueRoles(tmp_path).read() == roles
    assert VenueRoles(tmp_path).gateways() == 2
    assert load_existing(tmp_path).ports == venue().ports


def test_no_venue_is_unavailable_with_the_next_step(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    for ask in (lambda: load_existing(tmp_path), VenueRoles(tmp_path).read, lambda: VenueRoles(tmp_path).write(venue().roles)):
        with pytest.raises(Unavailable) as error:
            ask()
        assert "opsctl up" in error.value.hint


def test_a_folder_from_before_there_was_a_probe_is_loaded_without_one(tmp_path: Path) -> None:
    save(tmp_path, venue())
    data = json.loads((tmp_path / "venue.json").read_text())
    del data["ports"]["probe"]
    (tmp_path / "venue.json").write_text(json.dumps(data))
    assert load_existing(tmp_path).ports == replace(venue().ports, probe=0)


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("schema",), 2, "schema: 2"),
        (("gateways",), 0, "gateways"),
        (("gateways",), True, "gateways"),
        (("ports",), None, "ports"),
        (("ports", "http"), "8080", "http"),
        (("ports", "probe"), "9", "probe"),
        (("ports", "gateway_http"), [1, 2], "ports.gateway_http: expected 4"),
        (("ports", "gateway_binary", 1), 99_999, "gateway_binary"),
        (("roles", "stable"), "red", "roles.stable"),
        (("roles", "versions"), [], "roles.versions"),
        (("roles", "versions", "green"), None, "green"),
        (("env",), 3, "env"),
    ],
)
def test_a_damaged_field_is_named_with_its_file(tmp_path: Path, place: tuple[Any, ...], value: object, named: str) -> None:
    save(tmp_path, venue())
    data = json.loads((tmp_path / "venue.json").read_text())
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "venue.json").write_text(json.dumps(data))
    with pytest.raises(UsageError) as error:
        load(tmp_path)
    assert named in error.value.message
    assert "venue.json" in error.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", "[" * 100_000, '{"schema": 1}'])
def test_bytes_that_are_no_venue_are_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "venue.json").write_text(text)
    with pytest.raises(UsageError, match=r"venue\.json"):
        load(tmp_path)
