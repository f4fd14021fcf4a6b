"""engine/refusals.py is complete, says both numbers in the reader's units, and its codes are stable."""

import re
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import default_instruments_path, load_instruments
from engine.gateway.errors import ERROR_CODES, REJECT_LABELS, from_core
from engine.gateway.model import listings
from engine.refusals import NOTES, RULES, Call, Unit, explain, is_refusal, note
from engine.types import OrdStatus, RejectReason, Reply

AAPL = listings(load_instruments(default_instruments_path()))["AAPL"]
STATUSES = {
    "unknown_instrument": 404, "bad_price": 422, "bad_quantity": 422, "duplicate_client_order_id": 409, "unknown_order": 404,
    "not_owner": 403, "too_late": 409, "internal_error": 500, "book_full": 503, "log_unavailable": 503, "bad_stop_price": 422,
    "bad_time_in_force": 422, "wrong_state": 409, "firm_killed": 403, "order_rate": 429, "order_size": 422, "fat_finger": 422,
    "notional_cap": 422, "position_limit": 422, "bad_limits": 422,
}  # fmt: skip
"""As published: a code and its status never change."""


def refused(reason, value=0, limit=0, order_id=0):
    return Reply(1, 1, order_id, OrdStatus.REJECTED, reason, 0, 0, 0, (), value, limit)


def test_every_reason_is_a_refusal_or_a_note_and_never_both():
    assert RULES.keys() | NOTES.keys() == set(RejectReason) - {RejectReason.NONE}
    assert not RULES.keys() & NOTES.keys()
    assert [reason for reason in RejectReason if is_refusal(reason)] == list(RULES)


def test_codes_and_statuses_are_those_that_were_published():
    assert {rule.code: rule.status for rule in RULES.values()} == STATUSES
    assert len({rule.code for rule in RULES.values()}) == len(RULES), "a code stands for one reason"


@pytest.mark.parametrize("reason", RULES, ids=lambda reason: reason.name)
@pytest.mark.parametrize("call", Call, ids=lambda call: call.value)
def test_every_refusal_reads_as_one_plain_sentence(reason, call):
    sentence = explain(reason, 1, 2, call)
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    assert not set("{}") & set(sentence)
    assert 10 < len(sentence) < 160


@pytest.mark.parametrize("reason", RULES, ids=lambda reason: reason.name)
def test_sentences_hold_no_other_place_than_the_two_numbers(reason):
    rule = RULES[reason]
    for sentence in (rule.sentence, rule.unbounded, *rule.otherwise.values(), *rule.beyond.values()):
        assert {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None} <= {"value", "limit"}


@pytest.mark.parametrize(
    ("reason", "value", "limit", "call", "says"),
    [
        (RejectReason.BAD_PRICE, 10**9 + 1, 10**9, Call.ORDER, ("10000000.01", "10000000.00")),
        (RejectReason.BAD_STOP_PRICE, 15010, 0, Call.AMEND, ("150.10", "only a stop that still waits")),
        (RejectReason.BAD_PRICE, 15010, 0, Call.AMEND, ("150.10", "has no limit price")),
        (RejectReason.BAD_QUANTITY, 1001, 1000, Call.ORDER, ("1001", "1 to 1000")),
        (RejectReason.BAD_QUANTITY, 41, 40, Call.REDUCE, ("41", "below 40")),
        (RejectReason.BAD_QUANTITY, 30, 1000, Call.AMEND, ("30", "above what is filled already")),
        (RejectReason.BAD_QUANTITY, 1001, 1000, Call.AMEND, ("1001 is above 1000", "the most that the instrument takes")),
        (RejectReason.FAT_FINGER, 30021, 15010, Call.ORDER, ("300.21", "150.10")),
        (RejectReason.NOTIONAL_CAP, 100_000_100, 100_000_000, Call.ORDER, ("1000001.00", "1000000.00")),
        (RejectReason.ORDER_SIZE, 501, 500, Call.ORDER, ("501", "500")),
        (RejectReason.POSITION_LIMIT, 1200, 1000, Call.ORDER, ("1200", "1000")),
        (RejectReason.ORDER_RATE, 10, 20, Call.ORDER, ("10 orders per second", "bursts of 20")),
        (RejectReason.WRONG_STATE, 3, 0, Call.ORDER, ("halted",)),
        (RejectReason.WRONG_STATE, 5, 0, Call.AMEND, ("closed",)),
        (RejectReason.WRONG_STATE, 2, 4, Call.CONTROL, ("closed", "continuous")),
        (RejectReason.BAD_TIME_IN_FORCE, 3, 0, Call.ORDER, ("ioc",)),
        (RejectReason.FIRM_KILLED, 7, 0, Call.ORDER, ("firm 7",)),
        (RejectReason.BOOK_FULL, 16, 16, Call.ORDER, ("16 of 16",)),
        (RejectReason.LOG_UNAVAILABLE, 0, 0, Call.ORDER, ("the order log cannot be written",)),
        (RejectReason.LOG_UNAVAILABLE, 4096, 4096, Call.ORDER, ("4096 commands wait",)),
        (RejectReason.UNKNOWN_ORDER, 99, 0, Call.CANCEL, ("99",)),
    ],
)
def test_a_refusal_names_the_numbers_that_decided_it_in_members_units(reason, value, limit, call, says):
    message = from_core(refused(reason, value, limit), call, AAPL).message
    for part in says:
        assert part in message


