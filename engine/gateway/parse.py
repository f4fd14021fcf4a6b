"""JSON and URL parts -> a command, or a Refusal that names the field. Pure; no input makes it raise.

Prices never touch binary floating point: a JSON number is read as Decimal from its digits and turned into ticks with
integers. 400 means the shape is wrong (not JSON, a wrong type, a field nobody knows), 422 that the value is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.gateway.model import Amend, DepthQuery, Listing, Market, NewOrder, Reduce, Refusal, common_tick
from engine.types import ALL_INSTRUMENTS, MAX_ORDER_QTY, MAX_PRICE_TICKS, OrdType, Side, TimeInForce

MAX_BODY_BYTES = 8192
MAX_PRICE_DIGITS = 24
MAX_ORDER_ID = 2**63 - 1
DEPTH_DEFAULT, DEPTH_MAX = 10, 100
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._\-]{1,36}")
PRICE_TEXT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?")
ORDER_FIELDS = frozenset({"instrument", "side", "type", "price", "stop_price", "quantity", "time_in_force", "client_order_id"})
AMEND_FIELDS = frozenset({"quantity", "price", "order_quantity", "stop_price", "instrument"})
CHANGES = ("price", "order_quantity", "stop_price")
SIDES = {side.name.lower(): side for side in Side}
TYPES = {ord_type.name.lower(): ord_type for ord_type in OrdType}
TIMES_IN_FORCE = {tif.name.lower(): tif for tif in TimeInForce}
PRICED, STOPS = (OrdType.LIMIT, OrdType.STOP_LIMIT), (OrdType.STOP, OrdType.STOP_LIMIT)
RESTING = (TimeInForce.DAY, TimeInForce.GTC)

_JSON_NAMES: dict[type, str] = {str: "a string", int: "a whole number", bool: "a boolean", list: "an array", dict: "an object"}


class _Bad(Exception):
    """Leaves the parser from any depth; never leaves this module."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(code)
        self.refusal = Refusal(code, message, field)


def parse_new_order(body: bytes, market: Market) -> NewOrder | Refusal:
    try:
        return _new_order(_object(body, ORDER_FIELDS), market)
    except _Bad as bad:
        return bad.refusal


def parse_patch(order_id: int, body: bytes, market: Market) -> Reduce | Amend | Refusal:
    """PATCH: {"quantity": the new remaining quantity}, or any of price, order_quantity (the new total) and stop_price.

    What the order has now, and whether the change fits it, only the core knows.
    """
    try:
        fields = _object(body, AMEND_FIELDS)
        if any(name in fields for name in CHANGES):
            return _amend(order_id, fields, market)
        if "instrument" in fields and "quantity" in fields:
            raise _Bad("unknown_field", "instrument goes with price and stop_price only", "instrument")
        if "quantity" not in fields:
            raise _Bad("missing_field", "expected quantity, or any of price, order_quantity and stop_price", "quantity")
        return Reduce(order_id, _whole(fields, "quantity", MAX_ORDER_QTY))
    except _Bad as bad:
        return bad.refusal


def parse_order_id(text: str) -> int | Refusal:
    """A path's order id. Anything that cannot be one names no order, hence 404."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= MAX_ORDER_ID:
        return int(text)
    return Refusal("unknown_order", "no such order")


def parse_depth(symbol: str, query: Mapping[str, str], market: Market) -> DepthQuery | Refusal:
    for name in query:
        if name != "depth":
            return Refusal("unknown_field", "the only query parameter is depth", name[:64])
    if len(query) > 1:
        return Refusal("duplicate_field", "depth appears twice", "depth")
    listing = market.get(symbol)
    if listing is None:
        return Refusal("unknown_instrument", "no such instrument", "instrument")
    text = query.get("depth", str(DEPTH_DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= DEPTH_MAX):
        return Refusal("invalid_value", f"depth must be a whole number from 1 to {DEPTH_MAX}", "depth")
    return DepthQuery(listing, int(text))


def _object(body: bytes, allowed: frozenset[str]) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"), parse_float=_decimal, parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError):
        raise _Bad("invalid_json", "the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise _Bad("not_an_object", "the body must be a JSON object")
    for name in value:
        if name not in allowed:
            raise _Bad("unknown_field", f"known fields: {', '.join(sorted(allowed))}", name[:64])
    return value


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent past what Decimal holds
        raise ValueError(text[:32]) from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Bad("duplicate_field", "a field appears twice", next(name for name in names if names.count(name) > 1)[:64])
    return fields


def _new_order(fields: dict[str, Any], market: Market) -> NewOrder:
    symbol = _typed(fields, "instrument", str)
    side = SIDES[_choice(fields, "side", SIDES)]
    ord_type = TYPES[_choice(fields, "type", TYPES)]
    time_in_force = _time_in_force(fields, ord_type)
    cl_ord_id = _client_order_id(fields)
    listing = market.get(symbol)
    if listing is None:
        raise _Bad("unknown_instrument", "no such instrument", "instrument")
    qty = _whole(fields, "quantity", listing.instrument.max_qty)
    price_ticks = _ticks_of_type(fields, "price", ord_type, ord_type in PRICED, listing)
    stop_price_ticks = _ticks_of_type(fields, "stop_price", ord_type, ord_type in STOPS, listing)
    return NewOrder(listing, side, ord_type, time_in_force, price_ticks, qty, cl_ord_id, stop_price_ticks)


def _amend(order_id: int, fields: dict[str, Any], market: Market) -> Amend:
    if "quantity" in fields:
        raise _Bad("invalid_value", "quantity, the new remainder, goes with no other field; order_quantity is the new total", "quantity")
    listing = _amended_listing(fields, market)
    ticks = {name: _ticks(fields[name], name, listing) for name in ("price", "stop_price") if name in fields}
    qty = _whole(fields, "order_quantity", MAX_ORDER_QTY) if "order_quantity" in fields else 0
    named = listing.instrument.instrument_id if "instrument" in fields else ALL_INSTRUMENTS
    return Amend(order_id, ticks.get("price", 0), qty, ticks.get("stop_price", 0), listing, named)


def _amended_listing(fields: dict[str, Any], market: Market) -> Listing:
    """How the order's prices read: by the instrument that the member names, or as everywhere in this venue."""
    if "instrument" not in fields:
        common = common_tick(market)
        if common is None:
            raise _Bad("missing_field", "the venue's instruments have different ticks: name the order's instrument", "instrument")
        return common
    listing = market.get(_typed(fields, "instrument", str))
    if listing is None:
        raise _Bad("unknown_instrument", "no such instrument", "instrument")
    return listing


