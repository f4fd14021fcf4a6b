"""Why the core says no, in words: for every RejectReason one code, one HTTP status, the field to blame, and one sentence.

A refusal carries two numbers, what was asked (`value`) and what bounds it (`limit`); the sentence names both in the units
of the person who reads it: prices and money as decimals, states by their names. REST and `exchange control` share this table.

Six reasons are never refusals: they say why an accepted order was cancelled or made smaller, with two numbers of their own, and stand
in NOTES.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from engine.types import RejectReason, SessionState, TimeInForce

PriceText = Callable[[int], str]
"""Ticks (or ticks times shares) as a decimal, for example 15010 -> "150.10"."""

InstrumentText = Callable[[int], str]
"""An instrument's number as a name, for example 0 -> "AAPL"."""


class Unit(Enum):
    """What a number of a refusal counts."""

    PLAIN = 0
    PRICE = 1
    STATE = 2
    TIME_IN_FORCE = 3


class Call(Enum):
    """What was asked for. Some reasons read differently from call to call."""

    ORDER = "order"
    CANCEL = "cancel"
    REDUCE = "reduce"
    AMEND = "amend"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Rule:
    """How one RejectReason reads. `sentence` may hold {value} and {limit}; `otherwise` replaces it for single calls, `beyond` likewise
    where the value is above the limit, `unbounded` where there is no limit (0). In `of_instruments`, where it is that call, both numbers
    are instruments."""

    code: str
    status: int
    sentence: str
    field: str | None = None
    value: Unit = Unit.PLAIN
    limit: Unit = Unit.PLAIN
    otherwise: Mapping[Call, str] = dataclasses.field(default_factory=dict)
    beyond: Mapping[Call, str] = dataclasses.field(default_factory=dict)
    unbounded: str = ""
    of_instruments: Call | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """How one reason reads that is no refusal. `sentence` holds {value}, {limit} or both."""

    sentence: str
    value: Unit = Unit.PLAIN
    limit: Unit = Unit.PLAIN


RULES: dict[RejectReason, Rule] = {
    RejectReason.UNKNOWN_INSTRUMENT: Rule(
        "unknown_instrument", 404, "no instrument has the index {value}; the venue lists {limit}", "instrument",
        otherwise={Call.AMEND: "the order is of instrument {limit}, not of {value}: name its own, whose ticks its prices are"},
        of_instruments=Call.AMEND,
    ),
    RejectReason.BAD_PRICE: Rule(
        "bad_price", 422, "the price {value} is outside what the book takes, one tick to {limit}", "price", Unit.PRICE, Unit.PRICE,
        unbounded="the order has no limit price, so it cannot be {value}",
    ),
    RejectReason.BAD_QUANTITY: Rule(
        "bad_quantity", 422, "the quantity {value} is outside 1 to {limit}", "quantity",
        otherwise={
            Call.REDUCE: "the new remaining quantity {value} must be at least 1 and below {limit}, what remains now",
            Call.AMEND: "the new quantity {value} must be above what is filled already",
            Call.CONTROL: "the number {value} is out of range; the bound is {limit}",
        },
        beyond={Call.AMEND: "the new quantity {value} is above {limit}, the most that the instrument takes"},
    ),
    RejectReason.DUPLICATE_CL_ORD_ID: Rule(
        "duplicate_client_order_id", 409, "an order with this client_order_id exists; order_id names it", "client_order_id"
    ),
    RejectReason.UNKNOWN_ORDER: Rule("unknown_order", 404, "no order has the id {value}"),
    RejectReason.NOT_OWNER: Rule("not_owner", 403, "the order belongs to another firm"),
    RejectReason.TOO_LATE: Rule("too_late", 409, "the order is no longer live"),
    RejectReason.BAD_COMMAND: Rule("internal_error", 500, "the core did not accept the gateway's command"),
    RejectReason.BOOK_FULL: Rule("book_full", 503, "the book takes no more orders now: {value} of {limit} places are taken"),
    RejectReason.LOG_UNAVAILABLE: Rule(
        "log_unavailable", 503, "the core is behind: {value} commands wait where {limit} may; nothing was changed",
        unbounded="the order log cannot be written; nothing was changed",
    ),
    RejectReason.BAD_STOP_PRICE: Rule(
        "bad_stop_price", 422, "the stop price {value} is outside what the book takes, one tick to {limit}", "stop_price",
        Unit.PRICE, Unit.PRICE, unbounded="only a stop that still waits has a stop price, so it cannot be {value}",
    ),
    RejectReason.BAD_TIME_IN_FORCE: Rule(
        "bad_time_in_force", 422, "a stop order waits, so it cannot be {value}: use day or gtc", "time_in_force", Unit.TIME_IN_FORCE
    ),
    RejectReason.WRONG_STATE: Rule(
        "wrong_state", 409, "the instrument is {value}; the call needs another state", value=Unit.STATE,
        otherwise={
            Call.ORDER: "the instrument is {value}: market, ioc and fok orders need continuous trading, and a closed one takes no order",
            Call.REDUCE: "the instrument is {value}: its orders can be cancelled, not amended",
            Call.AMEND: "the instrument is {value}: its orders can be cancelled, not amended",
            Call.CONTROL: "this needs the state closed, and an instrument is {value}",
        },
    ),
    RejectReason.FIRM_KILLED: Rule("firm_killed", 403, "firm {value} is blocked by the venue's kill switch; cancels are still taken"),
    RejectReason.ORDER_RATE: Rule("order_rate", 429, "the firm is past its {value} orders per second with bursts of {limit}"),
    RejectReason.ORDER_SIZE: Rule("order_size", 422, "the quantity {value} is above the firm's limit of {limit} per order", "quantity"),
    RejectReason.FAT_FINGER: Rule(
        "fat_finger", 422, "the price {value} is too far from the market's {limit} to be meant", "price", Unit.PRICE, Unit.PRICE
    ),
    RejectReason.NOTIONAL_CAP: Rule(
        "notional_cap", 422, "an order without a price may be worth {limit}, and this is about {value}: use a limit order", "quantity",
        Unit.PRICE, Unit.PRICE,
    ),
    RejectReason.POSITION_LIMIT: Rule(
        "position_limit", 422, "the firm's position could reach {value} with what rests, above its limit of {limit}", "quantity"
    ),
    RejectReason.BAD_LIMITS: Rule("bad_limits", 422, "the limit {value} is out of range; the bound is {limit}"),
}  # fmt: skip
"""Every reason that can be an answer's only content. A code, once published, keeps its meaning and its status."""

