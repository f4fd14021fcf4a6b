"""The REST interface over a real core: every path of docs/api.md."""

import asyncio
import contextlib
import json

import pytest
from venue_parts import eventually

from engine import __version__, conventions


async def test_a_limit_order_rests_and_is_acknowledged(venue):
    status, body, headers = await venue.order(client_order_id="a-1")
    assert status == 201
    assert body == {
        "order_id": 1, "status": "new", "seq_num": 1, "client_order_id": "a-1",
        "filled_quantity": 0, "remaining_quantity": 100, "avg_price": None, "fills": [],
    }  # fmt: skip
    assert headers[conventions.HEADER_GATEWAY] == "gateway-t"
    assert headers[conventions.HEADER_VERSION] == __version__


async def test_a_market_order_fills_at_the_resting_price_written_exactly(venue):
    await venue.order(price="150.10", quantity=100)
    status, body, _ = await venue.order(side="sell", type="market", price=None, quantity=30)
    assert (status, body["status"], body["filled_quantity"], body["remaining_quantity"]) == (201, "filled", 30, 0)
    assert (body["avg_price"], body["fills"]) == (150.1, [{"trade_id": 1, "price": 150.1, "quantity": 30}])


async def test_prices_are_json_numbers_with_the_ticks_decimals(venue):
    await venue.order(price=150.1)
    url = f"http://127.0.0.1:{venue.gateway.http_port}/api/v1/orderbook/AAPL"
    async with venue.session.get(url, headers={"Authorization": f"Bearer {venue.keys.token['reader']}"}) as response:
        assert '"price":150.10,' in await response.text()


async def test_the_book_shows_levels_and_the_last_trade(venue):
    await venue.order(price=150.10, quantity=100)
    await venue.order(price=150.10, quantity=20)
    await venue.order(price=150.12, side="sell", quantity=5)
    await venue.order(price=150.10, side="sell", quantity=10, time_in_force="ioc")
    _, body, _ = await venue.call("GET", "/api/v1/orderbook/AAPL?depth=1", key="reader")
    assert body["bids"] == [{"price": 150.1, "quantity": 110}]
    assert body["asks"] == [{"price": 150.12, "quantity": 5}]
    assert body["last_trade"] == {"price": 150.1, "quantity": 10}
    _, empty, _ = await venue.call("GET", "/api/v1/orderbook/MSFT")
    assert (empty["bids"], empty["asks"], empty["last_trade"]) == ([], [], None)


async def test_an_ioc_order_does_not_rest_and_a_fok_order_fills_whole_or_not_at_all(venue):
    await venue.order(side="sell", quantity=10)
    _, ioc, _ = await venue.order(quantity=4, time_in_force="ioc")
    _, fok, _ = await venue.order(quantity=7, time_in_force="fok")
    assert (ioc["status"], ioc["filled_quantity"]) == ("filled", 4)
    assert (fok["status"], fok["filled_quantity"], fok["fills"]) == ("cancelled", 0, [])


async def test_a_cancel_gives_the_cancelled_quantity_and_a_second_one_comes_too_late(venue):
    _, order, _ = await venue.order(quantity=100)
    await venue.order(side="sell", quantity=30, time_in_force="ioc")
    status, body, _ = await venue.call("DELETE", f"/api/v1/orders/{order['order_id']}")
    assert (status, body["status"], body["remaining_qty"]) == (200, "cancelled", 70)
    status, body, _ = await venue.call("DELETE", f"/api/v1/orders/{order['order_id']}")
    assert (status, body["error"]["code"]) == (409, "too_late")


