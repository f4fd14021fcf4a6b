"""The parser by itself: whatever comes in, a command or a refusal comes out, and every wrong field is named."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import default_instruments_path, load_instruments
from engine.gateway.errors import CORE_REFUSALS, ERROR_CODES, REJECT_LABELS, from_core
from engine.gateway.model import NewOrder, Reduce, Refusal, listings
from engine.gateway.parse import ORDER_FIELDS, parse_depth, parse_new_order, parse_order_id, parse_reduce
from engine.gateway.render import order_body
from engine.types import Instrument, OrdStatus, OrdType, RejectReason, Reply, Side, TimeInForce

MARKET = listings(load_instruments(default_instruments_path()))
GOOD = {
    "instrument": "AAPL", "side": "buy", "type": "limit", "price": 150.10, "quantity": 100,
    "time_in_force": "day", "client_order_id": "a-1",
}  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("AAPL") | st.just("buy") | st.just("limit"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(ORDER_FIELDS)), inner, max_size=7)
    ),
    max_leaves=20,
)


def parsed(**change):
    fields = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}
    return parse_new_order(json.dumps(fields).encode(), MARKET)


def test_a_good_order_becomes_integers():
    assert parsed() == NewOrder(MARKET["AAPL"], Side.BUY, OrdType.LIMIT, TimeInForce.DAY, 15010, 100, "a-1")


def test_defaults_are_day_for_limit_and_ioc_for_market():
    assert parsed(time_in_force=...).time_in_force is TimeInForce.DAY
    assert parsed(type="market", price=..., time_in_force=...).time_in_force is TimeInForce.IOC
    assert parsed(client_order_id=...).cl_ord_id == ""


@given(json_values)
def test_no_json_value_makes_the_parser_raise(value):
    assert isinstance(parse_new_order(json.dumps(value).encode(), MARKET), NewOrder | Refusal)
    assert isinstance(parse_reduce(1, json.dumps(value).encode()), Reduce | Refusal)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(data):
    assert isinstance(parse_new_order(data, MARKET), NewOrder | Refusal)
    assert isinstance(parse_depth(data.decode("latin-1"), {"depth": data.decode("latin-1")}, MARKET), Refusal)
    parse_order_id(data.decode("latin-1"))


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_one_wrong_field_is_a_400_or_422_or_404_that_names_it(name, value):
    order = parsed(**{name: value})
    if isinstance(order, Refusal) and order.code != "invalid_json":  # infinities and NaN are no JSON
        assert ERROR_CODES[order.code] in (400, 422, 404)
        assert order.field in ((name, "price", "time_in_force") if name == "type" else (name,))


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
    "price", [0, -1, "0", "-0.01", 150.105, "150.105", "1e3", " 150", "NaN", "", 1e300, 1e-300, "9" * 16 + "." + "9" * 16, 10**13]
)
def test_a_price_off_the_tick_or_out_of_reason_is_a_422(price):
    refusal = parsed(price=price)
    assert (refusal.code, refusal.field) == ("bad_price", "price")


@pytest.mark.parametrize("price", [True, None, [], {}])
def test_a_price_of_another_json_type_is_a_400(price):
    assert parsed(price=price).code == "wrong_type"


@given(st.integers(1, 10**12), st.sampled_from(["0.01", "0.05", "1", "0.00000001", "2.5", "1E+1", "0.010"]))
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


def test_a_market_order_cannot_rest():
    assert parsed(type="market", price=..., time_in_force="day").field == "time_in_force"


def test_booleans_are_no_numbers():
    assert parsed(quantity=True).code == "wrong_type"
    assert parsed(quantity=5.0).code == "wrong_type"


def test_every_refusal_of_the_core_has_a_code_and_a_label():
    for reason in RejectReason:
        if reason is not RejectReason.NONE:
            refusal = from_core(Reply(1, 1, 9, OrdStatus.REJECTED, reason, 0, 0, 0))
            assert refusal.code in ERROR_CODES
            assert reason.name.lower() in REJECT_LABELS
    assert set(CORE_REFUSALS) == set(RejectReason) - {RejectReason.NONE}


def test_rendered_orders_are_json_whatever_the_reply():
    body = json.loads(order_body(Reply(1, 2, 3, OrdStatus.CANCELLED, RejectReason.NONE, 10, 4, 0), MARKET["AAPL"], ""))
    assert body == {"order_id": 3, "status": "cancelled", "seq_num": 2, "filled_quantity": 4, "remaining_quantity": 0, "fills": []}