NOTES: dict[RejectReason, Note] = {
    RejectReason.SELF_TRADE: Note(
        "it would have traded {limit} with order {value} of the same firm, and the firm's self-trade prevention applied"
    ),
    RejectReason.PRICE_BAND: Note(
        "the rest would have traded or rested at {value}, outside the price band, which ends at {limit}", Unit.PRICE, Unit.PRICE
    ),
    RejectReason.FILL_LIMIT: Note("it met {value} resting orders, and one order may meet {limit}"),
    RejectReason.CORPORATE_ACTION: Note("a corporate action, {value} new for {limit} old, left nothing of it that can be traded"),
    RejectReason.COLLAR: Note(
        "the rest would have traded at {value}, further from the midpoint than a market order may: {limit}", Unit.PRICE, Unit.PRICE
    ),
    RejectReason.STOP_OVER_CAP: Note(
        "when it was triggered it was worth about {value}, above the cap of {limit} for market orders", Unit.PRICE, Unit.PRICE
    ),
}
"""Why an accepted order was cancelled, or made smaller, though nobody asked for it."""


def is_refusal(reason: RejectReason) -> bool:
    """False for NONE and for the reasons of NOTES: then the command was taken."""
    return reason in RULES


def ticks_text(ticks: int) -> str:
    """For a reader who named no instrument, in a venue whose instruments have different ticks."""
    return f"{ticks} ticks"


def explain(
    reason: RejectReason,
    value: int,
    limit: int,
    call: Call = Call.ORDER,
    price_text: PriceText = ticks_text,
    instrument_text: InstrumentText = str,
    fat_finger_pct: int = 0,
) -> str:
    """The sentence of a refusal, with its two numbers in the reader's units; with the instrument's `fat_finger_pct`, where it is known, the
    bound that follows from it too. Raises KeyError for what is no refusal."""
    rule = RULES[reason]
    sentence = rule.unbounded if rule.unbounded and limit == 0 else rule.otherwise.get(call, rule.sentence)
    if value > limit:
        sentence = rule.beyond.get(call, sentence)
    if rule.of_instruments is call:
        return sentence.format(value=instrument_text(value), limit=instrument_text(limit))
    said = sentence.format(value=_shown(value, rule.value, price_text), limit=_shown(limit, rule.limit, price_text))
    return said + _bound(value, limit, fat_finger_pct, price_text) if reason is RejectReason.FAT_FINGER and fat_finger_pct else said


def note(reason: RejectReason, value: int, limit: int, price_text: PriceText = ticks_text) -> str:
    """The sentence of a reason in NOTES, with its two numbers in the reader's units. Raises KeyError for any other."""
    found = NOTES[reason]
    return found.sentence.format(value=_shown(value, found.value, price_text), limit=_shown(limit, found.limit, price_text))


def _bound(price: int, anchor: int, pct: int, price_text: PriceText) -> str:
    """Only a buy can be too far above the market, only a sell too far below."""
    if price > anchor:
        return f": a buy takes {price_text(anchor * pct // 100)} at most"
    return f": a sell takes {price_text(-(-anchor * 100 // pct))} at least"


def _shown(number: int, unit: Unit, price_text: PriceText) -> str:
    if unit is Unit.PRICE:
        return price_text(number)
    if unit is Unit.STATE:
        return _name(SessionState, number)
    if unit is Unit.TIME_IN_FORCE:
        return _name(TimeInForce, number)
    return str(number)


def _name(kind: type[SessionState] | type[TimeInForce], number: int) -> str:
    """A number that this version has no name for stays a number: an answer must not fail over its explanation."""
    try:
        return kind(number).name.lower()
    except ValueError:
        return str(number)