def _typed(fields: dict[str, Any], name: str, kind: type) -> Any:
    """The field's value when its JSON type is `kind`; a boolean is no number."""
    if name not in fields:
        raise _Bad("missing_field", f"{name} is required", name)
    value = fields[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _Bad("wrong_type", f"{name} must be {_JSON_NAMES[kind]}", name)
    return value


def _choice(fields: dict[str, Any], name: str, choices: Mapping[str, object]) -> str:
    value: str = _typed(fields, name, str)
    if value not in choices:
        raise _Bad("invalid_value", f"{name} must be one of {', '.join(choices)}", name)
    return value


def _whole(fields: dict[str, Any], name: str, max_qty: int) -> int:
    value: int = _typed(fields, name, int)
    if not 1 <= value <= max_qty:
        raise _Bad("bad_quantity", f"{name} must be from 1 to {max_qty}", name)
    return value


def _time_in_force(fields: dict[str, Any], ord_type: OrdType) -> TimeInForce:
    if "time_in_force" not in fields:
        return TimeInForce.IOC if ord_type is OrdType.MARKET else TimeInForce.DAY
    time_in_force = TIMES_IN_FORCE[_choice(fields, "time_in_force", TIMES_IN_FORCE)]
    if ord_type is OrdType.MARKET and time_in_force in RESTING:
        raise _Bad("invalid_value", "a market order cannot rest: use ioc or fok", "time_in_force")
    if ord_type in STOPS and time_in_force not in RESTING:
        raise _Bad("bad_time_in_force", "a stop order waits, so it must be day or gtc", "time_in_force")
    return time_in_force


def _client_order_id(fields: dict[str, Any]) -> str:
    if "client_order_id" not in fields:
        return ""
    value: str = _typed(fields, "client_order_id", str)
    if not CLIENT_ORDER_ID.fullmatch(value):
        raise _Bad("invalid_value", "client_order_id must be 1 to 36 of A-Z a-z 0-9 . _ -", "client_order_id")
    return value


def _ticks_of_type(fields: dict[str, Any], name: str, ord_type: OrdType, wanted: bool, listing: Listing) -> int:
    """The field in ticks, 0 for a type that has none. Raises _Bad when it is there and should not be, or the other way round."""
    kind, words = ord_type.name.lower(), name.replace("_", " ")
    if not wanted:
        if name in fields:
            raise _Bad(f"bad_{name}", f"a {kind} order has no {words}", name)
        return 0
    if name not in fields:
        raise _Bad(f"bad_{name}", f"a {kind} order needs a {words}", name)
    return _ticks(fields[name], name, listing)


def _ticks(value: object, name: str, listing: Listing) -> int:
    if isinstance(value, str):
        if not PRICE_TEXT.fullmatch(value):
            raise _Bad(f"bad_{name}", f"{name} must be a plain decimal such as 150.10", name)
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Bad("wrong_type", f"{name} must be a number or a decimal string", name)
    return to_ticks(Decimal(value), name, listing)


def to_ticks(price: Decimal, name: str, listing: Listing) -> int:
    """Exact or refused (raises _Bad): ticks never come from rounding."""
    code = f"bad_{name}"
    _, digits, exponent = price.as_tuple()
    assert isinstance(exponent, int), "infinities and NaN do not pass the JSON parser"
    if price <= 0 or len(digits) > MAX_PRICE_DIGITS or not -MAX_PRICE_DIGITS <= exponent <= MAX_PRICE_DIGITS:
        raise _Bad(code, f"{name} must be above 0 and of a sensible size", name)
    unscaled = int("".join(map(str, digits)))
    common = max(-exponent, listing.decimals)
    ticks: int
    ticks, rest = divmod(unscaled * 10 ** (common + exponent), listing.tick_unscaled * 10 ** (common - listing.decimals))
    if rest:
        raise _Bad(code, f"{name} must be a multiple of the tick {listing.instrument.tick_size}", name)
    if ticks > MAX_PRICE_TICKS:
        raise _Bad(code, f"{name} must be at most {listing.price_text(MAX_PRICE_TICKS)}", name)
    return ticks
