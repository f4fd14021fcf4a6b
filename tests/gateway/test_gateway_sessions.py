"""Binary order entry: logon, orders under the key's own firm, and every way a session ends."""

import asyncio
import contextlib

import aiohttp
import pytest
from venue_parts import FakeCore, eventually, running_gateway

from engine import _core
from engine.gateway import binary
from engine.types import OrdStatus, RejectReason

BUY, SELL, LIMIT, DAY = 1, 2, 2, 0


class Member:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self._decoder = _core.FrameDecoder()
        self._frames = []

    def send(self, *frames):
        self.writer.write(b"".join(frames))

    async def frame(self):
        """The next frame, or None when the gateway closed the session."""
        async with asyncio.timeout(10):
            while not self._frames:
                data = await self.reader.read(65536)
                if not data:
                    return None
                self._frames.extend(self._decoder.feed(data))
        return self._frames.pop(0)

    async def logon(self, token):
        self.send(_core.encode_logon(1, token))
        return await self.frame()


@pytest.fixture
async def connect(request):
    members = []

    async def open_session(gateway):
        member = Member(*await asyncio.open_connection("127.0.0.1", gateway.binary_port))
        members.append(member)
        return member

    yield open_session
    for member in members:
        member.writer.close()
        with contextlib.suppress(ConnectionError):
            await member.writer.wait_closed()


@pytest.fixture
async def member(venue, connect, keys):
    session = await connect(venue.gateway)
    reply = await session.logon(keys.token["desk"])
    assert (reply[0], reply[1], RejectReason(reply[5])) == ("reply", 1, RejectReason.NONE)
    return session


def new_order(request_id, side=BUY, price=15010, qty=100, cl_ord_id="", firm=999, instrument=0):
    return _core.encode_new_order(request_id, firm, instrument, side, LIMIT, DAY, price, qty, cl_ord_id)


async def test_orders_go_in_under_the_keys_firm_and_replies_carry_the_members_ids(venue, member):
    member.send(new_order(41), new_order(42, qty=5))
    replies = [await member.frame(), await member.frame()]
    assert {reply[1] for reply in replies} == {41, 42}
    assert {OrdStatus(reply[4]) for reply in replies} == {OrdStatus.NEW}
    order_id = replies[0][3]
    assert (await venue.call("DELETE", f"/api/v1/orders/{order_id}", key="rival"))[0] == 403
    assert (await venue.call("DELETE", f"/api/v1/orders/{order_id}", key="desk"))[0] == 200


async def test_fills_do_not_name_the_counterparty(member, venue):
    await venue.order(key="rival", side="sell", price=150.10, quantity=30)
    member.send(new_order(2))
    reply = await member.frame()
    assert reply[9] == [(1, 15010, 30, 0)]


async def test_cancel_reduce_and_depth_work(member):
    member.send(new_order(2, qty=100))
    order_id = (await member.frame())[3]
    member.send(_core.encode_reduce(3, 0, order_id, 60))
    assert (await member.frame())[8] == 60
    member.send(_core.encode_depth_request(4, 0, 5))
    depth = await member.frame()
    assert (depth[0], depth[1], list(depth[3]), list(depth[4]), depth[5]) == ("depth", 4, [(15010, 60)], [], None)
    member.send(_core.encode_cancel(5, 0, order_id))
    assert OrdStatus((await member.frame())[4]) is OrdStatus.CANCELLED


async def test_depth_shows_the_last_trade(member, venue):
    await venue.order(side="sell", price=150.10, quantity=30)
    member.send(new_order(2, qty=50), _core.encode_depth_request(3, 0, 5))
    frames = {frame[1]: frame for frame in (await member.frame(), await member.frame())}
    assert tuple(frames[3][5]) == (15010, 30)


async def test_a_wrong_key_is_refused_and_the_session_ends(venue, connect):
    session = await connect(venue.gateway)
    reply = await session.logon("xk_guess")
    assert RejectReason(reply[5]) is RejectReason.NOT_OWNER
    assert await session.frame() is None


async def test_an_order_before_logon_ends_the_session(venue, connect):
    session = await connect(venue.gateway)
    session.send(new_order(1))
    assert RejectReason((await session.frame())[5]) is RejectReason.NOT_OWNER
    assert await session.frame() is None
    assert venue.core.stats()["commands"] == 0


async def test_no_logon_in_time_ends_the_session(venue, connect, monkeypatch):
    monkeypatch.setattr(binary, "LOGON_TIMEOUT_S", 0.05)
    session = await connect(venue.gateway)
    assert await session.frame() is None


