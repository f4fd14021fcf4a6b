"""What one member, one caller without a key or one bad file could do to all others, and why it cannot."""

import asyncio
import contextlib
import fcntl
import itertools
import os
import resource
import socket
import time

import aiohttp
import pytest
from venue_parts import FakeCore, eventually, running_gateway

from engine import _core, cli, keys
from engine.config import VenueError, parse_instruments, read_yaml
from engine.gateway import binary, keywatch, process, state
from engine.gateway.model import listings
from engine.gateway.parse import parse_depth
from engine.types import RejectReason

ORDER = b'{"instrument":"AAPL","side":"buy","type":"limit","price":"150.10","quantity":1}'
LEVELS = (f"&{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in itertools.pairwise("abcdefghijklmnop"))
BOMB = f"[&a [x, x, x, x, x, x, x, x, x], {', '.join(LEVELS)}]"
"""A kilobyte of YAML that stands for 9 ** 16 letters."""


class SlowOrder:
    """A POST whose last byte comes only when the test says so."""

    @classmethod
    @contextlib.asynccontextmanager
    async def sent(cls, venue, key="desk"):
        slow = cls()
        slow.reader, slow.writer = await asyncio.open_connection("127.0.0.1", venue.gateway.http_port)
        before = venue.gateway.state.bodies_awaited
        fields = f"Host: x\r\nAuthorization: Bearer {venue.keys.token[key]}\r\nContent-Length: {len(ORDER)}\r\n"
        slow.writer.write(f"POST /api/v1/orders HTTP/1.1\r\n{fields}\r\n".encode() + ORDER[:-1])
        await eventually(lambda: venue.gateway.state.bodies_awaited == before + 1, "the body is awaited")
        try:
            yield slow
        finally:
            slow.writer.close()

    async def finish(self):
        self.writer.write(ORDER[-1:])
        return int((await self.reader.readline()).split()[1])


async def logged_on(gateway, token):
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.binary_port)
    writer.write(_core.encode_logon(1, token))
    (reply,) = _core.FrameDecoder().feed(await reader.read(65536))
    return reader, writer, RejectReason(reply[5])


async def refusal(reader, writer, frame):
    writer.write(frame)
    (reply,) = _core.FrameDecoder().feed(await reader.read(65536))
    return RejectReason(reply[5])


def new_order(request_id):
    return _core.encode_new_order(request_id, 1, 0, 1, 2, 0, 15010, 100, "")


async def test_a_member_with_slow_bodies_holds_no_place_that_others_need(venue):
    venue.gateway.state._max_requests = 1
    async with SlowOrder.sent(venue) as slow:
        assert (await venue.order(key="rival"))[0] == 201
        assert await slow.finish() == 201
    await eventually(lambda: venue.gateway.state.bodies_awaited == 0, "the count is paid back")


async def test_a_keys_bodies_on_the_way_are_bounded_for_itself_only(venue, monkeypatch):
    monkeypatch.setattr(state, "MAX_BODIES_PER_KEY", 1)
    async with SlowOrder.sent(venue), SlowOrder.sent(venue, "rival"):

        async def slowly():
            yield ORDER[:-1]
            await asyncio.Event().wait()

        status, body, headers = await venue.call("POST", "/api/v1/orders", data=slowly())
        assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "rate_limited", "1")
        assert 'exchange_orders_rejected_total{reason="rate_limited"} 1.0' in (await venue.call("GET", "/metrics"))[1]


async def test_a_body_that_is_cut_off_gives_its_place_back(venue):
    async with SlowOrder.sent(venue):
        pass
    await eventually(lambda: venue.gateway.state.bodies_awaited == 0, "the count is paid back")


async def test_draining_waits_for_a_body_on_its_way(venue):
    async with SlowOrder.sent(venue) as slow:
        stopping = asyncio.create_task(venue.gateway.stop())
        await eventually(lambda: venue.gateway.state.draining, "draining")
        assert await slow.finish() == 201
        await stopping


async def test_a_slow_client_is_not_a_slow_venue(venue, monkeypatch):
    now_s, started = 0.0, []
    real = venue.gateway.service.new_order

    async def recorded(firm, order, started_s):
        started.append(started_s)
        return await real(firm, order, started_s)

    monkeypatch.setattr(venue.gateway.service, "new_order", recorded)
    monkeypatch.setattr(venue.gateway.rest, "_clock", lambda: now_s)
    async with SlowOrder.sent(venue) as slow:
        now_s = 4.0
        assert await slow.finish() == 201
    assert started == [4.0]


@pytest.mark.parametrize("value", ["!!bool x", '!!int ""', '!!float ""', "!!timestamp x", "!!int x", "!!binary é", "!!set [a]"])
def test_a_value_that_does_not_fit_its_tag_is_bad_yaml_and_no_crash(value):
    with pytest.raises(VenueError, match=r"k\.yaml.*not valid YAML"):
        read_yaml(f"- {value}\n", "k.yaml")