@pytest.mark.parametrize(
    ("reason", "value", "limit", "says"),
    [
        (RejectReason.SELF_TRADE, 7, 40, ("traded 40 with order 7 of the same firm",)),
        (RejectReason.PRICE_BAND, 15760, 15750, ("at 157.60", "ends at 157.50")),
        (RejectReason.COLLAR, 15760, 15750, ("at 157.60", "may: 157.50")),
        (RejectReason.FILL_LIMIT, 32_000, 32_000, ("met 32000 resting orders",)),
        (RejectReason.CORPORATE_ACTION, 1, 3, ("1 new for 3 old",)),
        (RejectReason.STOP_OVER_CAP, 100_000_100, 100_000_000, ("1000001.00", "1000000.00")),
    ],
)
def test_an_order_that_a_rule_ended_is_told_the_numbers_that_decided_it(reason, value, limit, says):
    sentence = note(reason, value, limit, AAPL.price_text)
    for part in says:
        assert part in sentence
    assert 10 < len(sentence) < 160
    assert not sentence.endswith(".")


def test_an_amended_quantity_that_is_filled_already_is_not_told_the_maximum():
    assert "1000" not in from_core(refused(RejectReason.BAD_QUANTITY, 30, 1000), Call.AMEND, AAPL).message


@pytest.mark.parametrize(
    ("price", "anchor", "pct", "says"),
    [
        (30021, 15010, 200, "a buy takes 300.20 at most"),
        (7504, 15010, 200, "a sell takes 75.05 at least"),
        (5003, 15010, 300, "a sell takes 50.04 at least"),
        (502, 333, 150, "a buy takes 4.99 at most"),
    ],
)
def test_a_fat_finger_names_the_last_price_that_would_do(price, anchor, pct, says):
    listing = replace(AAPL, instrument=replace(AAPL.instrument, fat_finger_pct=pct))
    asked = refused(RejectReason.FAT_FINGER, price, anchor)
    assert says in from_core(asked, Call.ORDER, listing).message
    assert says in from_core(asked, Call.AMEND, listing, {"AAPL": listing}).message
    other = replace(listing, instrument=replace(listing.instrument, fat_finger_pct=pct + 1))
    assert "takes" not in from_core(asked, Call.AMEND, listing, {"AAPL": listing, "MSFT": other}).message


def test_without_a_known_tick_prices_read_in_ticks():
    assert "15010 ticks" in from_core(refused(RejectReason.FAT_FINGER, 30021, 15010), Call.AMEND).message


@pytest.mark.parametrize("reason", RULES, ids=lambda reason: reason.name)
def test_a_member_may_try_again_after_a_429_or_503_and_is_told_when(reason):
    refusal = from_core(refused(reason), Call.ORDER)
    assert (refusal.retry_after_s == 1) == (ERROR_CODES[refusal.code] in (429, 503))


def test_an_amendment_of_another_instrument_names_both_by_symbol_where_they_are_known():
    wrong = refused(RejectReason.UNKNOWN_INSTRUMENT, 7, 0)
    assert "of instrument AAPL, not of 7" in from_core(wrong, Call.AMEND, AAPL, {"AAPL": AAPL}).message
    assert "of instrument 0, not of 7" in from_core(wrong, Call.AMEND).message
    assert "no instrument has the index 7" in from_core(wrong, Call.ORDER).message


def test_an_amendments_quantity_has_the_name_that_the_call_gives_it():
    assert from_core(refused(RejectReason.ORDER_SIZE), Call.AMEND).field == "order_quantity"
    assert from_core(refused(RejectReason.ORDER_SIZE), Call.ORDER).field == "quantity"


def test_only_a_duplicate_names_an_order():
    for reason in RULES:
        named = from_core(refused(reason, order_id=9), Call.ORDER).order_id
        assert named == (9 if reason is RejectReason.DUPLICATE_CL_ORD_ID else None)


def test_every_reason_is_a_label_of_the_metric():
    assert {reason.name.lower() for reason in RejectReason if reason} <= set(REJECT_LABELS)


@given(st.sampled_from(list(RULES)), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.sampled_from(Call))
def test_no_numbers_make_an_explanation_fail(reason, value, limit, call):
    assert re.fullmatch(r"[ -~]+", explain(reason, value, limit, call, AAPL.price_text))


@given(st.sampled_from(list(NOTES)), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_no_numbers_make_a_note_fail(reason, value, limit):
    assert re.fullmatch(r"[ -~]+", note(reason, value, limit, AAPL.price_text))


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_both_prices_of_a_refusal_can_be_read_back_exactly(value, limit):
    rule = RULES[RejectReason.FAT_FINGER]
    assert (rule.value, rule.limit) == (Unit.PRICE, Unit.PRICE)
    found = re.findall(r"\d+\.\d\d", explain(RejectReason.FAT_FINGER, value, limit, Call.ORDER, AAPL.price_text))
    assert [int(text.replace(".", "")) for text in found] == [value, limit]
