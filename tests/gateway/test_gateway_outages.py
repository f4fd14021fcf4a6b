"""What members see while the core is away, silent or replaced: a fake core where the moment matters, a real one where the truth does."""

import asyncio
import contextlib
import signal

import aiohttp
import pytest
from venue_parts import DIGEST, FakeCore, core_process, eventually, free_port, running_core, running_gateway

from engine import _core
from engine.gateway import link as link_module


@pytest.fixture
async def fake():
    async with FakeCore() as core:
        yield core


@pytest.fixture
async def over_fake(fake, keys, log, venue_type):
    async with running_gateway(fake.port, keys.path, log) as gateway, aiohttp.ClientSession() as session:
        yield venue_type(None, gateway, session, keys)


async def test_without_a_core_the_gateway_lives_is_not_ready_and_answers_503(keys, venue_type):
    async with running_gateway(free_port(), keys.path, wait_for_link=False) as gateway, aiohttp.ClientSession() as session:
        venue = venue_type(None, gateway, session, keys)
        assert (await venue.call("GET", "/healthz", key=None))[0] == 200
        status, body, _ = await venue.call("GET", "/readyz", key=None)
        assert (status, body["status"]) == (503, "core_unavailable")
        status, body, headers = await venue.order()
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "core_unavailable", "1")
        _, text, _ = await venue.call("GET", "/metrics")
        assert "exchange_core_link_up 0.0" in text
        assert "exchange_orders_submitted_total 1.0" in text
        assert "exchange_orders_completed_total 0.0" in text


async def test_a_link_that_breaks_with_a_request_in_flight_gives_outcome_unknown(over_fake, fake):
    answer = asyncio.create_task(over_fake.order(client_order_id="q"))
    await eventually(lambda: fake.requests, "the order is at the core")
    fake.drop()
    status, body, headers = await answer
    assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "outcome_unknown", "1")
    assert "client_order_id" in body["error"]["message"]
    await eventually(lambda: over_fake.gateway.link.is_up, "the link is made anew")


async def test_a_book_read_that_meets_a_breaking_link_is_core_unavailable(over_fake, fake):
    answer = asyncio.create_task(over_fake.call("GET", "/api/v1/orderbook/AAPL"))
    await eventually(lambda: fake.requests, "the request is at the core")
    fake.drop()
    status, body, _ = await answer
    assert (status, body["error"]["code"]) == (503, "core_unavailable")


async def test_a_silent_core_turns_orders_into_zombies_and_the_link_is_dropped(over_fake, fake):
    link = over_fake.gateway.link
    answer = asyncio.create_task(over_fake.order())
    await eventually(lambda: fake.requests, "the order is at the core")
    fake.welcome = False
    link.expire(link._clock() + 5.1)
    status, body, _ = await answer
    assert (status, body["error"]["code"]) == (503, "outcome_unknown")
    assert link.zombie_orders == 1
    await eventually(lambda: not link.is_up, "the silent core's link is dropped")
    assert (await over_fake.call("GET", "/readyz", key=None))[0] == 503


async def test_a_late_reply_ends_the_zombie_and_answers_nobody_else(over_fake, fake):
    link = over_fake.gateway.link
    answer = asyncio.create_task(over_fake.order())
    await eventually(lambda: fake.requests, "the order is at the core")
    link._last_heard_s = link._clock() + 10  # the core is alive, only this order hangs
    link.expire(link._clock() + 5.1)
    await answer
    assert (link.is_up, link.zombie_orders) == (True, 1)
    fake.send(_core.encode_reply(fake.requests[0][1], 9, 9, 0, 0, 100, 0, 100, []))
    await eventually(lambda: link.zombie_orders == 0, "the late reply is matched")
    assert link.is_up


async def test_a_core_of_an_older_epoch_is_refused(keys, log, tmp_path):
    async with FakeCore(epoch=3) as fake, running_gateway(fake.port, keys.path, log) as gateway:
        assert gateway.link.epoch == 3
        fake.epoch = 2
        fake.drop()
        await eventually(lambda: any("older" in str(line.get("reason")) for line in log.lines), "the old core is refused")
        assert not gateway.link.is_up
        fake.epoch = 4
        await eventually(lambda: gateway.link.is_up, "the new core is taken")
        assert gateway.link.epoch == 4


async def test_a_core_of_another_instrument_list_is_refused_until_it_has_the_gateways(keys, log, venue_type):
    async with (
        FakeCore(epoch=9, digest=DIGEST ^ 1) as fake,
        running_gateway(fake.port, keys.path, log, wait_for_link=False) as gateway,
        aiohttp.ClientSession() as session,
    ):
        await eventually(lambda: log.events().count("link.failed") >= 2, "attempts fail and go on")
        assert {line["reason"] for line in log.lines if line["event"] == "link.failed"} == {
            "the core trades another instrument list; start this gateway with the core's file"
        }
        assert (gateway.link.is_up, gateway.link.epoch) == (False, 0)
        assert (await venue_type(None, gateway, session, keys).call("GET", "/readyz", key=None))[0] == 503
        fake.digest = DIGEST
        await eventually(lambda: gateway.link.is_up, "the right core is taken")