async def test_the_watch_of_the_keys_survives_any_error(venue, keys, log, monkeypatch):
    watch = venue.gateway._watch

    def broken(_):
        raise RuntimeError("nobody thought of this")

    with monkeypatch.context() as patch:
        patch.setattr(keywatch, "load_keys", broken)
        keys.remove("slow")
        watch.poll()
    assert [line["reason"] for line in log.lines if line["event"] == "keys.kept"] == ["unexpected RuntimeError"]
    keys.remove("rival")
    watch.poll()
    assert (await venue.order(key="rival"))[0] == 401
    assert not venue.gateway._watching.done()


async def test_a_keys_file_that_changes_while_the_gateway_starts_is_seen(keys, monkeypatch):
    def load_then_change(path):
        ring = load(path)
        keys.remove("rival")
        return ring

    load = process.load_keys
    monkeypatch.setattr(process, "load_keys", load_then_change)
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway:
        gateway._watch.poll()
        assert "rival" not in {entry.id for entry in gateway.state.keys.entries}


async def test_a_session_whose_member_does_not_read_is_cut_off(venue, keys, monkeypatch):
    monkeypatch.setattr(binary, "CLOSE_TIMEOUT_S", 0.01)
    _, writer, _ = await logged_on(venue.gateway, keys.token["desk"])
    writer.transport.pause_reading()
    (session,) = venue.gateway.sessions.sessions
    session._transport.write(b"x" * 64_000_000)
    session.close("key revoked")
    assert session._transport.get_write_buffer_size() > 0
    await eventually(lambda: not venue.gateway.sessions.sessions, "the session is gone")
    writer.transport.abort()


async def test_the_kernel_asks_after_silent_sessions(venue, keys):
    _, writer, _ = await logged_on(venue.gateway, keys.token["desk"])
    (session,) = venue.gateway.sessions.sessions
    assert session._transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    writer.close()


async def test_callers_without_a_key_cannot_take_the_members_sessions(venue, keys, log, monkeypatch):
    monkeypatch.setattr(binary, "MAX_BEFORE_LOGON", 2)
    _, member, _ = await logged_on(venue.gateway, keys.token["desk"])
    strangers = [await asyncio.open_connection("127.0.0.1", venue.gateway.binary_port) for _ in range(2)]
    await eventually(lambda: len(venue.gateway.sessions.sessions) == 3, "a member and two strangers")
    reader, refused = await asyncio.open_connection("127.0.0.1", venue.gateway.binary_port)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    assert "session.closed" not in log.events(), "it was never let in"
    strangers[0][1].write(_core.encode_logon(1, keys.token["rival"]))
    await strangers[0][0].read(65536)
    _, third, reason = await logged_on(venue.gateway, keys.token["desk"])
    assert reason is RejectReason.NONE
    for writer in (member, refused, third, *(writer for _, writer in strangers)):
        writer.close()


async def test_one_keys_sessions_are_bounded(venue, keys, monkeypatch):
    monkeypatch.setattr(binary, "MAX_SESSIONS_PER_KEY", 1)
    _, first, _ = await logged_on(venue.gateway, keys.token["desk"])
    reader, second, reason = await logged_on(venue.gateway, keys.token["desk"])
    assert reason is RejectReason.LOG_UNAVAILABLE
    assert await reader.read() == b""
    _, other, reason = await logged_on(venue.gateway, keys.token["rival"])
    assert reason is RejectReason.NONE
    for writer in (first, second, other):
        writer.close()


async def test_orders_refused_over_binary_are_counted(venue, keys):
    reader, writer, _ = await logged_on(venue.gateway, keys.token["reader"])
    assert await refusal(reader, writer, new_order(2)) is RejectReason.NOT_OWNER
    assert await refusal(reader, writer, _core.encode_cancel(3, 0, 1)) is RejectReason.NOT_OWNER
    venue.gateway.state._max_requests = 0
    assert await refusal(reader, writer, new_order(4)) is RejectReason.LOG_UNAVAILABLE
    _, text, _ = await venue.call("GET", "/metrics")
    assert 'exchange_orders_rejected_total{reason="permission_denied"} 1.0' in text
    assert 'exchange_orders_rejected_total{reason="gateway_busy"} 1.0' in text
    writer.close()


@pytest.mark.parametrize(
    ("soft", "hard", "files"),
    [(1024, 20_000, 8192), (1024, 4096, 4096), (20_000, 20_000, 20_000), (1024, resource.RLIM_INFINITY, 8192), (8192, 8192, 8192)],
)
def test_the_gateway_takes_the_open_files_that_it_may(soft, hard, files, monkeypatch):
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    assert process.raise_file_limit() == files
    assert set_to == ([(files, hard)] if files > soft else [])


