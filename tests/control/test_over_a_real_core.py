"""Operators and members at one core: what a command does is what the members see."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
from venue_parts import LogLines, running_core, running_gateway

from engine.config import VenueError, load_instruments
from engine.control import requests
from engine.control.link import ControlLink, Target
from engine.control.run import ControlOptions
from engine.control.status import run_status
from engine.instruments import instruments_digest
from engine.types import FirmLimits, StpMode

LIST = """
- {symbol: AAPL, tick_size: "0.01", max_quantity: 1000, reference_price: "150.00", price_band: "5%", market_collar: "5%",
   fat_finger: "200%", market_notional_cap: "50000"}
- {symbol: MSFT, tick_size: "0.01", max_quantity: 1000}
"""


class Venue:
    def __init__(self, core_port, gateway, session, keys, instruments):
        self._url = f"http://127.0.0.1:{gateway.http_port}"
        self.port, self._session, self._keys = core_port, session, keys
        self._target = Target("127.0.0.1", core_port, instruments_digest(instruments))
        self.aapl, self.msft = instruments

    async def control(self, *wanted):
        """The counts that the core answered."""

        def send():
            with ControlLink(self._target) as link:
                return [link.send(request).count for request in wanted]

        return await asyncio.to_thread(send)

    async def call(self, method, path, json=None, key="desk"):
        headers = {"Authorization": f"Bearer {self._keys.token[key]}"}
        async with self._session.request(method, self._url + path, json=json, headers=headers) as response:
            return response.status, await response.json()

    async def order(self, side="buy", price="150.00", quantity=10, key="desk", **fields):
        order = {"instrument": "AAPL", "side": side, "type": "limit", "price": price, "quantity": quantity, **fields}
        return await self.call("POST", "/api/v1/orders", {name: value for name, value in order.items() if value is not None}, key)

    async def refused(self, **fields):
        """(status, code, message)"""
        status, body = await self.order(**fields)
        return status, body["error"]["code"], body["error"]["message"]

    async def book(self, symbol="AAPL"):
        return (await self.call("GET", f"/api/v1/orderbook/{symbol}"))[1]


@pytest.fixture
async def venue(tmp_path, keys):
    path = tmp_path / "list.yaml"
    path.write_text(LIST)
    instruments = load_instruments(path)
    async with contextlib.AsyncExitStack() as stack:
        _, port = stack.enter_context(running_core(tmp_path / "log", instruments=instruments))
        gateway = await stack.enter_async_context(running_gateway(port, keys.path, LogLines(), instruments=path))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Venue(port, gateway, session, keys, instruments)


async def test_a_trading_day_goes_through_its_states(venue):
    assert await venue.control(requests.session("opening_auction", None)) == [2]
    await venue.order("buy", "150.10", 30)
    await venue.order("sell", "150.00", 20, key="rival")
    assert (await venue.refused(type="market", price=None))[:2] == (409, "wrong_state")
    book = await venue.book()
    assert (book["state"], book["indicative"]) == ("opening_auction", {"price": 150.0, "quantity": 20, "imbalance": 10})
    assert await venue.control(requests.session("continuous", venue.aapl)) == [1]
    book = await venue.book()
    assert (book["state"], book["indicative"], book["last_trade"]) == ("continuous", None, {"price": 150.0, "quantity": 20})
    await venue.order("buy", "149.00", 5, time_in_force="gtc")
    assert await venue.control(requests.session("closed", None)) == [2]
    assert (await venue.book())["bids"] == [{"price": 149.0, "quantity": 5}]
    assert (await venue.refused())[:2] == (409, "wrong_state")
    assert await venue.control(requests.split(venue.aapl, "2:1", "0.24")) == [1]
    assert (await venue.book())["bids"] == [{"price": 74.26, "quantity": 10}]
    assert await venue.control(requests.end_of_day("2026-11-20")) == [2]


async def test_the_status_tells_state_best_prices_and_what_an_uncross_would_do(venue, tmp_path, capsys):
    await venue.control(requests.session("halted", venue.msft))
    for side, price, quantity, instrument in (("buy", "150.00", 10, "AAPL"), ("sell", "150.10", 1000, "AAPL"), ("sell", "9.00", 5, "MSFT")):
        await venue.order(side, price, quantity, instrument=instrument)
    await venue.order("buy", "9.01", 7, instrument="MSFT", key="rival")

    async def shown(output, *symbols):
        options = ControlOptions(None, f"127.0.0.1:{venue.port}", None, tmp_path / "list.yaml", output, False, "10s")
        await asyncio.to_thread(run_status, options, symbols)
        return capsys.readouterr().out

    aapl, msft = json.loads(await shown("json"))
    assert aapl == {
        "instrument": "AAPL", "state": "continuous", "limit_state": False, "bid": {"price": "150.00", "quantity": 10},
        "ask": {"price": "150.10", "quantity": 1000}, "last_trade": None, "indicative": None, "seq_num": 5,
    }  # fmt: skip
    assert (msft["state"], msft["indicative"]) == ("halted", {"price": "9.00", "quantity": 5, "imbalance": 2})
    assert (await shown("json", "MSFT")) == json.dumps([msft]) + "\n"
    await venue.order("buy", "160.00", 1001 - 1, key="rival")
    await venue.order("buy", "160.00", 1, key="rival")
    lines = [" ".join(line.split()) for line in (await shown("table")).splitlines()]
    assert lines == [
        "instrument state bid ask last trade uncross now",
        "AAPL continuous 10 @ 150.00 - 1,000 @ 150.10 -",
        "MSFT halted 7 @ 9.01 5 @ 9.00 - 5 @ 9.00",
    ]


async def test_a_halted_instrument_takes_orders_to_rest_and_cancels_and_nothing_else(venue):
    _, resting = await venue.order("buy", "150.00", 10)
    await venue.control(requests.session("halted", venue.aapl))
    status, code, message = await venue.refused(side="sell", time_in_force="ioc", key="rival")
    assert (status, code, "halted" in message) == (409, "wrong_state", True)
    assert (await venue.order("sell", "150.00", 5, key="rival"))[1]["fills"] == []
    assert (await venue.call("DELETE", f"/api/v1/orders/{resting['order_id']}"))[0] == 200


async def test_the_kill_switch_cancels_what_rests_and_refuses_what_comes_until_it_is_off(venue):
    await venue.order()
    await venue.order(instrument="MSFT")
    await venue.order(key="rival", price="149.00")
    assert await venue.control(requests.kill(7)) == [2]
    status, code, message = await venue.refused()
    assert (status, code, "firm 7" in message) == (403, "firm_killed", True)
    assert (await venue.book())["bids"] == [{"price": 149.0, "quantity": 10}]
    await venue.control(requests.kill(7, off=True))
    assert (await venue.order())[0] == 201


async def test_cancel_all_of_one_instrument_leaves_the_firm_trading(venue):
    await venue.order()
    await venue.order(instrument="MSFT")
    assert await venue.control(requests.cancel_all(7, venue.msft), requests.cancel_all(7, None)) == [1, 1]
    assert (await venue.order())[0] == 201


@pytest.mark.parametrize(
    ("limits", "code", "says"),
    [
        (FirmLimits(max_order_qty=9), "order_size", ("10", "limit of 9")),
        (FirmLimits(position_limit=9), "position_limit", ("10", "limit of 9")),
    ],
)
async def test_limits_hold_from_the_next_order_on_and_can_be_lifted(venue, limits, code, says):
    assert (await venue.order())[0] == 201
    await venue.control(requests.cancel_all(7, None), requests.limits(7, limits))
    status, got, message = await venue.refused()
    assert (status, got) == (422, code)
    assert all(part in message for part in says)
    assert (await venue.order(quantity=9))[0] == 201
    assert (await venue.order(key="rival"))[0] == 201
    await venue.control(requests.limits(7, FirmLimits()))
    assert (await venue.order())[0] == 201


async def test_an_order_rate_is_a_429_for_the_whole_firm(venue):
    await venue.control(requests.limits(7, FirmLimits(rate_per_s=1, burst=1)))
    answers = [await venue.order(price="149.00", quantity=1) for _ in range(20)]
    refused = [body["error"]["code"] for status, body in answers if status == 429]
    assert answers[0][0] == 201
    assert set(refused) == {"order_rate"}
    assert (await venue.order(key="rival"))[0] == 201


@pytest.mark.parametrize(
    ("mode", "status", "left"),
    [(StpMode.CANCEL_NEWEST, "cancelled", 10), (StpMode.CANCEL_OLDEST, "new", 0), (StpMode.DECREMENT, "cancelled", 6)],
)
async def test_a_firm_does_not_trade_with_itself(venue, mode, status, left):
    await venue.control(requests.limits(7, FirmLimits(stp=mode)))
    await venue.order("buy", "150.00", 10)
    code, body = await venue.order("sell", "150.00", 4)
    assert (code, body["status"], body["fills"]) == (201, status, [])
    assert sum(level["quantity"] for level in (await venue.book())["bids"]) == left
    assert body.get("reason") == (None if mode is StpMode.CANCEL_OLDEST else "self_trade")


async def test_a_price_band_cancels_the_rest_and_begins_a_limit_state(venue):
    await venue.order("sell", "157.50", 5, key="rival")
    await venue.order("sell", "157.60", 5, key="rival")
    status, body = await venue.order("buy", "158.00", 10)
    assert (status, body["status"], body["reason"], body["filled_quantity"]) == (201, "cancelled", "price_band", 5)
    assert (await venue.book())["limit_state"] is True
    await venue.control(requests.reference(venue.aapl, "157.00"))
    status, body = await venue.order("buy", "158.00", 5)
    assert (status, body["status"], (await venue.book())["limit_state"]) == (201, "filled", False)


async def test_guards_of_an_instrument_are_told_in_money(venue):
    status, code, message = await venue.refused(price="300.01")
    assert (status, code) == (422, "fat_finger")
    assert "300.01" in message
    assert "150.00" in message
    status, code, message = await venue.refused(type="market", price=None, quantity=334)
    assert (status, code) == (422, "notional_cap")
    assert "50100.00" in message
    assert "50000.00" in message


async def test_a_stop_waits_unseen_until_a_trade_reaches_it(venue):
    _, stop = await venue.order("buy", None, 5, type="stop", stop_price="150.10")
    assert (stop["status"], (await venue.book())["bids"]) == ("new", [])
    await venue.order("sell", "150.10", 20, key="rival")
    await venue.order("buy", "150.10", 1, key="rival")
    assert (await venue.book())["asks"] == [{"price": 150.1, "quantity": 14}]
    status, body = await venue.call("DELETE", f"/api/v1/orders/{stop['order_id']}")
    assert (status, body["error"]["code"]) == (409, "too_late")


async def test_an_amended_order_loses_its_place_unless_it_only_gets_smaller(venue):
    first = (await venue.order("buy", "150.00", 10))[1]["order_id"]
    second = (await venue.order("buy", "150.00", 10, key="rival"))[1]["order_id"]
    status, body = await venue.call("PATCH", f"/api/v1/orders/{first}", {"order_quantity": 8})
    assert (status, body["remaining_quantity"]) == (200, 8)
    await venue.order("sell", "150.00", 8, key="rival", time_in_force="ioc")
    assert (await venue.call("DELETE", f"/api/v1/orders/{first}"))[0] == 409
    third = (await venue.order("buy", "150.00", 10))[1]["order_id"]
    await venue.call("PATCH", f"/api/v1/orders/{second}", {"price": "150.01"}, key="rival")
    await venue.call("PATCH", f"/api/v1/orders/{second}", {"price": "150.00", "order_quantity": 12}, key="rival")
    await venue.order("sell", "150.00", 10, key="rival", time_in_force="ioc")
    assert (await venue.call("DELETE", f"/api/v1/orders/{third}"))[0] == 409
    status, body = await venue.call("DELETE", f"/api/v1/orders/{second}", key="rival")
    assert (status, body["remaining_qty"]) == (200, 12)


async def test_an_amendment_into_the_market_trades_at_once(venue):
    await venue.order("sell", "150.05", 4, key="rival")
    order_id = (await venue.order("buy", "150.00", 10))[1]["order_id"]
    status, body = await venue.call("PATCH", f"/api/v1/orders/{order_id}", {"price": "150.05"})
    assert (status, body["status"], body["avg_price"], body["remaining_quantity"]) == (200, "partially_filled", 150.05, 6)


async def test_an_amendment_by_another_instruments_name_changes_nothing_and_says_whose_the_order_is(venue):
    order_id = (await venue.order("sell", "150.00", 10))[1]["order_id"]
    path, book = f"/api/v1/orders/{order_id}", (await venue.book())["asks"]
    status, body = await venue.call("PATCH", path, {"price": "2.00", "instrument": "MSFT"})
    assert (status, body["error"]["code"], body["error"]["field"]) == (404, "unknown_instrument", "instrument")
    assert "of instrument AAPL, not of MSFT" in body["error"]["message"]
    assert (await venue.book())["asks"] == book == [{"price": 150.0, "quantity": 10}]
    assert (await venue.call("PATCH", path, {"price": "150.01", "instrument": "AAPL"}))[0] == 200
    assert (await venue.book())["asks"] == [{"price": 150.01, "quantity": 10}]


async def test_what_an_open_instrument_does_not_allow_is_refused_with_the_way_out(venue):
    for request in (requests.end_of_day("2026-11-20"), requests.split(venue.aapl, "2:1", None)):
        with pytest.raises(VenueError, match="continuous") as error:
            await venue.control(request)
        assert (error.value.exit_code, "session closed" in error.value.hint) == (2, True)
