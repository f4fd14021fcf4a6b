"""The one table of error codes, and what each refusal of the core becomes over HTTP. docs/api.md is checked against it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.gateway.model import Refusal
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
    "not_owner": 403,
    "unknown_order": 404,
    "unknown_instrument": 404,
    "unknown_route": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "duplicate_client_order_id": 409,
    "too_late": 409,
    "body_too_large": 413,
    "missing_field": 422,
    "invalid_value": 422,
    "bad_price": 422,
    "bad_quantity": 422,
    "rate_limited": 429,
    "gateway_busy": 429,
    "internal_error": 500,
    "core_unavailable": 503,
    "log_unavailable": 503,
    "book_full": 503,
    "outcome_unknown": 503,
}
"""Code -> HTTP status. A code, once published, keeps its meaning and its status."""

RETRY_AFTER_S = 1
"""For every 429 and 503 that has no better figure."""


@dataclass(frozen=True, slots=True)
class CoreRefusal:
    """How one RejectReason reads to a member."""

    code: str
    message: str
    field: str | None = None


CORE_REFUSALS: dict[RejectReason, CoreRefusal] = {
    RejectReason.UNKNOWN_INSTRUMENT: CoreRefusal("unknown_instrument", "no such instrument", "instrument"),
    RejectReason.BAD_PRICE: CoreRefusal("bad_price", "the price is outside what the book takes", "price"),
    RejectReason.BAD_QUANTITY: CoreRefusal(
        "bad_quantity", "the quantity must be at least 1 and, for an amendment, below what is left of the order", "quantity"
    ),
    RejectReason.DUPLICATE_CL_ORD_ID: CoreRefusal(
        "duplicate_client_order_id", "an order with this client_order_id exists; order_id names it", "client_order_id"
    ),
    RejectReason.UNKNOWN_ORDER: CoreRefusal("unknown_order", "no such order"),
    RejectReason.NOT_OWNER: CoreRefusal("not_owner", "the order belongs to another firm"),
    RejectReason.TOO_LATE: CoreRefusal("too_late", "the order is no longer live"),
    RejectReason.BAD_COMMAND: CoreRefusal("internal_error", "the core did not accept the gateway's command"),
    RejectReason.BOOK_FULL: CoreRefusal("book_full", "the book takes no more orders now"),
    RejectReason.LOG_UNAVAILABLE: CoreRefusal("log_unavailable", "the order log cannot be written; the order was not accepted"),
}

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


def from_core(reply: Reply) -> Refusal:
    """The refusal that a member reads. `reply.reason` must not be NONE."""
    known = CORE_REFUSALS[reply.reason]
    retry = RETRY_AFTER_S if ERROR_CODES[known.code] == 503 else None
    duplicate = reply.reason is RejectReason.DUPLICATE_CL_ORD_ID
    return Refusal(known.code, known.message, known.field, order_id=reply.order_id if duplicate else None, retry_after_s=retry)
