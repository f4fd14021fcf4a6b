"""Every error code with its HTTP status: the gateway's own and those of engine.refusals. docs/api.md is checked against it."""

from __future__ import annotations

from engine.gateway.model import Listing, Market, Refusal, symbol_of
from engine.refusals import RULES, Call, explain, ticks_text
from engine.types import RejectReason, Reply

ERROR_CODES: dict[str, int] = {
    "bad_request": 400,
    "invalid_json": 400,
    "not_an_object": 400,
    "wrong_type": 400,
    "unknown_field": 400,
    "duplicate_field": 400,
    "missing_key": 401,
    "wrong_key": 401,
    "permission_denied": 403,
    "unknown_route": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "body_too_large": 413,
    "missing_field": 422,
    "invalid_value": 422,
    "rate_limited": 429,
    "gateway_busy": 429,
    "core_unavailable": 503,
    "outcome_unknown": 503,
    **{rule.code: rule.status for rule in RULES.values()},
}
"""Code -> HTTP status. A code, once published, keeps its meaning and its status."""

RETRY_AFTER_S = 1
"""For every 429 and 503 that has no better figure."""

REJECT_LABELS = (*(reason.name.lower() for reason in RejectReason if reason), *ERROR_CODES)
"""The bounded set of values of the label `reason`."""


OUTAGES = {
    "core_unavailable": "the core does not answer; nothing was changed, try again",
    "gateway_busy": "too many requests are in flight at this gateway; nothing was changed, try again",
    "outcome_unknown": "the request was sent, its outcome is not known: repeat it, an order with the same client_order_id; "
    "if the first one was taken the answer is 409 with its order_id",
}


def outage(code: str) -> Refusal:
    """The venue's own trouble, always with Retry-After."""
    return Refusal(code, OUTAGES[code], retry_after_s=RETRY_AFTER_S)


def from_core(reply: Reply, call: Call, listing: Listing | None = None, market: Market | None = None) -> Refusal:
    """The refusal that a member reads. `reply.reason` must be one of RULES. `listing`: how its prices read, where known. `market`: the
    names of instruments, for an amendment, which may name the wrong one."""
    rule = RULES[reply.reason]
    price_text = listing.price_text if listing is not None else ticks_text
    message = explain(
        reply.reason, reply.value, reply.limit, call, price_text, lambda index: symbol_of(market or {}, index),
        _fat_finger_pct(call, listing, market),
    )  # fmt: skip
    blamed = "order_quantity" if rule.field == "quantity" and call is Call.AMEND else rule.field
    duplicate = reply.reason is RejectReason.DUPLICATE_CL_ORD_ID
    retry = RETRY_AFTER_S if rule.status in (429, 503) else None  # of an order rate too: one order a second is the slowest there is
    return Refusal(rule.code, message, blamed, order_id=reply.order_id if duplicate else None, retry_after_s=retry)


def _fat_finger_pct(call: Call, listing: Listing | None, market: Market | None) -> int:
    """0 when it is not known: an amendment's listing may be any of those that share the order's tick."""
    if call is Call.ORDER:
        return listing.instrument.fat_finger_pct if listing is not None else 0
    all_of_them = {one.instrument.fat_finger_pct for one in (market or {}).values()}
    return all_of_them.pop() if len(all_of_them) == 1 else 0