async def test_an_order_is_amended_downwards_only(venue):
    _, order, _ = await venue.order(quantity=100)
    path = f"/api/v1/orders/{order['order_id']}"
    status, body, _ = await venue.call("PATCH", path, {"quantity": 40})
    assert (status, body["remaining_quantity"], body["status"]) == (200, 40, "new")
    status, body, _ = await venue.call("PATCH", path, {"quantity": 41})
    assert (status, body["error"]["code"], body["error"]["field"]) == (422, "bad_quantity", "quantity")
    _, cancelled, _ = await venue.call("DELETE", path)
    assert cancelled["remaining_qty"] == 40


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"quantity": -1}, 422, "bad_quantity", "quantity"),
        ({"quantity": 1_000_001}, 422, "bad_quantity", "quantity"),
        ({"price": 150.105}, 422, "bad_price", "price"),
        ({"price": None}, 422, "bad_price", "price"),
        ({"type": "market"}, 422, "bad_price", "price"),
        ({"side": "hold"}, 422, "invalid_value", "side"),
        ({"quantity": "5"}, 400, "wrong_type", "quantity"),
        ({"colour": "red"}, 400, "unknown_field", "colour"),
        ({"instrument": "NOPE"}, 404, "unknown_instrument", "instrument"),
    ],
)
async def test_a_bad_order_is_refused_with_its_field_and_never_reaches_the_core(venue, change, status, code, field):
    got, body, _ = await venue.order(**change)
    assert (got, body["error"]["code"], body["error"]["field"]) == (status, code, field)
    assert venue.core.stats()["commands"] == 0


@pytest.mark.parametrize(
    ("data", "code"), [(b"{", "invalid_json"), (b"[]", "not_an_object"), (b"\xff", "invalid_json"), (b"", "invalid_json")]
)
async def test_a_body_that_is_no_json_object_is_a_400(venue, data, code):
    status, body, _ = await venue.call("POST", "/api/v1/orders", data=data)
    assert (status, body["error"]["code"]) == (400, code)


async def test_a_body_past_the_bound_is_a_413_whether_announced_or_chunked(venue):
    status, body, _ = await venue.call("POST", "/api/v1/orders", data=b" " * 9000)
    assert (status, body["error"]["code"]) == (413, "body_too_large")

    async def chunks():
        for _ in range(10):
            yield b" " * 1000

    status, body, _ = await venue.call("POST", "/api/v1/orders", data=chunks())
    assert (status, body["error"]["code"]) == (413, "body_too_large")


async def test_no_key_and_a_wrong_key_are_401(venue):
    assert (await venue.order(key=None))[0] == 401
    status, body, _ = await venue.order(key="xk_guess")
    assert (status, body["error"]["code"]) == (401, "wrong_key")
    status, body, _ = await venue.call("GET", "/api/v1/orderbook/AAPL", key=None, headers={"Authorization": "Basic abc"})
    assert (status, body["error"]["code"]) == (401, "missing_key")


async def test_a_key_without_trade_permission_reads_but_does_not_trade(venue):
    status, body, _ = await venue.order(key="reader")
    assert (status, body["error"]["code"]) == (403, "permission_denied")
    assert (await venue.call("GET", "/api/v1/orderbook/AAPL", key="reader"))[0] == 200


async def test_another_firms_order_can_be_neither_cancelled_nor_amended(venue):
    _, order, _ = await venue.order()
    path = f"/api/v1/orders/{order['order_id']}"
    for method, json_body in (("DELETE", None), ("PATCH", {"quantity": 1})):
        status, body, _ = await venue.call(method, path, json_body, key="rival")
        assert (status, body["error"]["code"]) == (403, "not_owner")


@pytest.mark.parametrize("order_id", ["999", "0", "abc", "-1", "99999999999999999999"])
async def test_an_unknown_order_is_a_404(venue, order_id):
    status, body, _ = await venue.call("DELETE", f"/api/v1/orders/{order_id}")
    assert (status, body["error"]["code"]) == (404, "unknown_order")


async def test_unknown_paths_and_methods_have_the_error_body_too(venue):
    status, body, headers = await venue.call("GET", "/nowhere")
    assert (status, body["error"]["code"]) == (404, "unknown_route")
    assert conventions.HEADER_VERSION in headers
    status, body, headers = await venue.call("GET", "/api/v1/orders")
    assert (status, body["error"]["code"], headers["Allow"]) == (405, "method_not_allowed", "POST")


@pytest.mark.parametrize("query", ["depth=0", "depth=101", "depth=x", "depth=-1"])
async def test_a_bad_depth_is_a_422(venue, query):
    status, body, _ = await venue.call("GET", f"/api/v1/orderbook/AAPL?{query}")
    assert (status, body["error"]["code"], body["error"]["field"]) == (422, "invalid_value", "depth")


