"""What the core says, as members read it over REST and binary sessions: a stand-in core gives each answer there is."""

import asyncio
import contextlib

import aiohttp
import pytest
from venue_parts import FakeCore, depth_frame, reply_frame, running_gateway

from engine import _core
from engine.gateway.errors import ERROR_CODES
from engine.refusals import NOTES, RULES
from engine.types import ALL_INSTRUMENTS, OrdStatus, OrdType, RejectReason, SessionState, Side, TimeInForce


@pytest.fixture
async def venue_of(keys, venue_type):
    """`await venue_of(*answers)`: a gateway over a stand-in core that gives these answers, one to each request."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(*answers):
            fake = await stack.enter_async_context(FakeCore(answers=answers))
            gateway = await stack.enter_async_context(running_gateway(fake.port, keys.path))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return fake, venue_type(fake, gateway, session, keys)

        yield make


def answer(**fields):
    return lambda request_id: reply_frame(request_id, **fields)


def refusal(reason, value=0, limit=0, **more):
    return answer(status=OrdStatus.REJECTED, reason=reason, value=value, limit=limit, seq_num=5, **more)


@pytest.mark.parametrize("reason", RULES, ids=lambda reason: reason.name)
async def test_every_refusal_of_the_core_has_its_status_code_and_sentence(venue_of, reason):
    _, venue = await venue_of(refusal(reason, 15010, 30020, order_id=9))
    status, body, headers = await venue.order()
    rule, error = RULES[reason], body["error"]
    assert (status, error["code"]) == (rule.status, rule.code)
    assert (status == ERROR_CODES[error["code"]]) and error["message"]
    assert ("Retry-After" in headers) == (status in (429, 503))
    assert error.get("field") == rule.field
    _, text, _ = await venue.call("GET", "/metrics")
    assert f'exchange_orders_rejected_total{{reason="{reason.name.lower()}"}} 1.0' in text


async def test_a_fat_finger_is_told_in_money(venue_of):
    _, venue = await venue_of(refusal(RejectReason.FAT_FINGER, 30021, 15010))
    status, body, _ = await venue.order(price=300.21)
    assert (status, body["error"]["code"], body["error"]["field"]) == (422, "fat_finger", "price")
    assert "300.21" in body["error"]["message"]
    assert "150.10" in body["error"]["message"]


async def test_an_order_rate_is_a_429_that_says_when(venue_of):
    _, venue = await venue_of(refusal(RejectReason.ORDER_RATE, 10, 20))
    status, body, headers = await venue.order()
    assert (status, body["error"]["code"], headers["Retry-After"]) == (429, "order_rate", "1")
    assert "10 orders per second with bursts of 20" in body["error"]["message"]


@pytest.mark.parametrize("reason", NOTES, ids=lambda reason: reason.name)
async def test_an_order_that_the_venue_cancelled_was_taken_and_says_why(venue_of, reason):
    taken = answer(status=OrdStatus.CANCELLED, reason=reason, seq_num=1, order_id=7, order_qty=100, cum_qty=30, fills=[(1, 15010, 30, 6)])
    _, venue = await venue_of(taken)
    status, body, _ = await venue.order()
    assert (status, body["status"], body["reason"], body["filled_quantity"]) == (201, "cancelled", reason.name.lower(), 30)
    assert (body["avg_price"], body["remaining_quantity"]) == (150.1, 0)
    _, text, _ = await venue.call("GET", "/metrics")
    assert f'exchange_orders_rejected_total{{reason="{reason.name.lower()}"}} 0.0' in text
    assert "exchange_orders_completed_total 1.0" in text


async def test_an_order_made_smaller_by_self_trade_prevention_still_lives(venue_of):
    _, venue = await venue_of(answer(status=OrdStatus.NEW, reason=RejectReason.SELF_TRADE, order_id=7, order_qty=60, leaves_qty=60))
    status, body, _ = await venue.order()
    assert (status, body["status"], body["reason"], body["remaining_quantity"]) == (201, "new", "self_trade", 60)


@pytest.mark.parametrize(
    ("fields", "frame"),
    [
        ({"type": "stop", "price": None, "stop_price": "150.20"}, (OrdType.STOP, TimeInForce.DAY, 0, 15020)),
        ({"type": "stop_limit", "stop_price": 150.2, "time_in_force": "gtc"}, (OrdType.STOP_LIMIT, TimeInForce.GTC, 15010, 15020)),
        ({"time_in_force": "gtc"}, (OrdType.LIMIT, TimeInForce.GTC, 15010, 0)),
        ({"time_in_force": "fok"}, (OrdType.LIMIT, TimeInForce.FOK, 15010, 0)),
        ({"type": "market", "price": None}, (OrdType.MARKET, TimeInForce.IOC, 0, 0)),
    ],
)
async def test_every_type_reaches_the_core_as_it_was_meant(venue_of, fields, frame):
    fake, venue = await venue_of(answer(order_id=7))
    assert (await venue.order(client_order_id="c-1", **fields))[0] == 201
    ord_type, tif, price, stop = frame
    assert fake.requests[0][2:] == (7, 0, Side.BUY, ord_type, tif, price, 100, "c-1", stop)


async def test_an_amendment_reaches_the_core_with_zeros_for_what_stays(venue_of):
    fake, venue = await venue_of(*[answer(order_id=9, seq_num=4, order_qty=60, leaves_qty=60)] * 3)
    status, body, _ = await venue.call("PATCH", "/api/v1/orders/9", {"price": 150.2})
    assert (status, body["order_id"], body["status"], body["remaining_quantity"], body["fills"]) == (200, 9, "new", 60, [])
    await venue.call("PATCH", "/api/v1/orders/9", {"order_quantity": 60})
    await venue.call("PATCH", "/api/v1/orders/9", {"price": "150.20", "stop_price": "150.30", "order_quantity": 5})
    assert [frame[0] for frame in fake.requests] == ["amend"] * 3
    assert [frame[2:] for frame in fake.requests] == [
        (7, 9, *ticks, ALL_INSTRUMENTS) for ticks in ((15020, 0, 0), (0, 60, 0), (15020, 5, 15030))
    ]


async def test_an_amendment_tells_the_core_the_instrument_that_it_named_and_a_refusal_its_symbol(venue_of):
    fake, venue = await venue_of(refusal(RejectReason.UNKNOWN_INSTRUMENT, 1, 0))
    status, body, _ = await venue.call("PATCH", "/api/v1/orders/9", {"price": 150.2, "instrument": "MSFT"})
    assert fake.requests[0][2:] == (7, 9, 15020, 0, 0, 1)
    assert (status, body["error"]["code"], body["error"]["field"]) == (404, "unknown_instrument", "instrument")
    assert "of instrument AAPL, not of MSFT" in body["error"]["message"]


async def test_an_amendment_may_trade_and_shows_what_it_traded(venue_of):
    _, venue = await venue_of(
        answer(order_id=9, status=OrdStatus.FILLED, cum_qty=60, order_qty=60, fills=[(3, 15010, 40, 1), (4, 15012, 20, 2)])
    )
    status, body, _ = await venue.call("PATCH", "/api/v1/orders/9", {"price": 150.2})
    assert (status, body["status"], body["avg_price"]) == (200, "filled", 150.10666667)
    assert [fill["trade_id"] for fill in body["fills"]] == [3, 4]


@pytest.mark.parametrize(
    ("change", "reason", "numbers", "status", "says", "field"),
    [
        ({"quantity": 41}, RejectReason.BAD_QUANTITY, (41, 40), 422, "below 40", "quantity"),
        ({"order_quantity": 30}, RejectReason.BAD_QUANTITY, (30, 1000), 422, "filled already", "order_quantity"),
        ({"order_quantity": 5000}, RejectReason.ORDER_SIZE, (5000, 100), 422, "limit of 100", "order_quantity"),
        ({"price": 1}, RejectReason.FAT_FINGER, (100, 15010), 422, "150.10", "price"),
        ({"stop_price": 1}, RejectReason.BAD_STOP_PRICE, (100, 0), 422, "1.00", "stop_price"),
        ({"price": 1}, RejectReason.WRONG_STATE, (5, 0), 409, "closed", None),
        ({"price": 1}, RejectReason.FIRM_KILLED, (7, 0), 403, "firm 7", None),
        ({"price": 1}, RejectReason.TOO_LATE, (0, 0), 409, "no longer live", None),
    ],
)
async def test_a_refused_change_says_what_was_wrong_with_it(venue_of, change, reason, numbers, status, says, field):
    _, venue = await venue_of(refusal(reason, *numbers))
    got, body, _ = await venue.call("PATCH", "/api/v1/orders/9", change)
    assert (got, body["error"].get("field")) == (status, field)
    assert says in body["error"]["message"]


async def test_a_bad_change_never_reaches_the_core(venue_of):
    fake, venue = await venue_of()
    for change in ({"price": 150.105}, {"quantity": 5, "price": 1}, {}, {"side": "buy"}):
        assert (await venue.call("PATCH", "/api/v1/orders/9", change))[0] in (400, 422)
    assert fake.requests == []


async def test_the_book_shows_the_session_the_limit_state_and_the_indicative_price(venue_of):
    auction = {"state": SessionState.CLOSING_AUCTION, "indicative": (15010, 300, -20), "bids": [(15010, 300)]}
    _, venue = await venue_of(lambda number: depth_frame(number, **auction), lambda number: depth_frame(number, limit_state=True))
    _, body, _ = await venue.call("GET", "/api/v1/orderbook/AAPL")
    assert (body["state"], body["limit_state"]) == ("closing_auction", False)
    assert body["indicative"] == {"price": 150.1, "quantity": 300, "imbalance": -20}
    _, body, _ = await venue.call("GET", "/api/v1/orderbook/AAPL")
    assert (body["state"], body["limit_state"], body["indicative"]) == ("continuous", True, None)


@pytest.fixture
async def session_of(venue_of, keys):
    """`await session_of(*answers)`: (stand-in core, send a frame and get the next one back or None)."""

    writers = []

    async def make(*answers):
        fake, venue = await venue_of(*answers)
        reader, writer = await asyncio.open_connection("127.0.0.1", venue.gateway.binary_port)
        writers.append(writer)
        decoder = _core.FrameDecoder()

        async def ask(frame):
            writer.write(frame)
            async with asyncio.timeout(10):
                data = await reader.read(65536)
            return decoder.feed(data)[0] if data else None

        assert RejectReason((await ask(_core.encode_logon(1, keys.token["desk"])))[5]) is RejectReason.NONE
        return fake, ask

    yield make
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_session_amends_and_enters_stops_under_its_keys_firm(session_of):
    fake, ask = await session_of(answer(order_id=9), answer(order_id=9))
    assert (await ask(_core.encode_amend(2, 999, 9, 15020, 60, 15030, 3)))[3] == 9
    assert (await ask(_core.encode_new_order(3, 999, 0, 1, 4, 1, 15010, 100, "s-1", 15020)))[3] == 9
    assert fake.requests[0][2:] == (7, 9, 15020, 60, 15030, 3)
    assert fake.requests[1][2:] == (7, 0, 1, 4, 1, 15010, 100, "s-1", 15020)


async def test_a_session_gets_the_two_numbers_of_a_refusal(session_of):
    _, ask = await session_of(refusal(RejectReason.ORDER_SIZE, 501, 500))
    frame = await ask(_core.encode_new_order(3, 999, 0, 1, 2, 0, 15010, 501, ""))
    assert (RejectReason(frame[5]), frame[10], frame[11]) == (RejectReason.ORDER_SIZE, 501, 500)


async def test_a_session_sees_the_state_of_a_book(session_of):
    _, ask = await session_of(lambda number: depth_frame(number, state=SessionState.HALTED, limit_state=False, indicative=(15010, 5, 1)))
    frame = await ask(_core.encode_depth_request(2, 0, 5))
    assert (frame[6], bool(frame[7]), tuple(frame[8])) == (SessionState.HALTED, False, (15010, 5, 1))


async def test_an_operators_command_from_a_member_ends_its_session_and_reaches_no_core(session_of):
    fake, ask = await session_of()
    assert await ask(_core.encode_control(2, 7, 8, 0, 0, 1, 0, 0, 0, 0)) is None
    assert fake.requests == []


async def test_a_reading_key_may_not_amend(venue_of, keys):
    fake, venue = await venue_of()
    status, body, _ = await venue.call("PATCH", "/api/v1/orders/9", {"price": 150.2}, key="reader")
    assert (status, body["error"]["code"], fake.requests) == (403, "permission_denied", [])
