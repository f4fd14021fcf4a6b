"""Replies of the core -> JSON bodies. Pure. Prices leave as JSON numbers written from integers, with the instrument's decimals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from engine.gateway.model import Listing, Refusal
from engine.types import Depth, OrdStatus, Reply

_STATUS = {status: status.name.lower() for status in OrdStatus}


def order_body(reply: Reply, listing: Listing, cl_ord_id: str) -> bytes:
    """201: what became of a new order. Members see their own fills; whom they met stays inside the venue."""
    fills = ",".join(
        f'{{"trade_id":{fill.trade_id},"price":{listing.price_text(fill.price_ticks)},"quantity":{fill.qty}}}' for fill in reply.fills
    )
    client = f'"client_order_id":"{cl_ord_id}",' if cl_ord_id else ""  # parse.CLIENT_ORDER_ID admits nothing to escape
    return (
        f'{{"order_id":{reply.order_id},"status":"{_STATUS[reply.status]}","seq_num":{reply.seq_num},{client}'
        f'"filled_quantity":{reply.cum_qty},"remaining_quantity":{reply.leaves_qty},"fills":[{fills}]}}'
    ).encode()


def cancel_body(reply: Reply) -> bytes:
    """200: `remaining_qty` is the quantity that the cancel took away."""
    cancelled_qty = reply.order_qty - reply.cum_qty
    return (
        f'{{"order_id":{reply.order_id},"status":"{_STATUS[reply.status]}","remaining_qty":{cancelled_qty},"seq_num":{reply.seq_num}}}'
    ).encode()


def reduce_body(reply: Reply) -> bytes:
    return (
        f'{{"order_id":{reply.order_id},"status":"{_STATUS[reply.status]}","seq_num":{reply.seq_num},'
        f'"filled_quantity":{reply.cum_qty},"remaining_quantity":{reply.leaves_qty}}}'
    ).encode()


def depth_body(depth: Depth, listing: Listing) -> bytes:
    last = _level(listing, depth.last_trade) if depth.last_trade is not None else "null"
    return (
        f'{{"instrument":"{listing.instrument.symbol}","seq_num":{depth.seq_num},'
        f'"bids":[{_levels(listing, depth.bids)}],"asks":[{_levels(listing, depth.asks)}],"last_trade":{last}}}'
    ).encode()


def _levels(listing: Listing, levels: Iterable[tuple[int, int]]) -> str:
    return ",".join(_level(listing, level) for level in levels)


def _level(listing: Listing, level: tuple[int, int]) -> str:
    return f'{{"price":{listing.price_text(level[0])},"quantity":{level[1]}}}'


def refusal_body(refusal: Refusal) -> bytes:
    error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    for name in ("field", "order_id", "retry_after_s", "correlation_id"):
        value = getattr(refusal, name)
        if value is not None:
            error[name] = value
    return json_body({"error": error})


def json_body(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode()
