"""What a venue is made of: ports, processes, order, and the two things that must not be refused in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import render
from ops.conventions import Pool
from ops.errors import Refused, UsageError
from ops.ports import Roles
from ops.venue import decide
from ops.venue.model import Layout, Request, Tools, Venue

STATE = Path("/tmp/v")
TOOLS = Tools(Path("/py/bin/python"), Path("/py/bin/exchange"), Path("/usr/sbin/haproxy"), Path("/usr/bin/prometheus"), Path("/usr/bin/am"))


def venue(gateways: int = 2) -> Venue:
    return decide.new_venue(Request(gateways=gateways), STATE, "1.0.0", lambda _port: True)


@given(st.integers(1, 16), st.sets(st.integers(15_000, 15_400)))
def test_ports_are_free_distinct_and_outside_the_range_of_outgoing_connections(gateways: int, taken: set[int]) -> None:
    ports = decide.allot_ports(gateways, None, STATE, lambda port: port not in taken)
    inner = ports.inner()
    assert len(set(ports.all())) == len(ports.all()) == 8 + 4 * gateways
    assert not taken & set(ports.all())
    assert all(15_000 <= port < 32_000 for port in inner)


def test_the_public_port_is_8080_or_a_free_one_unless_one_is_asked_for() -> None:
    assert decide.allot_ports(1, None, STATE, lambda _port: True).http == 8080
    assert decide.allot_ports(1, None, STATE, lambda port: port != 8080).http >= 15_000
    assert decide.allot_ports(1, 9000, STATE, lambda port: port != 9000).http == 9000


def test_a_venue_never_takes_ports_that_another_ones_canary_will_need() -> None:
    """The canary's gateways bind nothing until a release starts them: a second venue once could take their ports meanwhile."""
    first = decide.allot_ports(2, None, STATE, lambda _port: True)
    bound = {first.http, *first.inner()} - set(first.gateway_http[2:]) - set(first.gateway_binary[2:])
    second = decide.allot_ports(2, None, STATE, lambda port: port not in bound)
    assert not {second.http, *second.inner()} & {first.http, *first.inner()}


def test_without_a_free_port_the_venue_is_refused() -> None:
    with pytest.raises(Refused, match="free TCP ports in a row"):
        decide.allot_ports(1, None, STATE, lambda _port: False)


def test_a_stopped_venue_keeps_its_ports_until_one_of_them_is_taken() -> None:
    old = venue()
    assert decide.resized(old, Request(), STATE, lambda _port: True) == old
    taken = old.ports.prometheus
    moved = decide.resized(old, Request(), STATE, lambda port: port != taken)
    assert taken not in moved.ports.all()
    assert moved.ports.http == old.ports.http
    assert decide.resized(old, Request(gateways=3), STATE, lambda _port: True).gateways == 3


@pytest.mark.parametrize(
    "request_",
    [Request(gateways=0), Request(gateways=17), Request(http_port=0), Request(http_port=70_000), Request(timeout_s=0)],
    ids=repr,
)
def test_what_no_venue_can_have_is_a_usage_error(request_: Request) -> None:
    with pytest.raises(UsageError):
        decide.check_request(request_, STATE)


def test_every_process_has_its_exact_command_and_no_secret() -> None:
    v, layout = venue(), Layout(STATE)
    specs = {s.name: s for s in decide.plan_processes(v, layout, TOOLS, {Pool.BLUE: "/r/1.0.0/exchange", Pool.GREEN: "/r/1.1.0/exchange"})}
    assert tuple(specs) == v.programs()
    p = v.ports
    assert specs["core"].argv == (
        "/py/bin/exchange", "core", "--log-dir", "/tmp/v/log", "--instruments", "/tmp/v/instruments.yaml",
        "--link-port", str(p.core_link), "--admin-port", str(p.core_admin), "--ack-policy", "device",
        "--link-key", "/tmp/v/link.key",
    )  # fmt: skip
    assert specs["gateway-3"].argv == (
        "/r/1.1.0/exchange", "gateway", "--name", "gateway-3", "--http-port", str(p.gateway_http[2]),
        "--binary-port", str(p.gateway_binary[2]), "--core", f"127.0.0.1:{p.core_link}",
        "--keys", "/tmp/v/keys.yaml", "--instruments", "/tmp/v/instruments.yaml", "--link-key", "/tmp/v/link.key",
    )  # fmt: skip
    assert specs["guardian"].argv == ("/py/bin/python", "-m", "ops.cli.main", "guardian", "--state", "/tmp/v")
    assert specs["probe"].argv == (
        "/py/bin/exchange", "probe", "--url", f"http://127.0.0.1:{p.http}", "--key-file", "/tmp/v/probe.key",
        "--instruments", "/tmp/v/instruments.yaml", "--note", "/tmp/v/probe.note", "--admin-port", str(p.probe),
    )  # fmt: skip
    assert not any("demo.key" in word for s in specs.values() for word in s.argv)