@pytest.mark.parametrize(("files", "connections"), [(20_000, 4096), (8192, 4096), (5248, 4096), (4096, 2944), (1024, 256)])
def test_connections_leave_open_files_for_sessions(files, connections):
    assert process.connections_within(files) == connections


async def test_orders_that_a_lost_link_left_unanswered_become_zombies(keys, venue_type):
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway, aiohttp.ClientSession() as session:
        venue, link = venue_type(None, gateway, session, keys), gateway.link
        answers = [asyncio.create_task(venue.order()), asyncio.create_task(venue.call("GET", "/api/v1/orderbook/AAPL"))]
        await eventually(lambda: len(fake.requests) == 2, "order and read are at the core")
        fake.welcome = False
        fake.drop()
        await asyncio.gather(*answers)
        now_s = time.monotonic()
        link._clock = lambda: now_s
        link._unanswered_s = [now_s - 4.9 for _ in link._unanswered_s]
        assert link.zombie_orders == 0
        now_s += 0.2
        assert (link.is_up, link.zombie_orders) == (False, 1)
        fake.welcome = True
        fake.drop()
        await eventually(lambda: link.is_up, "a core welcomes the gateway")
        assert link.zombie_orders == 0
        link._max_in_flight = 1
        answer = asyncio.create_task(venue.order())
        await eventually(lambda: len(fake.requests) == 3, "they take no place on the new link")
        fake.drop()
        await answer


def test_two_makers_of_keys_do_not_undo_each_other(tmp_path, monkeypatch):
    path, held = tmp_path / "k.yaml", []
    keys.save_keys(path, [keys.new_key("first", 1)[1]])

    def is_held():
        with (tmp_path / "k.yaml.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def watched(real):
        return lambda *arguments: (held.append(is_held()), real(*arguments))[1]

    monkeypatch.setattr(keys, "load_keys", watched(keys.load_keys))
    monkeypatch.setattr(keys, "save_keys", watched(keys.save_keys))
    cli.keys_new(file=path, key_id="second", firm=1, permission=None, rate=5, burst=None)
    assert held == [True, True]
    assert not is_held()
    assert [entry.id for entry in keys.load_keys(path).entries] == ["first", "second"]


def test_a_planted_temporary_file_is_neither_followed_nor_removed(tmp_path, monkeypatch):
    path, victim = tmp_path / "k.yaml", tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(keys.secrets, "token_hex", lambda _: "guessed")
    planted = tmp_path / f".k.yaml.{os.getpid()}.guessed.new"
    planted.symlink_to(victim)
    with pytest.raises(VenueError, match="cannot be written"):
        keys.save_keys(path, [keys.new_key("first", 1)[1]])
    assert (victim.read_text(), planted.is_symlink(), path.exists()) == ("precious", True, False)


@pytest.mark.parametrize("field", ["symbol", "tick_size", "max_quantity"])
def test_a_yaml_alias_bomb_is_shown_in_brief(field):
    row = {"symbol": "AAPL", "tick_size": '"0.01"', "max_quantity": "1", field: BOMB}
    with pytest.raises(VenueError, match=field) as error:
        parse_instruments(f"- {{{', '.join(f'{name}: {value}' for name, value in row.items())}}}", "i.yaml")
    assert len(error.value.message) < 1000


@pytest.mark.parametrize("text", ["- {symbol: AAPL, tick_size: '0.01', max_quantity: 0x%s}", "- ? 0x%s\n  : 1"])
def test_a_number_of_endless_digits_is_refused_in_words(text):
    with pytest.raises(VenueError, match="too long to show"):
        parse_instruments(text % ("f" * 5000), "i.yaml")


async def test_a_leaving_gateway_listens_until_the_splitter_has_seen_it(keys, venue_type):
    asked, may_go = [], asyncio.Event()

    async def pause(seconds):
        asked.append(seconds)
        await may_go.wait()

    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway, aiohttp.ClientSession() as session:
        gateway._pause = pause
        stopping = asyncio.create_task(gateway.stop())
        await eventually(lambda: asked, "readiness is gone, the listener is not")
        status, body, _ = await venue_type(None, gateway, session, keys).call("GET", "/readyz", key=None)
        assert (status, body["status"]) == (503, "draining")
        may_go.set()
        await stopping
        with pytest.raises(aiohttp.ClientConnectionError):
            await venue_type(None, gateway, session, keys).call("GET", "/readyz", key=None)
    assert process.GatewaySettings("g", "h", 1, keys.path, keys.path).notice_s == 0.5


async def test_a_query_parameter_given_twice_is_a_400(venue):
    status, body, _ = await venue.call("GET", "/api/v1/orderbook/AAPL?depth=5&depth=7")
    assert (status, body["error"]["code"], body["error"]["field"]) == (400, "duplicate_field", "depth")
    assert (
        parse_depth("AAPL", {"depth": "5"}, listings(parse_instruments("- {symbol: AAPL, tick_size: '1', max_quantity: 1}", "i"))).levels
        == 5
    )