async def test_a_core_with_a_link_key_takes_the_gateway_that_has_it_and_no_other(tmp_path, keys, log):
    key = tmp_path / "link.key"
    key.write_text("0123456789abcdef\n")
    key.chmod(0o600)
    with running_core(tmp_path / "log", link_key="0123456789abcdef") as (_, port):
        async with running_gateway(port, keys.path, log, wait_for_link=False) as gateway:
            await eventually(lambda: log.events().count("link.failed") >= 2, "attempts fail and go on")
            assert not gateway.link.is_up
            assert "--link-key" in next(line["reason"] for line in log.lines if line["event"] == "link.failed")
        async with running_gateway(port, keys.path, log, link_key_path=key) as gateway:
            assert gateway.link.is_up
    assert "0123456789abcdef" not in str(log.lines)


async def test_garbage_from_the_core_closes_the_link_and_it_comes_back(over_fake, fake, log):
    fake.send(b"\xff" * 64)
    await eventually(lambda: "link.lost" in log.events(), "the link is closed")
    fake.writers.clear()
    await eventually(lambda: over_fake.gateway.link.is_up, "and made anew")


async def test_a_core_that_never_welcomes_leaves_the_gateway_unready(keys, log, monkeypatch):
    monkeypatch.setattr(link_module, "HANDSHAKE_TIMEOUT_S", 0.05)
    async with FakeCore(welcome=False) as fake, running_gateway(fake.port, keys.path, log, wait_for_link=False) as gateway:
        await eventually(lambda: log.events().count("link.failed") >= 2, "attempts fail and go on")
        assert not gateway.link.is_up


async def test_past_the_links_bound_a_request_is_429_and_not_sent(over_fake, fake):
    over_fake.gateway.link._max_in_flight = 1
    first = asyncio.create_task(over_fake.order())
    await eventually(lambda: fake.requests, "the first order is at the core")
    status, body, _ = await over_fake.order()
    assert (status, body["error"]["code"]) == (429, "gateway_busy")
    assert len(fake.requests) == 1
    fake.drop()
    await first


async def test_a_killed_core_comes_back_and_knows_the_order_it_acknowledged(tmp_path, keys, venue_type):
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        first = stack.enter_context(core_process(tmp_path / "log", port))
        first.event("core.serving")
        gateway = await stack.enter_async_context(running_gateway(port, keys.path))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        venue = venue_type(None, gateway, session, keys)
        _, order, _ = await venue.order(client_order_id="kept")
        first.signal(signal.SIGKILL)
        await eventually(lambda: not gateway.link.is_up, "the gateway sees it")
        assert (await venue.order())[0] == 503
        second = stack.enter_context(core_process(tmp_path / "log", port))
        assert second.event("core.recovered")["records"] == 1
        await eventually(lambda: gateway.link.is_up, "the link is back")
        status, body, _ = await venue.order(client_order_id="kept")
        assert (status, body["error"]["order_id"]) == (409, order["order_id"])


async def test_a_core_killed_mid_flight_gives_503_and_a_retry_with_the_same_id_settles_it(tmp_path, keys, venue_type):
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        first = stack.enter_context(core_process(tmp_path / "log", port))
        first.event("core.serving")
        gateway = await stack.enter_async_context(running_gateway(port, keys.path))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        venue = venue_type(None, gateway, session, keys)
        await venue.order()
        first.signal(signal.SIGSTOP)  # frozen, so that the order is surely in flight when it dies
        await eventually(first.is_stopped, "every thread of the core is frozen")
        answer = asyncio.create_task(venue.order(client_order_id="mid"))
        await eventually(lambda: gateway.link.queue_depth == 1, "the order is in flight")
        first.signal(signal.SIGKILL)
        status, body, _ = await answer
        assert (status, body["error"]["code"]) == (503, "outcome_unknown")
        stack.enter_context(core_process(tmp_path / "log", port)).event("core.serving")
        await eventually(lambda: gateway.link.is_up, "the link is back")
        assert (await venue.order(client_order_id="mid"))[0] in (201, 409)
        assert (await venue.order(client_order_id="mid"))[0] == 409


async def test_stop_answers_what_is_in_flight_before_it_closes(tmp_path, keys, venue_type, fake):
    async with running_gateway(fake.port, keys.path) as gateway, aiohttp.ClientSession() as session:
        venue = venue_type(None, gateway, session, keys)
        answer = asyncio.create_task(venue.order())
        await eventually(lambda: fake.requests, "the order is at the core")
        stopping = asyncio.create_task(gateway.stop())
        await eventually(lambda: gateway.state.draining, "draining")
        assert gateway.state.readiness()[0] == 503
        fake.send(_core.encode_reply(fake.requests[0][1], 1, 1, 0, 0, 100, 0, 100, []))
        status, _, headers = await answer
        assert (status, headers["Connection"]) == (201, "close")
        await stopping


async def test_the_link_speaks_to_the_real_core_again_after_a_restart_on_the_same_port(tmp_path, keys, venue_type):
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        with running_core(tmp_path / "log", port):
            gateway = await stack.enter_async_context(running_gateway(port, keys.path))
        await eventually(lambda: not gateway.link.is_up, "the core left")
        stack.enter_context(running_core(tmp_path / "log", port))
        await eventually(lambda: gateway.link.is_up, "the core is back")