async def test_a_client_order_id_is_taken_once_per_firm(venue):
    _, first, _ = await venue.order(client_order_id="x")
    status, body, _ = await venue.order(client_order_id="x")
    assert (status, body["error"]["code"], body["error"]["order_id"]) == (409, "duplicate_client_order_id", first["order_id"])
    assert (await venue.order(client_order_id="x", key="rival"))[0] == 201


async def test_past_its_rate_a_key_gets_429_with_retry_after_and_others_do_not(venue):
    statuses = [(await venue.order(key="slow"))[0] for _ in range(3)]
    status, body, headers = await venue.order(key="slow")
    assert statuses[:2] == [201, 201]
    assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "rate_limited", "1")
    assert (await venue.order())[0] == 201


async def test_bytes_that_are_no_http_get_the_error_body(venue):
    reader, writer = await asyncio.open_connection("127.0.0.1", venue.gateway.http_port)
    writer.write(b"\x16\x03\x01 not http\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.0 400") or answer.startswith("HTTP/1.1 400")
    assert json.loads(answer.partition("\r\n\r\n")[2])["error"]["code"] == "bad_request"


async def test_a_bug_is_a_500_with_an_id_that_the_log_explains(venue, log, monkeypatch):
    async def broken(*_):
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(venue.gateway.service, "new_order", broken)
    status, body, _ = await venue.order()
    assert (status, body["error"]["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(body)
    line = next(line for line in log.lines if line["event"] == "request.failed")
    assert line["correlation_id"] == body["error"]["correlation_id"]
    assert "a secret of the inside" in line["trace"]


async def test_no_log_line_holds_a_token(venue, log, keys):
    await venue.order()
    await venue.order(key="xk_guess")
    written = json.dumps(log.lines)
    assert not any(token in written for token in (*keys.token.values(), "xk_guess"))


async def test_a_changed_keys_file_is_taken_and_a_bad_one_is_not(venue, keys, log):
    keys.remove("rival")
    await eventually(lambda: "keys.reloaded" in log.events(), "the new file is read")
    assert (await venue.order(key="rival"))[0] == 401
    keys.path.write_text("nonsense: [")
    await eventually(lambda: "keys.kept" in log.events(), "the bad file is refused")
    assert (await venue.order())[0] == 201


async def test_metrics_count_what_happened(venue):
    await venue.order()
    await venue.order(quantity=-1)
    await venue.order(client_order_id="d")
    await venue.order(client_order_id="d")
    _, text, _ = await venue.call("GET", "/metrics")
    for line in (
        "exchange_orders_submitted_total 3.0",
        "exchange_orders_completed_total 3.0",
        'exchange_orders_rejected_total{reason="bad_quantity"} 1.0',
        'exchange_orders_rejected_total{reason="duplicate_cl_ord_id"} 1.0',
        'exchange_http_requests_total{code="201",route="orders_post"} 2.0',
        "exchange_order_ack_seconds_count 3.0",
        "exchange_core_link_up 1.0",
        "exchange_zombie_orders 0.0",
        "exchange_queue_depth 0.0",
        "exchange_sessions_open 0.0",
        f'exchange_build_info{{commit="checkout",version="{__version__}"}} 1.0',
    ):
        assert line in text


async def test_health_and_readiness_name_version_and_gateway(venue):
    for path in ("/healthz", "/readyz"):
        status, body, _ = await venue.call("GET", path, key=None)
        assert (status, body["version"], body["gateway"]) == (200, __version__, "gateway-t")


async def test_requests_past_the_in_flight_bound_get_429(venue):
    venue.gateway.state._max_requests = 0
    status, body, headers = await venue.order()
    assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "gateway_busy", "1")


async def test_a_body_that_stops_midway_is_a_408(venue, monkeypatch):
    monkeypatch.setattr("engine.gateway.server.BODY_TIMEOUT_S", 0.05)

    async def stalls():
        yield b'{"instr'
        await asyncio.Event().wait()

    status, body, _ = await venue.call("POST", "/api/v1/orders", data=stalls())
    assert (status, body["error"]["code"]) == (408, "request_timeout")


async def test_connections_past_the_bound_are_dropped(venue, monkeypatch):
    monkeypatch.setattr(venue.gateway.http, "max_connections", 1)
    assert (await venue.order())[0] == 201  # keeps its connection open
    reader, writer = await asyncio.open_connection("127.0.0.1", venue.gateway.http_port)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert (await venue.order())[0] == 201
