"""The parser by itself: whatever comes in, a command or a refusal comes out, and every wrong field is named."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import default_instruments_path, load_instruments
from engine.gateway.errors import ERROR_CODES
from engine.gateway.model import Amend, NewOrder, Reduce, Refusal, listings
from engine.gateway.parse import AMEND_FIELDS, ORDER_FIELDS, parse_depth, parse_new_order, parse_order_id, parse_patch
from engine.gateway.render import average_text, depth_body, order_body, patch_body
from engine.refusals import NOTES, note, ticks_text
from engine.types import (
    Depth,
    Fill,
    Indicative,
    Instrument,
    OrdStatus,
    OrdType,
    RejectReason,
    Reply,
    SessionState,
    Side,
    TimeInForce,
)

MARKET = listings(load_instruments(default_instruments_path()))
MIXED = listings([Instrument(0, "CENT", Decimal("0.01"), 100), Instrument(1, "DIME", Decimal("0.1"), 100)])
GOOD = {
    "instrument": "AAPL", "side": "buy", "type": "limit", "price": 150.10, "quantity": 100,
    "time_in_force": "day", "client_order_id": "a-1",
}  # fmt: skip
STOP_LIMIT = {**GOOD, "type": "stop_limit", "stop_price": 150.20}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("AAPL") | st.just("buy") | st.just("limit"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(ORDER_FIELDS | AMEND_FIELDS)), inner, max_size=7)
    ),
    max_leaves=20,
)


def parsed(good=GOOD, **change):
    fields = {name: value for name, value in {**good, **change}.items() if value is not ...}
    return parse_new_order(json.dumps(fields).encode(), MARKET)


def patched(market=MARKET, **fields):
    return parse_patch(9, json.dumps(fields).encode(), market)


def test_a_good_order_becomes_integers():
    assert parsed() == NewOrder(MARKET["AAPL"], Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 15010, 100, "a-1")


def test_defaults_are_day_for_limit_and_ioc_for_market():
    assert parsed(time_in_force=...).time_in_force is TimeInForce.DAY
    assert parsed(type="market", price=..., time_in_force=...).time_in_force is TimeInForce.IOC
    assert parsed(client_order_id=...).cl_ord_id == ""


@given(json_values)
def test_no_json_value_makes_the_parser_raise(value):
    assert isinstance(parse_new_order(json.dumps(value).encode(), MARKET), NewOrder | Refusal)
    for market in (MARKET, MIXED):
        assert isinstance(parse_patch(1, json.dumps(value).encode(), market), Reduce | Amend | Refusal)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(data):
    assert isinstance(parse_new_order(data, MARKET), NewOrder | Refusal)
    assert isinstance(parse_depth(data.decode("latin-1"), {"depth": data.decode("latin-1")}, MARKET), Refusal)
    parse_order_id(data.decode("latin-1"))


@given(st.sampled_from([GOOD, STOP_LIMIT]), st.sampled_from(sorted(STOP_LIMIT)), json_values)
def test_one_wrong_field_is_a_400_or_422_or_404_that_names_it(good, name, value):
    order = parsed(good, **{name: value})
    if isinstance(order, Refusal) and order.code != "invalid_json":  # infinities and NaN are no JSON
        assert ERROR_CODES[order.code] in (400, 422, 404)
        assert order.field in ((name, "price", "stop_price", "time_in_force") if name == "type" else (name,))


@pytest.mark.parametrize("name", ["instrument", "side", "type", "price", "quantity"])
def test_a_missing_required_field_is_a_422_that_names_it(name):
    refusal = parsed(**{name: ...})
    assert (ERROR_CODES[refusal.code], refusal.field) == (422, name)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a":1,"a":2}', "duplicate_field"),
        (b'{"quantity":NaN}', "invalid_json"),
        (b'{"quantity":Infinity}', "invalid_json"),
        (b'{"price":1e999999999999999999999}', "invalid_json"),
        (b"[" * 8000, "invalid_json"),
        (b'{"quantity":' + b"9" * 5000 + b"}", "invalid_json"),
        ('{"a":1}'.encode("utf-16"), "invalid_json"),
        (b"null", "not_an_object"),
    ],
)
def test_hostile_json_is_a_400(body, code):
    refusal = parse_new_order(body, MARKET)
    assert (refusal.code, ERROR_CODES[refusal.code]) == (code, 400)


@pytest.mark.parametrize("price", ["150.1", "150.10", "0150.10", 150.1, 150.10, "150.100000"])
def test_one_price_in_any_spelling_is_one_tick_count(price):
    assert parsed(price=price).price_ticks == 15010


@pytest.mark.parametrize(
    "price",
    [0, -1, "0", "-0.01", 150.105, "150.105", "1e3", " 150", "NaN", "", 1e300, 1e-300, "9" * 16 + "." + "9" * 16, 10**13, "10000000.01"],
)
def test_a_price_off_the_tick_or_out_of_reason_is_a_422(price):
    refusal = parsed(price=price)
    assert (refusal.code, refusal.field) == ("bad_price", "price")


@pytest.mark.parametrize("price", [True, None, [], {}])
def test_a_price_of_another_json_type_is_a_400(price):
    assert parsed(price=price).code == "wrong_type"


@given(st.integers(1, 10**9), st.sampled_from(["0.01", "0.05", "1", "0.00000001", "2.5", "1E+1", "0.010"]))
def test_price_text_and_ticks_are_inverse(ticks, tick_size):
    listing = listings([Instrument(0, "X", Decimal(tick_size), 10)])["X"]
    text = listing.price_text(ticks)
    assert Decimal(text) == ticks * Decimal(tick_size)
    order = parse_new_order(
        f'{{"instrument":"X","side":"buy","type":"limit","quantity":1,"price":{text}}}'.encode(), {"X": listing}
    )  # fmt: skip
    assert order.price_ticks == ticks


@pytest.mark.parametrize("value", ["", "x" * 37, "a b", "a\n", "é", 'a"', "a\x00"])
def test_a_client_order_id_with_other_letters_is_a_422(value):
    assert parsed(client_order_id=value).field == "client_order_id"


@pytest.mark.parametrize("tif", ["day", "gtc"])
def test_a_market_order_cannot_rest(tif):
    refusal = parsed(type="market", price=..., time_in_force=tif)
    assert (refusal.code, refusal.field) == ("invalid_value", "time_in_force")


def test_each_type_has_the_prices_it_needs_and_no_other():
    wanted = {"market": (), "limit": ("price",), "stop": ("stop_price",), "stop_limit": ("price", "stop_price")}
    for kind, needed in wanted.items():
        tif = ... if kind == "market" else "gtc"
        prices = {name: 150.20 if name in needed else ... for name in ("price", "stop_price")}
        order = parsed(type=kind, time_in_force=tif, **prices)
        assert (order.price_ticks, order.stop_price_ticks) == tuple(15020 if name in needed else 0 for name in ("price", "stop_price"))
        for name in ("price", "stop_price"):
            other = parsed(type=kind, time_in_force=tif, **{**prices, name: ... if name in needed else 150.20})
            assert (other.code, other.field) == (f"bad_{name}", name), kind


def test_a_good_stop_limit_becomes_integers():
    order = parsed(STOP_LIMIT, time_in_force="gtc")
    assert order == NewOrder(MARKET["AAPL"], Side.BUY, OrdType.STOP_LIMIT, TimeInForce.GTC, 15010, 100, "a-1", 15020)


@pytest.mark.parametrize("kind", ["stop", "stop_limit"])
@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_a_stop_waits_so_it_is_neither_ioc_nor_fok(kind, tif):
    refusal = parsed(STOP_LIMIT, type=kind, time_in_force=tif)
    assert (refusal.code, refusal.field) == ("bad_time_in_force", "time_in_force")


def test_a_stop_waits_until_the_close_unless_told_otherwise():
    assert parsed(STOP_LIMIT, time_in_force=...).time_in_force is TimeInForce.DAY


def test_a_quantity_alone_lowers_what_remains():
    assert patched(quantity=40) == Reduce(9, 40)


def test_any_other_change_is_an_amendment_and_what_is_not_given_stays():
    assert patched(price="150.10") == Amend(9, 15010, 0, 0, MARKET["AAPL"])
    assert patched(order_quantity=70) == Amend(9, 0, 70, 0, MARKET["AAPL"])
    assert patched(stop_price=150.2, price=150.1, order_quantity=7) == Amend(9, 15010, 7, 15020, MARKET["AAPL"])
    assert patched(instrument="MSFT", price="150.10") == Amend(9, 15010, 0, 0, MARKET["MSFT"], MARKET["MSFT"].instrument.instrument_id)


def test_where_ticks_differ_an_amendment_names_its_instrument():
    refusal = patched(MIXED, price="15.1")
    assert (refusal.code, refusal.field) == ("missing_field", "instrument")
    assert patched(MIXED, price="15.1", instrument="DIME") == Amend(9, 151, 0, 0, MIXED["DIME"], 1)
    assert patched(MIXED, price="15.1", instrument="CENT").price_ticks == 1510
    assert patched(MIXED, quantity=5) == Reduce(9, 5)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "missing_field", "quantity"),
        ({"quantity": 5, "price": 1}, "invalid_value", "quantity"),
        ({"quantity": 5, "instrument": "AAPL"}, "unknown_field", "instrument"),
        ({"quantity": 10**9 + 1}, "bad_quantity", "quantity"),
        ({"order_quantity": 0}, "bad_quantity", "order_quantity"),
        ({"order_quantity": 1.0}, "wrong_type", "order_quantity"),
        ({"order_quantity": 10**9 + 1}, "bad_quantity", "order_quantity"),
        ({"price": 150.105}, "bad_price", "price"),
        ({"price": 0}, "bad_price", "price"),
        ({"price": None}, "wrong_type", "price"),
        ({"stop_price": "1e3"}, "bad_stop_price", "stop_price"),
        ({"stop_price": "10000000.01"}, "bad_stop_price", "stop_price"),
        ({"price": 1, "instrument": "NOPE"}, "unknown_instrument", "instrument"),
        ({"price": 1, "instrument": 5}, "wrong_type", "instrument"),
        ({"side": "buy"}, "unknown_field", "side"),
    ],
)
def test_a_bad_amendment_is_refused_by_its_field(fields, code, field):
    refusal = patched(**fields)
    assert (refusal.code, refusal.field) == (code, field)


def test_booleans_are_no_numbers():
    assert parsed(quantity=True).code == "wrong_type"
    assert parsed(quantity=5.0).code == "wrong_type"


def reply(status=OrdStatus.NEW, reason=RejectReason.NONE, order_qty=10, cum_qty=0, leaves_qty=10, fills=(), numbers=(0, 0)):
    made = tuple(Fill(1, price, qty, 0) for price, qty in fills)
    return Reply(1, 2, 3, status, reason, order_qty, cum_qty, leaves_qty, made, *numbers)


def test_rendered_orders_are_json_whatever_the_reply():
    body = json.loads(order_body(reply(OrdStatus.CANCELLED, cum_qty=4, leaves_qty=0), MARKET["AAPL"], ""))
    assert body == {
        "order_id": 3, "status": "cancelled", "seq_num": 2, "filled_quantity": 4, "remaining_quantity": 0, "avg_price": None, "fills": [],
    }  # fmt: skip


@pytest.mark.parametrize("reason", NOTES, ids=lambda reason: reason.name)
def test_an_order_that_lost_its_rest_says_why_in_its_instruments_prices(reason):
    taken = reply(OrdStatus.CANCELLED, reason, leaves_qty=0, numbers=(15010, 15000))
    for listing in (MARKET["AAPL"], None):
        fields = json.loads(patch_body(taken, listing))
        assert (fields["status"], fields["reason"]) == ("cancelled", reason.name.lower())
        assert fields["message"] == note(reason, 15010, 15000, listing.price_text if listing else ticks_text)
    assert json.loads(order_body(taken, MARKET["AAPL"], ""))["message"] == note(reason, 15010, 15000, MARKET["AAPL"].price_text)


def test_a_reduction_shows_no_fills_and_an_amendment_those_of_its_own():
    assert json.loads(patch_body(reply(), None)) == {
        "order_id": 3, "status": "new", "seq_num": 2, "filled_quantity": 0, "remaining_quantity": 10
    }  # fmt: skip
    body = json.loads(patch_body(reply(OrdStatus.FILLED, cum_qty=10, leaves_qty=0, fills=[(15010, 4)]), MARKET["AAPL"]))
    assert (body["avg_price"], body["fills"]) == (150.1, [{"trade_id": 1, "price": 150.1, "quantity": 4}])


@pytest.mark.parametrize(
    ("fills", "text"),
    [
        ([], "null"),
        ([(15010, 100)], "150.10"),
        ([(15000, 1), (15001, 1)], "150.005"),
        ([(15000, 1), (15001, 2)], "150.00666667"),
        ([(1, 1), (2, 3)], "0.0175"),
        ([(10**9, 10**9), (10**9 - 1, 10**9)], "9999999.995"),
    ],
)
def test_the_average_price_has_no_binary_rounding(fills, text):
    assert average_text(reply(fills=fills), MARKET["AAPL"]) == text


fills_of_one_order = st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)), min_size=1, max_size=20)


@given(fills_of_one_order, st.sampled_from(["0.01", "1", "2.5", "1E+1", "0.00000001"]))
def test_the_average_price_is_within_half_a_last_digit_of_the_true_one(fills, tick_size):
    listing = listings([Instrument(0, "X", Decimal(tick_size), 10)])["X"]
    text = average_text(reply(fills=fills), listing)
    qty = sum(qty for _, qty in fills)
    notional = sum(price * qty for price, qty in fills) * listing.tick_unscaled * 10**6
    shown = int(Decimal(text).scaleb(listing.decimals + 6))
    assert abs(2 * (shown * qty - notional)) <= qty
    assert json.loads(f"[{text}]")


def test_a_book_shows_its_session_and_what_an_uncross_would_do():
    depth = Depth(5, ((15010, 3),), (), None, SessionState.OPENING_AUCTION, False, Indicative(15010, 30, -12))
    body = json.loads(depth_body(depth, MARKET["AAPL"]))
    assert (body["state"], body["limit_state"]) == ("opening_auction", False)
    assert body["indicative"] == {"price": 150.1, "quantity": 30, "imbalance": -12}
    halting = json.loads(depth_body(Depth(5, (), (), None, SessionState.CONTINUOUS, True), MARKET["AAPL"]))
    assert (halting["state"], halting["limit_state"], halting["indicative"]) == ("continuous", True, None)


@pytest.mark.parametrize("fields", [{}, {"instrument": "AAPL"}])
def test_a_patch_that_changes_nothing_is_told_all_that_it_could_change(fields):
    refusal = parse_patch(9, json.dumps(fields).encode(), MARKET)
    assert all(name in refusal.message for name in ("quantity", "price", "order_quantity", "stop_price"))