@pytest.mark.parametrize(
    "data", [b"\xff" * 32, b"GET / HTTP/1.1\r\n\r\n", b"\x10\x00\x00\x00" + b"\x00" * 16, b"\x00\x00\x10\x00" + b"x" * 2000]
)
async def test_bytes_that_are_no_frame_end_the_session(venue, connect, data):
    session = await connect(venue.gateway)
    session.send(data)
    frame = await session.frame()
    assert frame is None or RejectReason(frame[5]) is RejectReason.NOT_OWNER
    await eventually(lambda: not venue.gateway.sessions.sessions, "the session is gone")


async def test_a_bad_frame_after_logon_ends_the_session_only(venue, member, connect, keys):
    member.send(b"\xff" * 32)
    assert await member.frame() is None
    other = await connect(venue.gateway)
    assert await other.logon(keys.token["desk"]) is not None


async def test_a_reading_key_may_look_but_not_trade(venue, connect, keys):
    session = await connect(venue.gateway)
    await session.logon(keys.token["reader"])
    session.send(new_order(2))
    assert RejectReason((await session.frame())[5]) is RejectReason.NOT_OWNER
    session.send(_core.encode_depth_request(3, 0, 5))
    assert (await session.frame())[0] == "depth"


async def test_odd_letters_in_cl_ord_id_and_unknown_instruments_are_refused(member):
    member.send(new_order(2, cl_ord_id='a"b'))
    assert RejectReason((await member.frame())[5]) is RejectReason.BAD_COMMAND
    member.send(_core.encode_depth_request(3, 99, 5))
    assert RejectReason((await member.frame())[5]) is RejectReason.UNKNOWN_INSTRUMENT
    member.send(new_order(4, instrument=99))
    assert RejectReason((await member.frame())[5]) is RejectReason.UNKNOWN_INSTRUMENT


async def test_a_session_past_its_rate_is_read_more_slowly_and_loses_nothing(venue, connect, keys):
    keys.add("steady", firm=9, rate_per_s=50, burst=1)
    venue.gateway._watch.poll()
    session = await connect(venue.gateway)
    await session.logon(keys.token["steady"])
    session.send(*(new_order(number) for number in range(10)))
    assert sorted([(await session.frame())[1] for _ in range(10)]) == list(range(10))


async def test_many_pipelined_orders_are_all_answered(member):
    member.send(*(new_order(number) for number in range(500)))
    assert {(await member.frame())[1] for _ in range(500)} == set(range(500))


async def test_open_sessions_are_counted_and_a_revoked_key_ends_its_own(venue, connect, keys):
    desk, rival = await connect(venue.gateway), await connect(venue.gateway)
    await desk.logon(keys.token["desk"])
    await rival.logon(keys.token["rival"])
    assert "exchange_sessions_open 2.0" in (await venue.call("GET", "/metrics"))[1]
    keys.remove("rival")
    venue.gateway._watch.poll()
    assert await rival.frame() is None
    await eventually(lambda: len(venue.gateway.sessions.sessions) == 1, "one session left")
    desk.send(new_order(2))
    assert await desk.frame() is not None
    assert "exchange_sessions_open 1.0" in (await venue.call("GET", "/metrics"))[1]


async def test_sessions_past_the_bound_are_not_opened(venue, connect, member):
    venue.gateway.sessions._max_sessions = 1
    session = await connect(venue.gateway)
    with contextlib.suppress(ConnectionError):
        assert await session.frame() is None
    assert len(venue.gateway.sessions.sessions) == 1


async def test_an_unknown_outcome_ends_the_session_without_an_answer(keys, connect):
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway:
        session = await connect(gateway)
        await session.logon(keys.token["desk"])
        session.send(new_order(2))
        await eventually(lambda: fake.requests, "the order is at the core")
        assert fake.requests[0][2] == 7
        fake.drop()
        assert await session.frame() is None


async def test_without_a_core_an_order_is_refused_and_the_session_stays(keys, connect):
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway:
        session = await connect(gateway)
        await session.logon(keys.token["desk"])
        fake.welcome = False
        fake.drop()
        await eventually(lambda: not gateway.link.is_up, "the core left")
        session.send(new_order(2))
        assert RejectReason((await session.frame())[5]) is RejectReason.LOG_UNAVAILABLE


async def test_a_member_that_does_not_read_is_not_read_either(venue, connect, keys):
    session = await connect(venue.gateway)
    await session.logon(keys.token["desk"])
    (open_session,) = venue.gateway.sessions.sessions
    open_session.pause_writing()
    session.send(*(new_order(number) for number in range(100)))
    await eventually(lambda: open_session._queue, "frames wait")
    assert venue.core.stats()["commands"] == 0
    open_session.resume_writing()
    assert {(await session.frame())[1] for _ in range(100)} == set(range(100))


async def test_stopping_the_gateway_closes_its_sessions(keys, connect):
    async with FakeCore() as fake, running_gateway(fake.port, keys.path) as gateway, aiohttp.ClientSession():
        session = await connect(gateway)
        await session.logon(keys.token["desk"])
        await gateway.stop()
        assert await session.frame() is None