def test_everything_is_stopped_once_the_front_before_the_gateways_before_the_core() -> None:
    v = venue()
    phases = decide.stop_phases(v)
    assert sorted(name for phase in phases for name in phase) == sorted(v.programs())
    place = {name: index for index, phase in enumerate(phases) for name in phase}
    assert place["guardian"] <= place["haproxy"] < place["gateway-1"] < place["core"]
    assert place["probe"] < place["haproxy"], "it takes its order back through the front"


def test_a_venue_without_a_port_for_the_probe_runs_without_it_and_gets_one_with_its_next_start() -> None:
    old = venue()
    old = replace(old, ports=replace(old.ports, probe=0))
    assert "probe" not in (*old.programs(), *(name for phase in decide.stop_phases(old) for name in phase))
    assert "probe" not in {s.name for s in decide.plan_processes(old, Layout(STATE), TOOLS, {Pool.BLUE: "/a", Pool.GREEN: "/a"})}
    assert 0 not in old.ports.all()
    new = decide.resized(old, Request(), STATE, lambda _port: True)
    assert "probe" in new.programs()
    assert replace(new.ports, probe=0) == old.ports, "nothing else moves"
    assert new.ports.probe not in old.ports.all()


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, b'{"version": "1.0.0"}', True),
        (200, {}, b'{"version": "1.1.0"}', False),
        (503, {}, b'{"version": "1.0.0"}', False),
        (200, {}, b"[]", False),
        (200, {}, b"not json", False),
        (200, {}, b"[" * 100_000, False),
    ],
)
def test_a_gateway_is_ready_when_it_says_so_as_its_version(status: int, headers: dict[str, str], body: bytes, expected: bool) -> None:
    assert decide.is_ready(decide.Part("gateway-1", 1, version="1.0.0"), status, headers, body) is expected


def test_the_front_is_ready_when_a_gateway_answers_through_it() -> None:
    part = decide.Part("haproxy", 1, through_gateway=True)
    assert decide.is_ready(part, 200, {"x-gateway": "gateway-2"}, b"")
    assert not decide.is_ready(part, 200, {"server": "some other program"}, b"")


def test_a_character_that_a_configuration_file_takes_for_its_own_is_refused() -> None:
    for text in ("/tmp/a;b", "/tmp/a#b", "/tmp/a%b", '/tmp/a"b', "/tmp/a\nb", "/tmp/a$b", "/tmp/a\\b", "/tmp/a'b"):
        with pytest.raises(UsageError, match="configuration files cannot carry"):
            render.plain(text)
    assert render.plain("/tmp/my venue/é_1") == "/tmp/my venue/é_1"


def test_a_change_of_one_pools_release_changes_that_pools_programs_only() -> None:
    v, layout = venue(), Layout(STATE)
    old = decide.plan_processes(v, layout, TOOLS, {Pool.BLUE: "/a", Pool.GREEN: "/a"})
    new = decide.plan_processes(replace(v, roles=Roles(Pool.BLUE, v.roles.versions)), layout, TOOLS, {Pool.BLUE: "/a", Pool.GREEN: "/b"})
    assert {b.name for a, b in zip(old, new, strict=True) if a != b} == set(v.names(Pool.GREEN))


def test_a_public_port_that_is_an_inner_one_moves_the_inner_one() -> None:
    old = venue()
    wanted = old.ports.core_link
    new = decide.resized(old, Request(http_port=wanted), STATE, lambda _port: True)
    assert (new.ports.http, wanted in new.ports.inner()) == (wanted, False)
