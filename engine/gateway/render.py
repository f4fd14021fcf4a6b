"""Replies of the core -> JSON bodies. Pure. Prices leave as JSON numbers written from integers, with the instrument's decimals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from engine.gateway.model import Listing, Refusal
from engine.refusals import note, ticks_text
from engine.types import Depth, OrdStatus, RejectReason, Reply

_STATUS = {status: status.name.lower() for status in OrdStatus}
_AVERAGE_EXTRA_DECIMALS = 6


def order_body(reply: Reply, listing: Listing, cl_ord_id: str) -> bytes:
    """201: what became of a new order. Members see their own fills; whom they met stays inside the venue."""
    client = f'"client_order_id":"{cl_ord_id}",' if cl_ord_id else ""  # parse.CLIENT_ORDER_ID admits nothing to escape
    return (
        f'{{"order_id":{reply.order_id},"status":"{_STATUS[reply.status]}","seq_num":{reply.seq_num},{client}'
        f'"filled_quantity":{reply.cum_qty},"remaining_quantity":{reply.leaves_qty}{_fills(reply, listing)}{_reason(reply, listing)}}}'
    ).encode()


def _fills(reply: Reply, listing: Listing) -> str:
    fills = ",".join(
        f'{{"trade_id":{fill.trade_id},"price":{listing.price_text(fill.price_ticks)},"quantity":{fill.qty}}}' for fill in reply.fills
    )
    return f',"avg_price":{average_text(reply, listing)},"fills":[{fills}]'


def average_text(reply: Reply, listing: Listing) -> str:
    """The average price of the reply's fills, "null" without any, from integers: exact where six decimals more than the tick's are enough.

    Otherwise rounded to them, half a digit to the even one. Zeros past the tick's decimals are left away.
    """
    qty = sum(fill.qty for fill in reply.fills)
    if not qty:
        return "null"
    places = listing.decimals + _AVERAGE_EXTRA_DECIMALS
    notional = sum(fill.price_ticks * fill.qty for fill in reply.fills) * listing.tick_unscaled * 10**_AVERAGE_EXTRA_DECIMALS
    unscaled, rest = divmod(notional, qty)
    unscaled += 2 * rest > qty or (2 * rest == qty and unscaled % 2 == 1)
    whole, part = divmod(unscaled, 10**places)
    decimals = f"{part:0{places}d}"
    kept = decimals[: listing.decimals] + decimals[listing.decimals :].rstrip("0")
    return f"{whole}.{kept}" if kept else str(whole)


def _reason(reply: Reply, listing: Listing | None) -> str:
    """Why an order that was taken lost what it asked for, as two fields; "" when nothing of the kind happened."""
    if reply.reason is RejectReason.NONE:
        return ""
    sentence = note(reply.reason, reply.value, reply.limit, listing.price_text if listing is not None else ticks_text)
    return f',"reason":"{reply.reason.name.lower()}","message":{json.dumps(sentence)}'


def cancel_body(reply: Reply) -> bytes:
    """200: `remaining_qty` is the quantity that the cancel took away."""
    cancelled_qty = reply.order_qty - reply.cum_qty
    return (
        f'{{"order_id":{reply.order_id},"status":"{_STATUS[reply.status]}","remaining_qty":{cancelled_qty},"seq_num":{reply.seq_num}}}'
    ).encode()


def patch_body(reply: Reply, listing: Listing | None) -> bytes:
    """200. An amended order may trade at once; `fills` are those of this call. `listing` is None for a reduction, which never trades."""
    fills = _fills(reply, listing) if listing is not None else ""
    return (
        f'{{"order_id":{reply.order_id},"status":"{_STATUS[reply.status]}","seq_num":{reply.seq_num},'
        f'"filled_quantity":{reply.cum_qty},"remaining_quantity":{reply.leaves_qty}{fills}{_reason(reply, listing)}}}'
    ).encode()


def depth_body(depth: Depth, listing: Listing) -> bytes:
    last = _level(listing, depth.last_trade) if depth.last_trade is not None else "null"
    return (
        f'{{"instrument":"{listing.instrument.symbol}","seq_num":{depth.seq_num},'
        f'"bids":[{_levels(listing, depth.bids)}],"asks":[{_levels(listing, depth.asks)}],"last_trade":{last},'
        f'"state":"{depth.state.name.lower()}","limit_state":{"true" if depth.limit_state else "false"},'
        f'"indicative":{_indicative(listing, depth)}}}'
    ).encode()


def _indicative(listing: Listing, depth: Depth) -> str:
    """What an uncross would do now; null while nothing would trade, and in continuous trading."""
    price_ticks, qty, imbalance = depth.indicative
    return f'{{"price":{listing.price_text(price_ticks)},"quantity":{qty},"imbalance":{imbalance}}}' if qty else "null"


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
