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

from engine.gateway.model import DepthQuery, Listing, Market, NewOrder, Reduce, Refusal
from engine.types import OrdType, Side, TimeInForce

MAX_BODY_BYTES = 8192
MAX_PRICE_TICKS = 10**12
MAX_PRICE_DIGITS = 24
MAX_ORDER_ID = 2**63 - 1
DEPTH_DEFAULT, DEPTH_MAX = 10, 100
CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._\-]{1,36}")
PRICE_TEXT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,16})?")
ORDER_FIELDS = frozenset({"instrument", "side", "type", "price", "quantity", "time_in_force", "client_order_id"})
SIDES = {side.name.lower(): side for side in Side}
TYPES = {ord_type.name.lower(): ord_type for ord_type in OrdType}
TIMES_IN_FORCE = {tif.name.lower(): tif for tif in TimeInForce}

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


def parse_reduce(order_id: int, body: bytes) -> Reduce | Refusal:
    """PATCH: {"quantity": the new remaining quantity}. Whether it is below the present one, only the core knows."""
    try:
        fields = _object(body, frozenset({"quantity"}))
        return Reduce(order_id, _quantity(fields, MAX_ORDER_ID))
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
    qty = _quantity(fields, listing.instrument.max_qty)
    return NewOrder(listing, side, ord_type, time_in_force, _price_ticks(fields, ord_type, listing), qty, cl_ord_id)


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


def _quantity(fields: dict[str, Any], max_qty: int) -> int:
    value: int = _typed(fields, "quantity", int)
    if not 1 <= value <= max_qty:
        raise _Bad("bad_quantity", f"quantity must be from 1 to {max_qty}", "quantity")
    return value


def _time_in_force(fields: dict[str, Any], ord_type: OrdType) -> TimeInForce:
    if "time_in_force" not in fields:
        return TimeInForce.IOC if ord_type is OrdType.MARKET else TimeInForce.DAY
    time_in_force = TIMES_IN_FORCE[_choice(fields, "time_in_force", TIMES_IN_FORCE)]
    if ord_type is OrdType.MARKET and time_in_force is TimeInForce.DAY:
        raise _Bad("invalid_value", "a market order cannot rest: use ioc or fok", "time_in_force")
    return time_in_force


def _client_order_id(fields: dict[str, Any]) -> str:
    if "client_order_id" not in fields:
        return ""
    value: str = _typed(fields, "client_order_id", str)
    if not CLIENT_ORDER_ID.fullmatch(value):
        raise _Bad("invalid_value", "client_order_id must be 1 to 36 of A-Z a-z 0-9 . _ -", "client_order_id")
    return value


def _price_ticks(fields: dict[str, Any], ord_type: OrdType, listing: Listing) -> int:
    if ord_type is OrdType.MARKET:
        if "price" in fields:
            raise _Bad("bad_price", "a market order has no price", "price")
        return 0
    if "price" not in fields:
        raise _Bad("bad_price", "a limit order needs a price", "price")
    value = fields["price"]
    if isinstance(value, str):
        if not PRICE_TEXT.fullmatch(value):
            raise _Bad("bad_price", "price must be a plain decimal such as 150.10", "price")
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _Bad("wrong_type", "price must be a number or a decimal string", "price")
    return to_ticks(Decimal(value), listing)


def to_ticks(price: Decimal, listing: Listing) -> int:
    """Exact or refused (raises _Bad): ticks never come from rounding."""
    _, digits, exponent = price.as_tuple()
    assert isinstance(exponent, int), "infinities and NaN do not pass the JSON parser"
    if price <= 0 or len(digits) > MAX_PRICE_DIGITS or not -MAX_PRICE_DIGITS <= exponent <= MAX_PRICE_DIGITS:
        raise _Bad("bad_price", "price must be above 0 and of a sensible size", "price")
    unscaled = int("".join(map(str, digits)))
    common = max(-exponent, listing.decimals)
    ticks: int
    ticks, rest = divmod(unscaled * 10 ** (common + exponent), listing.tick_unscaled * 10 ** (common - listing.decimals))
    if rest:
        raise _Bad("bad_price", f"price must be a multiple of the tick {listing.instrument.tick_size}", "price")
    if ticks > MAX_PRICE_TICKS:
        raise _Bad("bad_price", f"price must be at most {listing.price_text(MAX_PRICE_TICKS)}", "price")
    return ticks
